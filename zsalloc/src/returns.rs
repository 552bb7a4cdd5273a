//! Runs on their way back to the source, several with one call.
//!
//! What one free empties goes back at once: its caller is told nothing later. Whoever gives back more
//! than one run collects some, and has returned all of them when the call ends.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::thread;

use crate::backend::PageSource;
use crate::pages::Pages;
use crate::primitive::shadow;

/// How many pages wait for each other: enough that what a call takes by itself does not matter, and few
/// enough that nobody misses 256 KiB. With runs that are longer, so many more as one of them has.
pub(crate) const BATCH_PAGES: usize = 64;

/// Collects runs, and returns them in batches and when it is dropped. No class or zspage lock is held
/// then. They count as resident until they are returned.
pub(crate) struct Returns<'p, S: PageSource> {
    pool: &'p Pages<S>,
    /// Invariant: each came from `take` of the pool and is used no more.
    runs: Vec<(NonNull<u8>, usize)>,
    pages: usize,
}

impl<'p, S: PageSource> Returns<'p, S> {
    pub(crate) fn to(pool: &'p Pages<S>) -> Self {
        Self {
            pool,
            runs: Vec::new(),
            pages: 0,
        }
    }

    /// Like [`Pages::give`], but the source may get the run later.
    ///
    /// # Safety
    ///
    /// As for `give`.
    pub(crate) unsafe fn give(&mut self, run: NonNull<u8>, pages: usize) {
        shadow::given_back(run, pages * self.pool.page_size());
        if !self.pool.retain(run, pages) {
            // SAFETY: the caller's promise.
            unsafe { self.push(run, pages) };
            if self.is_full() {
                self.flush();
            }
        }
    }

    /// Adds a run, without returning any.
    ///
    /// # Safety
    ///
    /// It came from `take(pages)` of the pool and is used no more.
    pub(crate) unsafe fn push(&mut self, run: NonNull<u8>, pages: usize) {
        self.runs.push((run, pages));
        self.pages += pages;
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.pages >= BATCH_PAGES
    }

    /// Returns what was collected.
    pub(crate) fn flush(&mut self) {
        // Taken out first: should the source panic, they have been given to it all the same.
        let runs = std::mem::take(&mut self.runs);
        self.pages = 0;
        // SAFETY: the invariant, and they are in the list no longer.
        unsafe { self.pool.release_many(runs) };
    }
}

