//! The pool's pages: its source, its limit, and the free runs that it retains.

use std::mem;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backend::{PageSource, SOURCE_PAGE, SourceError, addresses, overlaps};
use crate::class_lock::{self, PoolMutex, leaf_mutex};
use crate::primitive::shadow;
use crate::retained::Retained;
use crate::returns::{BATCH_PAGES, Returns};

/// Why there are no pages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPages {
    Source,
    Limit,
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
    /// The number of excluded spans. Changes with `retained` locked.
    exclusions: AtomicUsize,
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
            exclusions: AtomicUsize::new(0),
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
        let counted = Counted { pool: self, pages };
        let run = self.alloc(pages * self.source_pages());
        let run = run.map_err(|_| NoPages::Source)?;
        mem::forget(counted);
        Ok(run)
    }

    /// Like `take`; the run goes back unless it is exchanged.
    pub(crate) fn take_spare(&self, pages: usize) -> Result<SpareRun<'_, S>, NoPages> {
        let base = self.take(pages)?;
        Ok(SpareRun {
            pool: self,
            base,
            pages,
        })
    }

    /// A run of `pages` pages of the source, outside of what is excluded.
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        // Relaxed: an exclusion that begins at this moment may be missed. This run then belongs to
        // those that were taken before, which whoever excludes has to look for anyway.
        if self.exclusions.load(Ordering::Relaxed) == 0 {
            return self.source.alloc(pages);
        }
        let excluded = self.excluded();
        let run = self.source.alloc_outside(pages, &excluded)?;
        if overlaps(&addresses(run, pages * SOURCE_PAGE), &excluded) {
            // The source does not keep to it. An evacuation would never end.
            // SAFETY: just allocated, and unused.
            unsafe { self.source.release(run, pages) };
            return Err(SourceError);
        }
        Ok(run)
    }

    /// The addresses that no run comes from at the moment.
    pub(crate) fn excluded(&self) -> Vec<Range<usize>> {
        self.retained.lock().excluded().to_vec()
    }

    /// Lets no run come from a span of addresses, and none be retained there, until the result is
    /// dropped. Exclusions may overlap.
    pub(crate) fn exclude(&self, span: Range<usize>) -> Exclusion<'_, S> {
        let mut retained = self.retained.lock();
        retained.exclude(span.clone());
        // Relaxed: see `alloc`.
        self.exclusions.fetch_add(1, Ordering::Relaxed);
        Exclusion { pool: self, span }
    }

    /// Gives a run back. No class or zspage lock is held: this may be a system call.
    ///
    /// # Safety
    ///
    /// `run` came from `take(pages)` of this pool and is not used any more.
    pub(crate) unsafe fn give(&self, run: NonNull<u8>, pages: usize) {
        shadow::given_back(run, pages * self.page_size);
        if !self.retain(run, pages) {
            // SAFETY: the caller's promise.
            unsafe { self.release(run, pages) };
        }
    }

    /// Keeps a free run, if it may be kept; then others may go back. No class or zspage lock is held.
    pub(crate) fn retain(&self, run: NonNull<u8>, pages: usize) -> bool {
        if pages > self.retain {
            return false;
        }
        let Some(retained) = self.put_retained(run, pages) else {
            return false;
        };
        if retained > self.retain {
            // Of many some more than necessary, as one call can return several.
            let batch = (self.retain / BATCH_PAGES).clamp(1, BATCH_PAGES);
            self.trim(self.retain + 1 - batch);
        }
        true
    }

    /// Gives the memory of a part of a run back and keeps its addresses. No class is locked.
    ///
    /// # Safety
    ///
    /// `start` is `pages` whole pages of a run that `take` gave, which nobody accesses meanwhile.
    pub(crate) unsafe fn discard(&self, start: NonNull<u8>, pages: usize) {
        shadow::discarded(start, pages * self.page_size);
        // SAFETY: the caller's promise; a page of ours is whole pages of the source.
        unsafe { self.source.discard(start, pages * self.source_pages()) };
    }

    /// The pages retained then; `None` if the run lies where nothing may stay.
    fn put_retained(&self, run: NonNull<u8>, pages: usize) -> Option<usize> {
        let mut retained = self.retained.lock();
        if overlaps(&addresses(run, pages * self.page_size), retained.excluded()) {
            return None;
        }
        retained.put(run, pages);
        Some(retained.pages())
    }

    /// The address and the pages of every retained run.
    pub(crate) fn retained_runs(&self) -> Vec<(usize, usize)> {
        self.retained.lock().runs()
    }

    /// Whether free pages are retained: who wants that has memory to spare and saves system calls.
    pub(crate) fn retains(&self) -> bool {
        self.retain > 0
    }

    /// Returns retained runs until at most `keep` pages are retained.
    pub(crate) fn trim(&self, keep: usize) {
        loop {
            let mut returns = Returns::to(self);
            let mut retained = self.retained.lock();
            while retained.pages() > keep && !returns.is_full() {
                let Some((run, pages)) = retained.oldest() else {
                    break;
                };
                // SAFETY: a retained run came from `take`, and it is no longer in the list.
                unsafe { returns.push(run, pages) };
            }
            drop(retained);
            if returns.is_empty() {
                return;
            }
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
        // A source that panics has the run all the same: the pool can do nothing more with it.
        let _counted = Counted { pool: self, pages };
        // SAFETY: `take` asked the source for this many of its pages; the caller is done with them.
        unsafe { self.source.release(run, pages * self.source_pages()) };
    }

    /// # Safety
    ///
    /// As for `give`, for each of them.
    pub(crate) unsafe fn release_many(&self, mut runs: Vec<(NonNull<u8>, usize)>) {
        if runs.is_empty() {
            return;
        }
        let pages = runs.iter().map(|&(_, pages)| pages).sum();
        // As in `release`.
        let _counted = Counted { pool: self, pages };
        for (_, pages) in &mut runs {
            *pages *= self.source_pages();
        }
        // SAFETY: `take` asked the source for these; the caller is done with them.
        unsafe { self.source.release_many(&runs) };
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

    fn source_pages(&self) -> usize {
        self.page_size / SOURCE_PAGE
    }
}

impl<S: PageSource> Drop for Pages<S> {
    fn drop(&mut self) {
        /// Goes on with the other runs, should the source panic at one.
        struct Rest<'p, S: PageSource>(&'p Pages<S>);
        impl<S: PageSource> Drop for Rest<'_, S> {
            fn drop(&mut self) {
                self.0.trim(0);
            }
        }
        let rest = Rest(self);
        rest.0.trim(0);
    }
}

