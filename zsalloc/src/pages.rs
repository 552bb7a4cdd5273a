//! The pool's pages: its source, its limit, and the free runs that it retains.

use std::collections::VecDeque;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backend::{PageSource, SOURCE_PAGE};
use crate::class_lock::{self, PoolMutex, leaf_mutex};
use crate::primitive::shadow;

/// Why there are no pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPages {
    Source,
    Limit,
}

/// A free run that was not returned to the source.
struct Run {
    base: NonNull<u8>,
    /// Its place in the order in which runs were retained.
    stamp: u64,
}

// SAFETY: the run belongs to whoever has the value; no thread is tied to it.
unsafe impl Send for Run {}

/// Free runs that were not returned to the source.
#[derive(Default)]
struct Retained {
    /// By length: the runs of `n` pages at `n`, the oldest first. Zspages have few lengths.
    by_length: Vec<VecDeque<Run>>,
    /// Of all of them.
    pages: usize,
    next_stamp: u64,
}

impl Retained {
    fn put(&mut self, base: NonNull<u8>, pages: usize) {
        if self.by_length.len() <= pages {
            self.by_length.resize_with(pages + 1, VecDeque::new);
        }
        let stamp = self.next_stamp;
        self.next_stamp += 1;
        self.by_length[pages].push_back(Run { base, stamp });
        self.pages += pages;
    }

    /// The newest run of this length: the one most likely to be in a cache.
    fn newest(&mut self, pages: usize) -> Option<NonNull<u8>> {
        let run = self.by_length.get_mut(pages)?.pop_back()?;
        self.pages -= pages;
        Some(run.base)
    }

    /// The oldest run of any length, and its length.
    fn oldest(&mut self) -> Option<(NonNull<u8>, usize)> {
        let fronts = self.by_length.iter().enumerate();
        let fronts = fronts.filter_map(|(pages, runs)| Some((runs.front()?.stamp, pages)));
        let (_, pages) = fronts.min()?;
        let run = self.by_length[pages].pop_front()?;
        self.pages -= pages;
        Some((run.base, pages))
    }
}

/// Hands out runs in units of the pool's page size.
pub(crate) struct Pages<S: PageSource> {
    source: S,
    page_size: usize,
    max: usize,
    /// Pages taken from the source: in zspages, in migrations in progress, and retained.
    resident: AtomicUsize,
    retain: usize,
    retained: PoolMutex<Retained>,
}

impl<S: PageSource> Pages<S> {
    pub(crate) fn new(source: S, page_size: usize, max: usize, retain: usize) -> Self {
        Self {
            source,
            page_size,
            max,
            resident: AtomicUsize::new(0),
            retain,
            retained: leaf_mutex(&class_lock::RETAINED, Retained::default()),
        }
    }

    pub(crate) fn page_size(&self) -> usize {
        self.page_size
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn resident(&self) -> usize {
        // Relaxed: a statistic.
        self.resident.load(Ordering::Relaxed)
    }

    /// A run of `pages` pages with any contents.
    pub(crate) fn take(&self, pages: usize) -> Result<NonNull<u8>, NoPages> {
        let run = self.take_any(pages)?;
        shadow::taken(run, pages * self.page_size);
        Ok(run)
    }

    fn take_any(&self, pages: usize) -> Result<NonNull<u8>, NoPages> {
        if let Some(run) = self.take_retained(pages) {
            return Ok(run);
        }
        if !self.reserve(pages) {
            // Retained runs of other lengths may be all that is in the way.
            self.trim(0);
            if !self.reserve(pages) {
                return Err(NoPages::Limit);
            }
        }
        let run = self.source.alloc(pages * self.source_pages());
        run.map_err(|_| {
            self.unreserve(pages);
            NoPages::Source
        })
    }

    /// Gives a run back. No class or zspage lock is held: this may be a system call.
    ///
    /// # Safety
    ///
    /// `run` came from `take(pages)` of this pool and is not used any more.
    pub(crate) unsafe fn give(&self, run: NonNull<u8>, pages: usize) {
        shadow::given_back(run, pages * self.page_size);
        if pages <= self.retain {
            self.retained.lock().put(run, pages);
            self.trim(self.retain);
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.release(run, pages) };
        }
    }

    /// Gives the memory of a part of a run back and keeps its addresses. No class is locked.
    ///
    /// # Safety
    ///
    /// `start` is `pages` whole pages of a run that `take` gave, which nobody accesses meanwhile.
    pub(crate) unsafe fn discard(&self, start: NonNull<u8>, pages: usize) {
        shadow::given_back(start, pages * self.page_size);
        // SAFETY: the caller's promise; a page of ours is whole pages of the source.
        unsafe { self.source.discard(start, pages * self.source_pages()) };
        shadow::taken(start, pages * self.page_size);
    }

    /// Returns retained runs until at most `keep` pages are retained.
    pub(crate) fn trim(&self, keep: usize) {
        loop {
            let mut retained = self.retained.lock();
            if retained.pages <= keep {
                return;
            }
            let Some((run, pages)) = retained.oldest() else {
                return;
            };
            drop(retained);
            // SAFETY: a retained run came from `take`, and it is no longer in the list.
            unsafe { self.release(run, pages) };
        }
    }

    fn take_retained(&self, pages: usize) -> Option<NonNull<u8>> {
        if self.retain == 0 {
            return None;
        }
        self.retained.lock().newest(pages)
    }

    /// # Safety
    ///
    /// As for `give`.
    unsafe fn release(&self, run: NonNull<u8>, pages: usize) {
        // SAFETY: `take` asked the source for this many of its pages; the caller is done with them.
        unsafe { self.source.release(run, pages * self.source_pages()) };
        self.unreserve(pages);
    }

    /// Counts `pages` in, unless that would exceed the limit.
    fn reserve(&self, pages: usize) -> bool {
        // Relaxed: only the sum matters, and a read-modify-write never loses a part of it.
        let counted =
            self.resident
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |resident| {
                    resident.checked_add(pages).filter(|&sum| sum <= self.max)
                });
        counted.is_ok()
    }

    fn unreserve(&self, pages: usize) {
        // Relaxed: see `reserve`.
        self.resident.fetch_sub(pages, Ordering::Relaxed);
    }

    fn source_pages(&self) -> usize {
        self.page_size / SOURCE_PAGE
    }
}

impl<S: PageSource> Drop for Pages<S> {
    fn drop(&mut self) {
        self.trim(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_length_serves_and_the_oldest_of_all_goes() {
        let run = |address: usize| NonNull::without_provenance(address.try_into().unwrap());
        let mut retained = Retained::default();
        for (address, pages) in [(1, 4), (2, 1), (3, 4), (4, 1), (5, 4)] {
            retained.put(run(address), pages);
        }
        assert_eq!(retained.pages, 14);
        assert_eq!(retained.newest(2), None);
        assert_eq!(retained.newest(4), Some(run(5)));
        assert_eq!(retained.oldest(), Some((run(1), 4)));
        assert_eq!(retained.oldest(), Some((run(2), 1)));
        assert_eq!(retained.oldest(), Some((run(3), 4)));
        assert_eq!(retained.pages, 1);
        assert_eq!(retained.newest(4), None);
        assert_eq!(retained.oldest(), Some((run(4), 1)));
        assert_eq!((retained.oldest(), retained.pages), (None, 0));
    }
}
