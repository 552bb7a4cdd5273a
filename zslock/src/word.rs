//! The atomic behind the lock: a word that can be read, and modified only by read-modify-writes.
//!
//! There is no `store` and no `swap` on purpose: either would erase the increment of a reader that waits.

use crate::order::{BOOKKEEPING, Site};
use crate::primitive::{AtomicU32, const_unless_loom, ordering};

pub(crate) struct Word(AtomicU32);

impl Word {
    const_unless_loom! {
        pub(crate) fn new(value: u32) -> Self {
            Self(AtomicU32::new(value))
        }
    }

    #[inline]
    pub(crate) fn load(&self, site: Site) -> u32 {
        self.0.load(ordering(site))
    }

    /// Adds and returns what was there before.
    #[inline]
    pub(crate) fn add(&self, n: u32, site: Site) -> u32 {
        self.0.fetch_add(n, ordering(site))
    }

    /// Subtracts and returns what was there before.
    #[inline]
    pub(crate) fn sub(&self, n: u32, site: Site) -> u32 {
        self.0.fetch_sub(n, ordering(site))
    }

    #[inline]
    pub(crate) fn clear(&self, bits: u32) {
        self.0.fetch_and(!bits, ordering(BOOKKEEPING));
    }

    /// Replaces `old` by `new`, or says what is there instead. May fail spuriously.
    #[inline]
    pub(crate) fn replace(&self, old: u32, new: u32, site: Site) -> Result<(), u32> {
        self.0
            .compare_exchange_weak(old, new, ordering(site), ordering(BOOKKEEPING))
            .map(drop)
    }

    /// Replaces the word by `next` of it, and returns that.
    #[inline]
    pub(crate) fn change(&self, site: Site, next: impl Fn(u32) -> u32) -> u32 {
        let mut word = self.load(BOOKKEEPING);
        loop {
            let new = next(word);
            match self.replace(word, new, site) {
                Ok(()) => return new,
                Err(now) => word = now,
            }
        }
    }

    /// Replaces the word by `next` of it for as long as there is one; `None` leaves it untouched.
    #[inline]
    pub(crate) fn update(&self, site: Site, next: impl Fn(u32) -> Option<u32>) -> Option<u32> {
        let mut word = self.load(BOOKKEEPING);
        loop {
            let new = next(word)?;
            match self.replace(word, new, site) {
                Ok(()) => return Some(new),
                Err(now) => word = now,
            }
        }
    }

    #[cfg(zslock_loom)]
    pub(crate) fn memory_is_freed(&self) {
        self.0.memory_is_freed();
    }
}
