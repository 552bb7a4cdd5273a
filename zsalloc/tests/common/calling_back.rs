//! A page source that calls back, so that a test can do something in the middle of what the pool does.

use std::ptr::NonNull;
use std::sync::Mutex;

use zsalloc::lock_api::RawRwLock;
use zsalloc::{Handle, Heap, PageSource, Pool, SourceError};

use super::object;

/// Calls back for each run that is allocated or released, and before pages are discarded.
#[derive(Default)]
pub(crate) struct CallingBack {
    heap: Heap,
    callback: Mutex<Option<fn(Call)>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Call {
    Alloc,
    Release,
    Discard,
}

impl CallingBack {
    fn call(&self, call: Call) {
        let callback = *self.callback.lock().unwrap();
        if let Some(callback) = callback {
            callback(call);
        }
    }

    pub(crate) fn set(&self, callback: Option<fn(Call)>) {
        *self.callback.lock().unwrap() = callback;
    }
}

// SAFETY: hands out what `Heap` hands out.
unsafe impl PageSource for CallingBack {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        self.call(Call::Alloc);
        self.heap.alloc(pages)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        self.call(Call::Release);
        // SAFETY: the caller's promise is the same.
        unsafe { self.heap.release(ptr, pages) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        self.call(Call::Discard);
        // SAFETY: the caller's promise is the same.
        unsafe { self.heap.discard(ptr, pages) }
    }
}

/// Eighteen objects in zspages as short as the class was small: six of one page, one of five, one of
/// nine. They need one of thirteen pages (sixteen slots) and one of two.
pub(crate) fn outgrown<L: RawRwLock, S: PageSource>(pool: &Pool<L, S>) -> Vec<Handle> {
    let handles = (0..18)
        .map(|i| pool.insert(&object(3328, i)).unwrap())
        .collect();
    let pages: Vec<_> = pool.zspages().map(|zspage| zspage.pages).collect();
    assert_eq!(pages, [1, 1, 1, 1, 1, 1, 5, 9]);
    assert_eq!(pool.freeable(), 5);
    handles
}
