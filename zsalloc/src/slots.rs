//! The slots of one zspage: which of them hold which object, and where its class lists the zspage.
//!
//! All of it changes only with the class locked, and is in the header, beside what readers need: so to
//! store or to free an object touches one place, and a zspage needs no memory from malloc's heap but for
//! its owners. The words are atomics, as who reads the header (a map, say) must not conflict with who has
//! the class locked; the class lock orders them, so each access is Relaxed and as cheap as that of a plain
//! word.
//!
//! Most is `inline`: it is called by what the crate of the lock's user instantiates.

use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, Ordering};

use crate::owners::{FREE, Owners};

/// `place` of a zspage that belongs to no class (yet, or any more).
pub(crate) const NOT_LISTED: u32 = u32::MAX;

macro_rules! class_locked {
    ($($name:ident, $atomic:ident, $word:ident;)*) => { $(
        /// A word that is read and written with the class locked, or never changes.
        #[derive(Debug, Default)]
        pub(crate) struct $name($atomic);

        impl From<$word> for $name {
            fn from(word: $word) -> Self {
                Self(word.into())
            }
        }

        impl $name {
            #[inline(always)]
            pub(crate) fn get(&self) -> $word {
                // Relaxed: the class lock, or that of who found the zspage, orders this after the last change.
                self.0.load(Ordering::Relaxed)
            }

            #[inline(always)]
            pub(crate) fn set(&self, word: $word) {
                // Relaxed: the class lock publishes; it is a load and a store elsewhere, as only one thread has it.
                self.0.store(word, Ordering::Relaxed);
            }
        }
    )* };
}

class_locked! {
    LockedU8, AtomicU8, u8;
    LockedU16, AtomicU16, u16;
    LockedU32, AtomicU32, u32;
}

/// In `state`: the fullness group, below these bits.
const GROUP: u8 = 0b1111;
const ISOLATED: u8 = 1 << 4;
const CLOSED: u8 = 1 << 5;

/// The part of a header that belongs to the class lock.
#[derive(Default)]
pub(crate) struct Slots {
    /// Invariant: from `fill` to `end`, of `count` slots.
    owners: Owners,
    /// The zspage's index in the zspage table. Does not change while it lives.
    index: LockedU32,
    /// The position in the class's list, or `NOT_LISTED`.
    pub(crate) place: LockedU32,
    used: LockedU16,
    /// No slot below is free. Slots are used in ascending order, so the pages at the end of a
    /// zspage that was never full were never touched and take no memory.
    first_free: LockedU16,
    /// Bit n: page n may hold memory: an object was stored in it since it came or was discarded.
    pub(crate) touched: LockedU16,
    /// Bit n: page n was discarded and not touched since.
    pub(crate) discarded: LockedU16,
    /// How many there are. Does not change while the zspage lives.
    count: LockedU16,
    /// The class. Does not change while the zspage lives.
    class: LockedU8,
    state: LockedU8,
}

impl Slots {
    /// Begins anew for a new zspage: all slots free, in no list.
    ///
    /// # Safety
    ///
    /// Nobody else uses these slots, and those of the zspage before have [ended](Self::end).
    pub(crate) unsafe fn fill(&self, index: u32, class: usize, count: usize) {
        debug_assert!(count <= 1 << 15 && class <= 0xff);
        // SAFETY: nobody else uses them, and those before have ended.
        unsafe { self.owners.fill(count) };
        self.index.set(index);
        self.place.set(NOT_LISTED);
        self.used.set(0);
        self.first_free.set(0);
        self.touched.set(0);
        self.discarded.set(0);
        // A zspage has at most 32768 slots, and a pool at most 255 classes.
        self.count.set(count as u16);
        self.class.set(class as u8);
        self.state.set(0);
    }

    /// Frees what `fill` made.
    ///
    /// # Safety
    ///
    /// Nobody uses these slots until they are filled again.
    pub(crate) unsafe fn end(&self) {
        // SAFETY: filled with as many, and used no more.
        unsafe { self.owners.end(self.count()) };
    }

    #[inline(always)]
    fn owners(&self) -> &[LockedU32] {
        // SAFETY: filled with as many; a borrowed zspage has not ended.
        unsafe { self.owners.get(self.count()) }
    }

    /// The bytes of their owners beside the header.
    pub(crate) fn owner_bytes(&self) -> usize {
        Owners::boxed_bytes(self.count())
    }

    #[inline]
    pub(crate) fn index(&self) -> u32 {
        self.index.get()
    }

    #[inline]
    pub(crate) fn class(&self) -> usize {
        self.class.get().into()
    }

    /// How many there are.
    #[inline]
    pub(crate) fn count(&self) -> usize {
        self.count.get().into()
    }

    #[inline]
    pub(crate) fn used(&self) -> usize {
        self.used.get().into()
    }

    #[inline]
    pub(crate) fn group(&self) -> u8 {
        self.state.get() & GROUP
    }

    #[inline]
    pub(crate) fn set_group(&self, group: u8) {
        self.state.set(self.state.get() & !GROUP | group);
    }

    /// Compaction has this zspage and will retire it, should it become empty meanwhile.
    #[inline]
    pub(crate) fn isolated(&self) -> bool {
        self.state.get() & ISOLATED != 0
    }

    /// No free slot may be taken: pages of it are being discarded. Isolated, too.
    #[inline]
    pub(crate) fn closed(&self) -> bool {
        self.state.get() & CLOSED != 0
    }

    pub(crate) fn isolate(&self, isolated: bool, closed: bool) {
        let isolated = if isolated { ISOLATED } else { 0 };
        let closed = if closed { CLOSED } else { 0 };
        self.state.set(self.group() | isolated | closed);
    }

    /// The free slots that an object may move or be stored to.
    #[inline]
    pub(crate) fn room(&self) -> usize {
        if self.closed() {
            0
        } else {
            self.count() - self.used()
        }
    }

    /// The handle of the object in a slot.
    pub(crate) fn owner(&self, slot: usize) -> Option<u32> {
        let owner = self.owners()[slot].get();
        (owner != FREE).then_some(owner)
    }

    /// The slots in use, ascending, with the handles of their objects.
    pub(crate) fn objects(&self) -> impl Iterator<Item = (usize, u32)> + '_ {
        let owners = self.owners().iter().map(LockedU32::get).enumerate();
        owners.filter(|&(_, owner)| owner != FREE)
    }

    /// Gives the lowest free slot to `owner`; there is one.
    #[inline]
    pub(crate) fn take(&self, owner: u32) -> usize {
        let first = self.first_free.get().into();
        let owners = self.owners();
        let free = owners[first..].iter().position(|owner| owner.get() == FREE);
        let slot = first + free.expect("the zspage has room");
        owners[slot].set(owner);
        self.first_free.set(slot as u16 + 1);
        self.used.set(self.used.get() + 1);
        slot
    }

    /// Frees a slot in use.
    #[inline]
    pub(crate) fn put(&self, slot: usize) {
        let owner = &self.owners()[slot];
        debug_assert_ne!(owner.get(), FREE, "double free");
        owner.set(FREE);
        self.first_free.set(self.first_free.get().min(slot as u16));
        self.used.set(self.used.get() - 1);
    }
}
