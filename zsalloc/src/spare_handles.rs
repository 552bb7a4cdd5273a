//! Spare handles: free numbers that a class keeps, so that insertions and frees seldom lock the handle
//! table.
//!
//! They come from arbitrary segments of the table, and each keeps its segment there. So a class keeps no
//! more than 64, and no more than twice as many as it has objects: when its objects go, all of them go.

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::class::Class;
use crate::error::AllocError;
use crate::pool::Pool;
use crate::primitive::size::HANDLE_BATCH;
use crate::reclaim::{self, Pin};

/// How many spare handles are worth keeping.
fn wanted<L>(class: &Class<L>) -> usize {
    HANDLE_BATCH.min(class.objects())
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// A free handle's index for one more object, from the class's spare ones or the table.
    pub(crate) fn take_handle(&self, class: &mut Class<L>, pin: &Pin) -> Result<u32, AllocError> {
        if class.spare_handles.is_empty() {
            let count = HANDLE_BATCH.min(class.objects() + 1);
            self.handles.acquire(count, &mut class.spare_handles, pin);
            // The lowest first.
            class.spare_handles.reverse();
        }
        class.spare_handles.pop().ok_or(AllocError::OutOfMemory)
    }

    /// Keeps the handle of an object that was freed.
    #[inline]
    pub(crate) fn put_handle(&self, class: &mut Class<L>, index: u32, pin: &Pin) {
        class.spare_handles.push(index);
        let wanted = wanted(class);
        if class.spare_handles.len() > 2 * wanted {
            self.release_handles(class, wanted, pin);
        }
    }

    /// Gives spare handles back to the table until `keep` are left: the lowest, so that the segments of
    /// the higher ones get a chance to become empty.
    #[cold]
    fn release_handles(&self, class: &mut Class<L>, keep: usize, pin: &Pin) {
        let spare = &mut class.spare_handles;
        let count = spare.len().saturating_sub(keep);
        if count > 0 && keep > 0 {
            spare.select_nth_unstable_by(count, |one, other| other.cmp(one));
        }
        self.handles.release(spare.drain(..count), pin);
        // The list of a busy class is as long as it ever gets; another's goes with its handles.
        if keep < HANDLE_BATCH {
            // A little room stays, or a class with one object at times would allocate each time.
            spare.shrink_to(4 * keep.max(1));
        }
    }

    /// Gives all spare handles of a class back.
    pub(crate) fn release_spare_handles(&self, class: usize) {
        let pin = reclaim::pin();
        let mut class = self.lock_class(class);
        self.release_handles(&mut class, 0, &pin);
    }

    /// Gives all spare handles of all classes back, and the room that the lists of these have to grow.
    pub(crate) fn trim_metadata(&self) {
        let pin = reclaim::pin();
        for class in 0..self.class_count() {
            let mut class = self.lock_class(class);
            self.release_handles(&mut class, 0, &pin);
            class.shrink_lists();
        }
    }
}
