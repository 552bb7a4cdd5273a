//! Where a pool's pages come from.

mod failing;
mod heap;
mod mmap;
mod region;

use std::fmt;
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
/// A successful `alloc(n)` returns memory of `n * SOURCE_PAGE` bytes, aligned to `SOURCE_PAGE`,
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

    /// Takes back a run.
    ///
    /// # Safety
    ///
    /// `ptr` came from `alloc(pages)` of this source, and is not used any more.
    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize);

    /// Gives the memory of some pages back to the system and keeps their addresses: they read as
    /// zeros when they are touched again.
    ///
    /// # Safety
    ///
    /// The pages at `ptr` lie within one run of this source, aligned to
    /// [`granularity`](Self::granularity), and nobody accesses them during the call.
    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize);

    /// The smallest piece that this source can hand out and take back, in bytes; a power of two. A
    /// pool's page size must be at least as large.
    fn granularity(&self) -> usize {
        SOURCE_PAGE
    }
}

// SAFETY: forwards to a source that keeps the promise.
unsafe impl<S: PageSource + ?Sized> PageSource for Arc<S> {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        (**self).alloc(pages)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { (**self).release(ptr, pages) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { (**self).discard(ptr, pages) }
    }

    fn granularity(&self) -> usize {
        (**self).granularity()
    }
}
