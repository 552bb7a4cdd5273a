//! The pool's pages: its source, its limit, and the free runs that it retains.

use std::collections::VecDeque;
use std::mem;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backend::{PageSource, SOURCE_PAGE, SourceError, addresses, overlaps};
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
///
/// Invariant: none of them overlaps an excluded span, except those of an evacuation that panics.
#[derive(Default)]
struct Retained {
    /// By length: the runs of `n` pages at `n`, the oldest first. Zspages have few lengths.
    by_length: Vec<VecDeque<Run>>,
    /// Of all of them.
    pages: usize,
    next_stamp: u64,
    /// The addresses that are being evacuated: no run comes from there or is kept there.
    excluded: Vec<Range<usize>>,
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

    /// Takes out all runs that overlap a span of addresses, with their lengths.
    fn take_inside(&mut self, span: &Range<usize>, page_size: usize) -> Vec<(NonNull<u8>, usize)> {
        let span = std::slice::from_ref(span);
        let mut inside = Vec::new();
        for (pages, runs) in self.by_length.iter_mut().enumerate() {
            let before = inside.len();
            runs.retain(|run| {
                let stays = !overlaps(&addresses(run.base, pages * page_size), span);
                if !stays {
                    inside.push((run.base, pages));
                }
                stays
            });
            self.pages -= pages * (inside.len() - before);
        }
        inside
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
        self.retained.lock().excluded.clone()
    }

    /// Lets no run come from a span of addresses, and none be retained there, until the result is
    /// dropped. Exclusions may overlap.
    pub(crate) fn exclude(&self, span: Range<usize>) -> Exclusion<'_, S> {
        let mut retained = self.retained.lock();
        retained.excluded.push(span.clone());
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
        if pages <= self.retain && self.put_retained(run, pages) {
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
        shadow::discarded(start, pages * self.page_size);
        // SAFETY: the caller's promise; a page of ours is whole pages of the source.
        unsafe { self.source.discard(start, pages * self.source_pages()) };
    }

    /// False if the run lies where nothing may stay.
    fn put_retained(&self, run: NonNull<u8>, pages: usize) -> bool {
        let mut retained = self.retained.lock();
        let excluded = overlaps(&addresses(run, pages * self.page_size), &retained.excluded);
        if !excluded {
            retained.put(run, pages);
        }
        !excluded
    }

    /// The address and the pages of every retained run.
    pub(crate) fn retained_runs(&self) -> Vec<(usize, usize)> {
        let retained = self.retained.lock();
        let by_length = retained.by_length.iter().enumerate();
        let address = |pages| move |run: &Run| (run.base.addr().get(), pages);
        by_length
            .flat_map(|(pages, runs)| runs.iter().map(address(pages)))
            .collect()
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
        // A source that panics has the run all the same: the pool can do nothing more with it.
        let _counted = Counted { pool: self, pages };
        // SAFETY: `take` asked the source for this many of its pages; the caller is done with them.
        unsafe { self.source.release(run, pages * self.source_pages()) };
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
        self.trim(0);
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
        let mut runs = Outgoing {
            pool: self.pool,
            runs,
        };
        let mut released = 0;
        while let Some((run, pages)) = runs.runs.pop() {
            // SAFETY: a retained run came from `take`, and it is no longer in the list.
            unsafe { self.pool.release(run, pages) };
            released += pages;
        }
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
        let mut excluded = retained.excluded.iter();
        if let Some(place) = excluded.position(|span| *span == self.span) {
            retained.excluded.swap_remove(place);
        }
        // Relaxed: see `Pages::alloc`.
        self.pool.exclusions.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Runs on their way back to the source. Should it panic, the rest is retained again.
struct Outgoing<'p, S: PageSource> {
    pool: &'p Pages<S>,
    runs: Vec<(NonNull<u8>, usize)>,
}

impl<S: PageSource> Drop for Outgoing<'_, S> {
    fn drop(&mut self) {
        let mut retained = self.pool.retained.lock();
        for (run, pages) in self.runs.drain(..) {
            retained.put(run, pages);
        }
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

    #[test]
    fn runs_that_touch_a_span_are_taken_out() {
        let run = |page: usize| NonNull::without_provenance((page * 4096).try_into().unwrap());
        let mut retained = Retained::default();
        for (page, pages) in [(1, 4), (5, 1), (6, 1), (8, 3), (11, 1), (12, 4)] {
            retained.put(run(page), pages);
        }
        // Pages 4..12: the first and the last run straddle the borders or lie behind them.
        let inside = retained.take_inside(&(4 * 4096..12 * 4096), 4096);
        let expected = [(5, 1), (6, 1), (11, 1), (8, 3), (1, 4)];
        assert_eq!(inside, expected.map(|(page, pages)| (run(page), pages)));
        assert_eq!(retained.oldest(), Some((run(12), 4)));
        assert_eq!((retained.oldest(), retained.pages), (None, 0));
    }
}
