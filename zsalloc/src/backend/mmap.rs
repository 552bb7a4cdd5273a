//! Pages from the operating system.

use std::ffi::c_void;
use std::ptr::{self, NonNull};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::{PageSource, SOURCE_PAGE, SourceError};

/// Anonymous private memory of the operating system; a released run really goes back to it.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Mmap {}

impl Mmap {
    /// The source. It holds nothing until pages are allocated.
    pub const fn new() -> Self {
        Self {}
    }
}

// SAFETY: the kernel gives page-aligned, zeroed, private memory that belongs to the caller.
unsafe impl PageSource for Mmap {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        let bytes = pages * SOURCE_PAGE;
        // SAFETY: a null address lets the kernel choose; no existing mapping is touched.
        let run = unsafe {
            mmap_anonymous(
                ptr::null_mut(),
                bytes,
                ProtFlags::READ | ProtFlags::WRITE,
                MapFlags::PRIVATE,
            )
        };
        NonNull::new(run.map_err(|_| SourceError)?.cast()).ok_or(SourceError)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        let (run, bytes) = (ptr.as_ptr().cast::<c_void>(), pages * SOURCE_PAGE);
        // SAFETY: the run is a whole mapping of ours that the caller no longer uses.
        if unsafe { munmap(run, bytes) }.is_err() {
            // Splitting a mapping can exceed the limit on mappings. Then the addresses are lost,
            // but the memory still goes back.
            // SAFETY: as above.
            unsafe { self.discard(ptr, pages) };
        }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        let (run, bytes) = (ptr.as_ptr().cast::<c_void>(), pages * SOURCE_PAGE);
        // DONTNEED, not FREE: the latter would leave the memory resident until there is pressure,
        // and would not promise zeros.
        // SAFETY: the caller does not access the pages, and nobody relies on their contents.
        let done = unsafe { madvise(run, bytes, Advice::LinuxDontNeed) };
        debug_assert!(done.is_ok(), "madvise: {done:?}");
    }

    fn granularity(&self) -> usize {
        rustix::param::page_size()
    }
}
