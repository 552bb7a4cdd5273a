//! Where a pool's pages come from.

mod advice;
mod failing;
mod heap;
mod mmap;
pub(crate) mod region;
mod regions;

use std::fmt;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::Arc;

pub use failing::Failing;
pub use heap::Heap;
pub use mmap::Mmap;

/// The unit of [`PageSource`], in bytes. A pool with larger pages asks for several at a time.
pub const SOURCE_PAGE: usize = 4096;

/// The page source could not serve a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SourceError;

impl fmt::Display for SourceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the page source has no pages")
    }
}

impl std::error::Error for SourceError {}

/// Hands out runs of pages of [`SOURCE_PAGE`] bytes.
///
/// All methods may be called by many threads at once, while no class lock of the pool is held and no
/// zspage lock, except that `discard` is called with the zspage held for reading.
///
/// # Safety
///
/// A successful `alloc(n)` or `alloc_outside(n, _)` returns memory of `n * SOURCE_PAGE` bytes, aligned to `SOURCE_PAGE`,
/// zeroed, readable and writable by every thread, and used by nobody else until it is released or
/// the source is dropped.
pub unsafe trait PageSource: Send + Sync {
    /// A run of `pages` contiguous pages; `pages` is not 0.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if there is no such run. The pool reports it as
    /// [`AllocError::OutOfMemory`](crate::AllocError::OutOfMemory); nothing is lost.
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError>;

    /// A run of `pages` contiguous pages no part of which lies in the excluded spans of addresses:
    /// the regions that are being [evacuated](crate::Pool::evacuate).
    ///
    /// By default it allocates until a run is outside, and releases the others then. That ends, as
    /// runs are disjoint and only so many overlap the spans; but it needs that many for a moment. A
    /// source that knows its addresses does better.
    ///
    /// # Errors
    ///
    /// [`SourceError`] if there is no such run.
    fn alloc_outside(
        &self,
        pages: usize,
        excluded: &[Range<usize>],
    ) -> Result<NonNull<u8>, SourceError> {
        let mut inside = Inside {
            source: self,
            runs: Vec::new(),
            pages,
        };
        loop {
            let run = self.alloc(pages)?;
            if !overlaps(&addresses(run, pages * SOURCE_PAGE), excluded) {
                return Ok(run);
            }
            inside.runs.push(run);
        }
    }

    /// Takes back a run.
    ///
    /// # Safety
    ///
    /// `ptr` came from `alloc` or `alloc_outside` of this source for as many pages, and is not used any
    /// more.
    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize);

    /// Takes back several runs (one at least), each as its address and its pages: what a compaction or
    /// [`free_many`](crate::Pool::free_many) has emptied. By default one by one, and if `release` panics
    /// the others follow before the panic goes on. A source that pays for each call to the system does
    /// better. Whether it panics or not, the pool counts all of them as given back and uses none again.
    ///
    /// # Safety
    ///
    /// As for [`release`](Self::release), for each of them; no two are the same.
    unsafe fn release_many(&self, runs: &[(NonNull<u8>, usize)]) {
        let mut panicked = None;
        for &(run, pages) in runs {
            // SAFETY: the caller's promise.
            let release = || unsafe { self.release(run, pages) };
            if let Err(panic) = catch_unwind(AssertUnwindSafe(release)) {
                panicked.get_or_insert(panic);
            }
        }
        if let Some(panic) = panicked {
            resume_unwind(panic);
        }
    }

    /// Gives the memory of some pages back to the system and keeps their addresses: they read as
    /// zeros when they are touched again.
    ///
    /// # Safety
    ///
    /// The pages at `ptr` lie within one run of this source, aligned to
    /// [`granularity`](Self::granularity), and nobody accesses them during the call.
    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize);

    /// Gives back what the source keeps in a span of addresses for later allocations. Returns whether
    /// nothing of the source is left there: neither a run of anybody nor anything kept. By default it
    /// keeps nothing and does not know: `false`.
    fn trim(&self, span: Range<usize>) -> bool {
        let _ = span;
        false
    }

    /// The smallest piece that this source can hand out and take back, in bytes; a power of two. A
    /// pool's page size must be at least as large.
    fn granularity(&self) -> usize {
        SOURCE_PAGE
    }
}

/// Runs that [`PageSource::alloc_outside`] could not use. They go back even if `alloc` panics.
struct Inside<'s, S: PageSource + ?Sized> {
    source: &'s S,
    runs: Vec<NonNull<u8>>,
    pages: usize,
}

impl<S: PageSource + ?Sized> Drop for Inside<'_, S> {
    fn drop(&mut self) {
        for &run in &self.runs {
            // SAFETY: from `alloc(pages)` of the source, and unused.
            unsafe { self.source.release(run, self.pages) };
        }
    }
}

/// The addresses of a run.
pub(crate) fn addresses(run: NonNull<u8>, bytes: usize) -> Range<usize> {
    run.addr().get()..run.addr().get() + bytes
}

/// Whether any address is in one of the spans, too.
pub(crate) fn overlaps(addresses: &Range<usize>, spans: &[Range<usize>]) -> bool {
    let mut spans = spans.iter();
    spans.any(|span| span.start < addresses.end && addresses.start < span.end)
}

// SAFETY: forwards to a source that keeps the promise.
unsafe impl<S: PageSource + ?Sized> PageSource for Arc<S> {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        (**self).alloc(pages)
    }

    fn alloc_outside(
        &self,
        pages: usize,
        excluded: &[Range<usize>],
    ) -> Result<NonNull<u8>, SourceError> {
        (**self).alloc_outside(pages, excluded)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { (**self).release(ptr, pages) }
    }

    unsafe fn release_many(&self, runs: &[(NonNull<u8>, usize)]) {
        // SAFETY: the caller's promise is the same.
        unsafe { (**self).release_many(runs) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { (**self).discard(ptr, pages) }
    }

    fn trim(&self, span: Range<usize>) -> bool {
        (**self).trim(span)
    }

    fn granularity(&self) -> usize {
        (**self).granularity()
    }
}
