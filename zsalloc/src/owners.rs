//! Which handle's object is in which slot of a zspage.
//!
//! A header fills a line of the cache, with room for four owners. Zspages of more slots have them in a box:
//! there it is shared by as many objects.

use std::mem::ManuallyDrop;
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

use crate::slots::LockedU32;

/// The owner of a free slot; an index that no table gives out.
pub(crate) const FREE: u32 = u32::MAX;

/// As many slots have their owners in the header.
const FEW: usize = 4;

/// For each slot the index of the handle of its object, or `FREE`: how compaction finds the entry of an
/// object that it moves.
///
/// Invariant: from [`fill`](Self::fill) to [`end`](Self::end), `few` is in use if there are at most `FEW`
/// slots, otherwise `many`, which then is the start of a box of as many words. All bytes are initialised all
/// the time, and any value is a valid one of both.
#[repr(C)]
pub(crate) union Owners {
    few: ManuallyDrop<[LockedU32; FEW]>,
    many: ManuallyDrop<AtomicPtr<LockedU32>>,
}

impl Default for Owners {
    fn default() -> Self {
        Self {
            few: ManuallyDrop::default(),
        }
    }
}

impl Owners {
    /// Begins anew, with all of `count` slots free.
    ///
    /// # Safety
    ///
    /// Nobody else uses the owners, and those before have [ended](Self::end).
    pub(crate) unsafe fn fill(&self, count: usize) {
        if count <= FEW {
            // SAFETY: initialised, and of words that may have any value.
            unsafe { &self.few }
                .iter()
                .for_each(|owner| owner.set(FREE));
        } else {
            let owners: Box<[LockedU32]> = (0..count).map(|_| FREE.into()).collect();
            // SAFETY: as above.
            let many = unsafe { &self.many };
            // Relaxed: who fills a header publishes it afterwards.
            many.store(Box::into_raw(owners).cast(), Ordering::Relaxed);
        }
    }

    /// Frees what `fill` made.
    ///
    /// # Safety
    ///
    /// `count` is that of `fill`, since which this is the first call, and nobody uses the owners until they
    /// are filled again.
    pub(crate) unsafe fn end(&self, count: usize) {
        if count > FEW {
            // SAFETY: filled with so many, so it is this that is in use.
            let many = unsafe { &self.many };
            // Relaxed: whoever ends a zspage comes after all its users.
            let owners = many.swap(ptr::null_mut(), Ordering::Relaxed);
            // SAFETY: a box of as many words (see the invariant), taken out just now.
            drop(unsafe { Box::from_raw(ptr::slice_from_raw_parts_mut(owners, count)) });
        }
    }

    /// One for each slot.
    ///
    /// # Safety
    ///
    /// `count` is that of `fill`, and `end` is not called while they are borrowed.
    #[inline(always)]
    pub(crate) unsafe fn get(&self, count: usize) -> &[LockedU32] {
        if count <= FEW {
            // SAFETY: initialised, and of words that may have any value.
            return &unsafe { &self.few }[..count];
        }
        // SAFETY: filled with so many, so it is this that is in use.
        let many = unsafe { &self.many };
        // Relaxed: filled before the header was published, and constant since.
        let owners = many.load(Ordering::Relaxed);
        // SAFETY: a box of as many words (see the invariant), which stays as long as the caller says.
        unsafe { std::slice::from_raw_parts(owners, count) }
    }

    /// The bytes of the box, if `count` slots have one.
    pub(crate) const fn boxed_bytes(count: usize) -> usize {
        if count <= FEW {
            0
        } else {
            count * size_of::<LockedU32>()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_and_many_begin_free_whatever_was_there_before() {
        let owners = Owners::default();
        for count in [1, 3, 4, 5, 300, 4, 5, 1] {
            // SAFETY: nobody else has them, and those before ended in the last turn.
            unsafe { owners.fill(count) };
            // SAFETY: filled with as many just now; they end after the borrow.
            let words = unsafe { owners.get(count) };
            assert_eq!(words.len(), count);
            for (word, owner) in words.iter().zip(7..) {
                assert_eq!(word.get(), FREE);
                word.set(owner);
            }
            // SAFETY: filled with as many, and used no more.
            unsafe { owners.end(count) };
        }
    }
}
