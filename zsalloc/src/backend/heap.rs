//! Pages from the global allocator.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::ptr::NonNull;

use super::{PageSource, SOURCE_PAGE, SourceError};

/// Memory of the global allocator, so that tools that watch the heap see every page. Whether it
/// goes back to the system is up to that allocator.
#[derive(Clone, Copy, Debug, Default)]
pub struct Heap;

impl Heap {
    /// The source. It holds nothing until pages are allocated.
    pub const fn new() -> Self {
        Self
    }

    fn layout(pages: usize) -> Result<Layout, SourceError> {
        let bytes = pages.checked_mul(SOURCE_PAGE).ok_or(SourceError)?;
        Layout::from_size_align(bytes, SOURCE_PAGE).map_err(|_| SourceError)
    }
}

// SAFETY: the global allocator gives exclusive memory of the size and alignment asked for, zeroed.
unsafe impl PageSource for Heap {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        let layout = Self::layout(pages)?;
        if layout.size() == 0 {
            return Err(SourceError);
        }
        // SAFETY: the size is not 0.
        NonNull::new(unsafe { alloc_zeroed(layout) }).ok_or(SourceError)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        if let Ok(layout) = Self::layout(pages) {
            // SAFETY: the caller passes what `alloc` returned for the same number of pages.
            unsafe { dealloc(ptr.as_ptr(), layout) };
        }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // The global allocator cannot take a part back; zeroing keeps the rest of the promise.
        // SAFETY: the pages are ours and nobody accesses them now.
        unsafe { ptr.write_bytes(0, pages * SOURCE_PAGE) };
    }
}

#[cfg(test)]
mod tests {
    use super::Heap;
    use crate::Pool;

    #[test]
    #[allow(clippy::default_constructed_unit_structs)]
    fn it_is_a_value_as_it_stands() {
        for source in [Heap, Heap::new(), Heap::default()] {
            let pool = Pool::builder().backend(source).build().unwrap();
            assert!(pool.alloc(1).is_ok_and(|handle| pool.len(&handle) == 1));
        }
    }
}