impl<S: PageSource> Drop for Returns<'_, S> {
    fn drop(&mut self) {
        if thread::panicking() {
            // A second panic would end the process; and the source has them all the same.
            let _ = catch_unwind(AssertUnwindSafe(|| self.flush()));
        } else {
            self.flush();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::NonZeroUsize;
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::backend::{Heap, SOURCE_PAGE, SourceError};
    use crate::{ClassPolicy, Handle, Pool};

    /// Notes the runs that were released, and panics at each.
    #[derive(Default)]
    struct Failing {
        heap: Heap,
        released: Mutex<Vec<NonZeroUsize>>,
    }

    // SAFETY: all memory is that of the heap.
    unsafe impl PageSource for Failing {
        fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
            self.heap.alloc(pages)
        }

        unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
            self.released.lock().unwrap().push(ptr.addr());
            // SAFETY: the caller's promise.
            unsafe { self.heap.release(ptr, pages) };
            panic!("the source fails");
        }

        unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
            // SAFETY: the caller's promise.
            unsafe { self.heap.discard(ptr, pages) };
        }
    }

    /// Also where another panic is under way already, where a second one would end the process.
    #[test]
    fn a_source_without_release_many_that_panics_gets_each_run_once() {
        for panicking in [false, true] {
            let source = Arc::new(Failing::default());
            let pool = Pages::new(Arc::clone(&source), SOURCE_PAGE, usize::MAX, 0);
            let runs = [1, 2, 1].map(|pages| (pool.take(pages).unwrap(), pages));
            let give = || {
                let mut returns = Returns::to(&pool);
                for (run, pages) in runs {
                    // SAFETY: from `take`, and used no more.
                    unsafe { returns.give(run, pages) };
                }
                assert_eq!(pool.resident(), 4);
                assert!(!panicking, "another panic");
            };
            assert!(catch_unwind(AssertUnwindSafe(give)).is_err());
            assert_eq!(pool.resident(), 0);
            let released = source.released.lock().unwrap();
            assert_eq!(*released, runs.map(|(run, _)| run.addr()));
        }
    }

    /// Notes how many pages each call gives back.
    #[derive(Default)]
    struct Noting {
        heap: Heap,
        one: Mutex<Vec<usize>>,
        many: Mutex<Vec<usize>>,
    }

    // SAFETY: all memory is that of the heap.
    unsafe impl PageSource for Noting {
        fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
            self.heap.alloc(pages)
        }

        unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
            self.one.lock().unwrap().push(pages);
            // SAFETY: the caller's promise.
            unsafe { self.heap.release(ptr, pages) };
        }

        unsafe fn release_many(&self, runs: &[(NonNull<u8>, usize)]) {
            let pages = runs.iter().map(|&(_, pages)| pages).sum();
            self.many.lock().unwrap().push(pages);
            for &(run, pages) in runs {
                // SAFETY: the caller's promise.
                unsafe { self.heap.release(run, pages) };
            }
        }

        unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
            // SAFETY: the caller's promise.
            unsafe { self.heap.discard(ptr, pages) };
        }
    }

    impl Noting {
        /// What single calls gave back since the last time, and what calls of many did.
        fn noted(&self) -> (Vec<usize>, Vec<usize>) {
            let take = |calls: &Mutex<Vec<usize>>| std::mem::take(&mut *calls.lock().unwrap());
            (take(&self.one), take(&self.many))
        }
    }

    fn pool(retain: usize) -> (Pool<zslock::RawZsLock, Arc<Noting>>, Arc<Noting>) {
        let source = Arc::new(Noting::default());
        let builder = Pool::builder().retain_pages(retain);
        let builder = builder.classes(ClassPolicy::Zsmalloc { chain_size: 4 });
        let pool = builder.backend(Arc::clone(&source)).build().unwrap();
        (pool, source)
    }

    fn objects(
        pool: &Pool<zslock::RawZsLock, Arc<Noting>>,
        len: usize,
        count: usize,
    ) -> Vec<Handle> {
        (0..count).map(|_| pool.alloc(len).unwrap()).collect()
    }

    #[test]
    fn one_free_returns_at_once_and_many_frees_in_batches() {
        let (pool, source) = pool(0);
        let mut handles = objects(&pool, 4096, 201);
        pool.free(handles.pop().unwrap());
        assert_eq!(
            (pool.resident_pages(), source.noted()),
            (200, (vec![1], vec![]))
        );
        pool.free_many(handles);
        assert_eq!(pool.resident_pages(), 0);
        assert_eq!(source.noted(), (vec![], vec![64, 64, 64, 8]));
    }

    #[test]
    fn compaction_has_returned_all_when_it_ends() {
        let (pool, source) = pool(0);
        let handles = objects(&pool, 1024, 400).into_iter().enumerate();
        let (kept, freed): (Vec<_>, Vec<_>) = handles.partition(|(i, _)| i % 4 == 0);
        pool.free_many(freed.into_iter().map(|(_, handle)| handle));
        assert_eq!(
            (pool.resident_pages(), source.noted()),
            (100, (vec![], vec![]))
        );
        assert_eq!(pool.compact().pages_freed, 75);
        assert_eq!(pool.resident_pages(), 25);
        assert_eq!(source.noted(), (vec![], vec![64, 11]));
        pool.free_many(kept.into_iter().map(|(_, handle)| handle));
    }

    /// Up to 127 pages exactly as many as asked for; of more, one in 64 may be missing.
    #[test]
    fn what_is_retained_goes_back_in_batches_if_it_is_much() {
        for (retain, batch) in [(100, 1), (640, 10), (8192, 64)] {
            let (pool, source) = pool(retain);
            let handles = objects(&pool, 4096, retain + 3 * batch);
            handles.into_iter().for_each(|handle| pool.free(handle));
            assert_eq!(pool.resident_pages(), retain);
            assert_eq!(source.noted(), (vec![], vec![batch; 3]));
            pool.trim();
            assert_eq!(pool.resident_pages(), 0);
        }
    }

    #[test]
    fn a_pool_that_ends_returns_in_batches() {
        let (pool, source) = pool(0);
        objects(&pool, 4096, 130)
            .into_iter()
            .for_each(std::mem::forget);
        drop(pool);
        assert_eq!(source.noted(), (vec![], vec![64, 64, 2]));
    }
}
