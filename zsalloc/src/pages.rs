//! The pool's pages: its source, its limit, and the free runs that it retains.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backend::{PageSource, SOURCE_PAGE};
use crate::class_lock::{self, PoolMutex, leaf_mutex};

/// Why there are no pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPages {
    Source,
    Limit,
}

/// A free run that was not returned to the source.
struct Retained {
    run: NonNull<u8>,
    pages: usize,
}

// SAFETY: the run belongs to whoever has the value; no thread is tied to it.
unsafe impl Send for Retained {}

/// Hands out runs in units of the pool's page size.
pub(crate) struct Pages<S: PageSource> {
    source: S,
    page_size: usize,
    max: usize,
    /// Pages taken from the source: in zspages, in migrations in progress, and retained.
    resident: AtomicUsize,
    retain: usize,
    retained: PoolMutex<Vec<Retained>>,
}

impl<S: PageSource> Pages<S> {
    pub(crate) fn new(source: S, page_size: usize, max: usize, retain: usize) -> Self {
        Self {
            source,
            page_size,
            max,
            resident: AtomicUsize::new(0),
            retain,
            retained: leaf_mutex(&class_lock::RETAINED, Vec::new()),
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
        if pages <= self.retain {
            let mut retained = self.retained.lock();
            retained.push(Retained { run, pages });
            drop(retained);
            self.trim(self.retain);
        } else {
            // SAFETY: the caller's promise.
            unsafe { self.release(run, pages) };
        }
    }

    /// Returns retained runs until at most `keep` pages are retained.
    pub(crate) fn trim(&self, keep: usize) {
        loop {
            let mut retained = self.retained.lock();
            let pages: usize = retained.iter().map(|run| run.pages).sum();
            if pages <= keep {
                return;
            }
            // The oldest: the newest is the one most likely to be in a cache.
            let Retained { run, pages } = retained.remove(0);
            drop(retained);
            // SAFETY: a retained run came from `take`, and it is no longer in the list.
            unsafe { self.release(run, pages) };
        }
    }

    fn take_retained(&self, pages: usize) -> Option<NonNull<u8>> {
        if self.retain == 0 {
            return None;
        }
        let mut retained = self.retained.lock();
        let newest = retained.iter().rposition(|run| run.pages == pages)?;
        Some(retained.remove(newest).run)
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
