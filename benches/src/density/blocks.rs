//! Blocks of an allocator as a [`Store`].
//!
//! The allocator is called directly: nothing but the objects comes from it, and one program has them all. (Made the
//! global allocator it would serve the objects in the same way, and the program's own few allocations too.)

use std::alloc::{GlobalAlloc, Layout};
use std::fmt;
use std::ptr::NonNull;
use std::slice;

use zsalloc::AllocError;
use zsalloc::testbed::Store;

/// An allocator and its customary call that gives free memory back.
pub struct Blocks<A> {
    allocator: A,
    purge: fn(),
}

impl<A> Blocks<A> {
    /// Nothing is stored yet.
    pub const fn new(allocator: A, purge: fn()) -> Self {
        Self { allocator, purge }
    }
}

/// A block: 16 bytes, like a `Box<[u8]>`.
#[derive(Debug)]
pub struct Block {
    start: NonNull<u8>,
    len: usize,
}

// SAFETY: a block is bytes that only its owner reaches, and allocators free on any thread.
unsafe impl Send for Block {}
// SAFETY: a shared block is only read.
unsafe impl Sync for Block {}

/// What `put` asks for: bytes need no alignment.
fn layout(len: usize) -> Layout {
    Layout::array::<u8>(len).expect("objects are short")
}

impl<A: GlobalAlloc> Store for Blocks<A> {
    type Key = Block;

    fn put(&self, bytes: &[u8]) -> Result<Block, AllocError> {
        if bytes.is_empty() {
            return Err(AllocError::ZeroSize);
        }
        // SAFETY: the layout is not empty.
        let start = unsafe { self.allocator.alloc(layout(bytes.len())) };
        let start = NonNull::new(start).ok_or(AllocError::OutOfMemory)?;
        // SAFETY: the block is new, so it does not overlap `bytes`, and has as many.
        unsafe { start.copy_from_nonoverlapping(NonNull::from(bytes).cast(), bytes.len()) };
        Ok(Block {
            start,
            len: bytes.len(),
        })
    }

    fn get<R>(&self, block: &Block, read: impl FnOnce(&[u8]) -> R) -> R {
        // SAFETY: `put` made the block and filled it; the borrow keeps it from `del`.
        read(unsafe { slice::from_raw_parts(block.start.as_ptr(), block.len) })
    }

    fn del(&self, block: Block) {
        // SAFETY: `put` allocated it with this layout, and it ends here.
        unsafe {
            self.allocator
                .dealloc(block.start.as_ptr(), layout(block.len));
        }
    }

    /// How many bytes these were the calls do not tell.
    fn compact(&self) -> usize {
        (self.purge)();
        0
    }
}

impl<A> fmt::Debug for Blocks<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Blocks")
    }
}

/// Gives back glibc's whole free pages, in all arenas.
pub fn trim_glibc() {
    // SAFETY: it touches only free memory of malloc.
    unsafe { libc::malloc_trim(0) };
}

/// What glibc holds free, in all arenas.
#[must_use]
pub fn free_in_glibc() -> u64 {
    // SAFETY: it only counts.
    let counted = unsafe { libc::mallinfo2() };
    counted.fordblks as u64
}

/// Empties this thread's cache and purges all arenas.
#[cfg(feature = "allocators")]
pub fn purge_jemalloc() {
    use std::ptr::null_mut;
    // 4096 is MALLCTL_ARENAS_ALL, the pseudo-index of all arenas.
    for name in [c"thread.tcache.flush", c"arena.4096.purge"] {
        // SAFETY: the name ends with a zero; neither takes nor returns a value.
        let error = unsafe {
            tikv_jemalloc_sys::mallctl(name.as_ptr(), null_mut(), null_mut(), null_mut(), 0)
        };
        assert_eq!(error, 0, "jemalloc knows {name:?}");
    }
}

/// Collects by force what mimalloc keeps.
#[cfg(feature = "allocators")]
pub fn collect_mimalloc() {
    // SAFETY: it touches only free memory of mimalloc.
    unsafe { libmimalloc_sys::mi_collect(true) };
}

#[cfg(test)]
mod tests {
    use std::alloc::System;

    use super::*;
    use zsalloc::testbed::exercise;

    #[test]
    fn every_allocator_is_a_store() {
        assert_eq!(exercise(&Blocks::new(System, trim_glibc), 4000, 1), Ok(()));
        #[cfg(feature = "allocators")]
        {
            let jemalloc = Blocks::new(tikv_jemallocator::Jemalloc, purge_jemalloc);
            assert_eq!(exercise(&jemalloc, 4000, 2), Ok(()));
            let mimalloc = Blocks::new(mimalloc::MiMalloc, collect_mimalloc);
            assert_eq!(exercise(&mimalloc, 4000, 3), Ok(()));
            let snmalloc = Blocks::new(snmalloc_rs::SnMalloc, || {});
            assert_eq!(exercise(&snmalloc, 4000, 4), Ok(()));
        }
    }

    #[test]
    fn nothing_is_an_error() {
        let blocks = Blocks::new(System, trim_glibc);
        assert_eq!(blocks.put(&[]).unwrap_err(), AllocError::ZeroSize);
    }
}
