//! A pool that needs more pages gives some back first: idle pages of classes that were full once.
//!
//! Objects that are replaced by others of other sizes leave free slots in every class, as many as the
//! class had objects at its best time; whole pages of them, if its zspages are long. No class can use
//! those of another, so without compaction a pool would hold the highest tide of each. To look for idle
//! pages whenever an object is freed would cost each free, and a pool that is emptied at random would
//! return page after page for nothing. So it is done when another class is about to take pages, which
//! costs far more: then the next class in turn is looked at, and the idle pages of one of its zspages go back.
//! The pages in memory thus stay about as many as they are while their owners change. A pool that retains
//! free pages is meant to save system calls rather than pages, and does not look.

use std::sync::atomic::{AtomicUsize, Ordering};

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::chain::LARGE;
use crate::hold_time::HoldTimes;
use crate::pool::Pool;

/// How far the sweep has come in a class. Under the class lock.
#[derive(Debug, Default)]
pub(crate) struct Sweep {
    /// The next zspage in the class's list.
    place: usize,
    /// The class's hints at idle pages when the sweep began at the first zspage.
    begun: u64,
    /// What that was for the last sweep that came to the end: no hint was added if it is still so.
    done: u64,
}

impl Sweep {
    /// Where to go on in a class with so many hints; `None` if the last sweep has seen what they hint at.
    fn next(&mut self, hints: u64) -> Option<usize> {
        if self.place == 0 {
            self.begun = hints;
        }
        (hints != self.done).then_some(self.place)
    }

    /// Everything before this place was looked at; `None`: all zspages were.
    fn advance(&mut self, place: Option<usize>) {
        if place.is_none() {
            self.done = self.begun;
        }
        self.place = place.unwrap_or(0);
    }
}

/// The class whose turn it is.
#[derive(Debug, Default)]
pub(crate) struct Turn(AtomicUsize);

impl Turn {
    fn take(&self, classes: usize) -> usize {
        // Relaxed: only a number.
        self.0.fetch_add(1, Ordering::Relaxed) % classes
    }
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Gives back the idle pages of at most one zspage, of the class whose turn it is. For whoever is about
    /// to take pages. Call with no lock of the pool held; takes a class lock for as long as one step of
    /// [`discard_idle`](Self::discard_idle) does.
    #[cold]
    #[track_caller]
    pub(crate) fn sweep(&self) {
        // A small pool has hardly an idle page.
        if self.pages.resident() < LARGE || self.pages.retains() {
            return;
        }
        let index = self.sweep_turn.take(self.class_count());
        let mut class = self.lock_class(index);
        if (class.slots() - class.objects()) * self.table.chain(index).size() < class.page_size() {
            return;
        }
        let hints = class.idle_hints();
        let Some(mut place) = hints.and_then(|hints| class.sweep.next(hints)) else {
            return;
        };
        drop(class);
        let more = self.discard_next(index, &mut place, &HoldTimes::default());
        let mut class = self.lock_class(index);
        class.sweep.advance(more.map(|_| place));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_class_without_new_hints_is_left_alone() {
        let mut sweep = Sweep::default();
        assert_eq!(sweep.next(0), None);
        assert_eq!(sweep.next(5), Some(0));
        sweep.advance(Some(7));
        // A hint at what was passed already.
        assert_eq!(sweep.next(6), Some(7));
        sweep.advance(None);
        assert_eq!(sweep.next(6), Some(0));
        sweep.advance(None);
        assert_eq!(sweep.next(6), None);
    }

    /// Each growth gives back what is idle elsewhere, until nothing is, though nobody compacts.
    #[test]
    fn growth_gives_idle_pages_back() {
        // Long zspages: 53 slots in 16 pages.
        const LEN: usize = 1200;
        let pool = Pool::new();
        let handles: Vec<_> = (0..800).map(|_| pool.alloc(LEN).unwrap()).collect();
        let (kept, freed): (Vec<_>, Vec<_>) = handles
            .into_iter()
            .enumerate()
            .partition(|(i, _)| i % 16 == 0);
        freed.into_iter().for_each(|(_, handle)| pool.free(handle));
        let (held, discarded) = (pool.resident_pages(), pool.stats().discarded_pages);
        assert_eq!(discarded, 0);
        // Each of these is a zspage of its own.
        let more = pool.class_count() * pool.stats().zspages;
        let more: Vec<_> = (0..more).map(|_| pool.alloc(4096).unwrap()).collect();
        let stats = pool.stats();
        assert_eq!(stats.resident_pages, held + more.len());
        // Every object keeps one page or two.
        assert!(stats.discarded_pages >= held - 2 * kept.len());
        assert!(
            kept.iter()
                .all(|(_, handle)| *pool.read(handle) == [0; LEN])
        );
        let idle = pool.compact().pages_discarded;
        assert_eq!(idle, 0);
    }

    /// It is to save system calls.
    #[test]
    fn a_pool_that_retains_pages_does_not_look() {
        const LEN: usize = 1200;
        let sweeps = |retain| {
            let pool = Pool::builder().retain_pages(retain).build().unwrap();
            let handles: Vec<_> = (0..800).map(|_| pool.alloc(LEN).unwrap()).collect();
            let spare: Vec<_> = (0..50).map(|_| pool.alloc(4096).unwrap()).collect();
            pool.free_many(spare);
            let handles = handles.into_iter().enumerate();
            let (_kept, freed): (Vec<_>, Vec<_>) = handles.partition(|(i, _)| i % 16 == 0);
            freed.into_iter().for_each(|(_, handle)| pool.free(handle));
            let more = 2 * pool.class_count() - 1;
            for _ in 0..more {
                let handle = pool.alloc(4096).unwrap();
                pool.free(handle);
            }
            pool.stats().discarded_pages
        };
        assert_eq!(sweeps(1000), 0);
        assert!(sweeps(0) > 0);
    }
}
