//! A page source around another: counts what is out.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};

use zsalloc::{Mmap, PageSource, SourceError};

/// Pages of the system, with a meter. (All orderings are Relaxed: nothing is published by the counts.)
#[derive(Default)]
pub(crate) struct Metered {
    inner: Mmap,
    out: AtomicUsize,
    most: AtomicUsize,
}

impl Metered {
    /// The pages that are out now, and the most that ever were.
    pub(crate) fn out_and_most(&self) -> (usize, usize) {
        let load = |count: &AtomicUsize| count.load(Ordering::Relaxed);
        (load(&self.out), load(&self.most))
    }

    fn count(&self, pages: usize) {
        let out = self.out.fetch_add(pages, Ordering::Relaxed) + pages;
        self.most.fetch_max(out, Ordering::Relaxed);
    }
}

// SAFETY: hands out what `Mmap` hands out.
unsafe impl PageSource for Metered {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        let run = self.inner.alloc(pages)?;
        self.count(pages);
        Ok(run)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.inner.release(ptr, pages) };
        self.out.fetch_sub(pages, Ordering::Relaxed);
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.inner.discard(ptr, pages) }
    }

    // The rest has defaults, which do not know what `Mmap` knows.

    fn alloc_outside(
        &self,
        pages: usize,
        excluded: &[Range<usize>],
    ) -> Result<NonNull<u8>, SourceError> {
        let run = self.inner.alloc_outside(pages, excluded)?;
        self.count(pages);
        Ok(run)
    }

    fn trim(&self, span: Range<usize>) -> bool {
        self.inner.trim(span)
    }

    fn granularity(&self) -> usize {
        self.inner.granularity()
    }
}
