//! A page source that fails on demand, for tests.

use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicU64, Ordering};

use super::{PageSource, SourceError};

/// Wraps a source and lets chosen allocations fail, so that tests can show that nothing is lost.
///
/// ```
/// use std::sync::Arc;
/// use zsalloc::{AllocError, Failing, Heap, Pool};
///
/// let source = Arc::new(Failing::new(Heap::new()));
/// let pool = Pool::builder().backend(Arc::clone(&source)).build()?;
/// source.fail_from(0);
/// assert_eq!(pool.insert(b"abc").unwrap_err(), AllocError::OutOfMemory);
/// source.never_fail();
/// let handle = pool.insert(b"abc").unwrap();
/// assert_eq!(&*pool.read(&handle), b"abc");
/// # pool.free(handle);
/// # Ok::<(), zsalloc::BuildError>(())
/// ```
#[derive(Debug, Default)]
pub struct Failing<S> {
    inner: S,
    calls: AtomicU64,
    /// Calls in `fail_from..fail_to` fail.
    fail_from: AtomicU64,
    fail_to: AtomicU64,
}

impl<S> Failing<S> {
    /// A source that does not fail yet.
    pub const fn new(inner: S) -> Self {
        Self {
            inner,
            calls: AtomicU64::new(0),
            fail_from: AtomicU64::new(0),
            fail_to: AtomicU64::new(0),
        }
    }

    /// How many allocations were asked for so far.
    pub fn calls(&self) -> u64 {
        // Relaxed, here and below: a counter and settings of a test; nothing is published by them.
        self.calls.load(Ordering::Relaxed)
    }

    /// Lets only allocation number `call` (the first is 0) fail.
    pub fn fail_at(&self, call: u64) {
        self.fail_to
            .store(call.saturating_add(1), Ordering::Relaxed);
        self.fail_from.store(call, Ordering::Relaxed);
    }

    /// Lets allocation number `call` (the first is 0) and all later ones fail.
    pub fn fail_from(&self, call: u64) {
        self.fail_to.store(u64::MAX, Ordering::Relaxed);
        self.fail_from.store(call, Ordering::Relaxed);
    }

    /// Lets no further allocation fail.
    pub fn never_fail(&self) {
        self.fail_to.store(0, Ordering::Relaxed);
    }

    /// Counts an allocation, and says whether it may go on.
    fn count(&self) -> Result<(), SourceError> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        let from = self.fail_from.load(Ordering::Relaxed);
        let to = self.fail_to.load(Ordering::Relaxed);
        let fails = (from..to).contains(&call);
        if fails { Err(SourceError) } else { Ok(()) }
    }
}

// SAFETY: hands out what the inner source hands out, or nothing.
unsafe impl<S: PageSource> PageSource for Failing<S> {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        self.count()?;
        self.inner.alloc(pages)
    }

    fn alloc_outside(
        &self,
        pages: usize,
        excluded: &[Range<usize>],
    ) -> Result<NonNull<u8>, SourceError> {
        self.count()?;
        self.inner.alloc_outside(pages, excluded)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.inner.release(ptr, pages) }
    }

    unsafe fn release_many(&self, runs: &[(NonNull<u8>, usize)]) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.inner.release_many(runs) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.inner.discard(ptr, pages) }
    }

    fn trim(&self, span: Range<usize>) -> bool {
        self.inner.trim(span)
    }

    fn granularity(&self) -> usize {
        self.inner.granularity()
    }
}

#[cfg(test)]
mod tests {
    use super::Failing;
    use crate::{Heap, Pool};

    #[test]
    fn the_last_call_is_a_number_like_any_other() {
        let source = Failing::new(Heap::new());
        source.fail_at(u64::MAX);
        let pool = Pool::builder().backend(source).build().unwrap();
        pool.free(pool.alloc(1).unwrap());
    }
}