/// Pages that are counted as resident: until this is dropped, which happens also if the source
/// panics.
struct Counted<'p, S: PageSource> {
    pool: &'p Pages<S>,
    pages: usize,
}

impl<S: PageSource> Drop for Counted<'_, S> {
    fn drop(&mut self) {
        // Relaxed: see `reserve`.
        self.pool.resident.fetch_sub(self.pages, Ordering::Relaxed);
    }
}

/// A run that goes back when this is dropped; with no class or zspage locked.
pub(crate) struct SpareRun<'p, S: PageSource> {
    pool: &'p Pages<S>,
    base: NonNull<u8>,
    pages: usize,
}

impl<S: PageSource> SpareRun<'_, S> {
    pub(crate) fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Lets another run go back instead.
    ///
    /// # Safety
    ///
    /// `other` is as long, came from `take` of the same pool, and is not used any more when this is
    /// dropped.
    pub(crate) unsafe fn exchange(&mut self, other: NonNull<u8>) {
        self.base = other;
    }
}

impl<S: PageSource> Drop for SpareRun<'_, S> {
    fn drop(&mut self) {
        // SAFETY: from `take(pages)`, and unused: so `take_spare` made it, and `exchange` was
        // promised.
        unsafe { self.pool.give(self.base, self.pages) };
    }
}

/// A span of addresses that no run comes from: see [`Pages::exclude`].
pub(crate) struct Exclusion<'p, S: PageSource> {
    pool: &'p Pages<S>,
    span: Range<usize>,
}

impl<S: PageSource> Exclusion<'_, S> {
    /// Returns the retained runs inside to their source; how many pages these were. None comes
    /// after that.
    pub(crate) fn release_retained(&self) -> usize {
        let page_size = self.pool.page_size;
        let runs = self.pool.retained.lock().take_inside(&self.span, page_size);
        let released = runs.iter().map(|&(_, pages)| pages).sum();
        // SAFETY: retained runs came from `take`, and they are no longer in the list.
        unsafe { self.pool.release_many(runs) };
        released
    }

    /// Lets the source give back what it keeps inside. Returns whether nothing is left there.
    pub(crate) fn trim_source(&self) -> bool {
        self.pool.source.trim(self.span.clone())
    }
}

impl<S: PageSource> Drop for Exclusion<'_, S> {
    fn drop(&mut self) {
        let mut retained = self.pool.retained.lock();
        retained.end_exclusion(&self.span);
        // Relaxed: see `Pages::alloc`.
        self.pool.exclusions.fetch_sub(1, Ordering::Relaxed);
    }
}
