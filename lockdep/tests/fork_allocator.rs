//! A fork while the allocator's own lock is under the validator: what is freed on
//! the way must not be validated while internal locks are held.

#![cfg(unix)]

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use lockdep::{Attempt, LockMap, Mode};

static HEAP: LockMap = LockMap::instance();

thread_local! {
    static TRACKED: Cell<bool> = const { Cell::new(false) };
}

/// Runs `f` as if under the heap's lock, where the test asks for it.
fn locked<R>(f: impl FnOnce() -> R) -> R {
    if !TRACKED.get() {
        return f();
    }
    let held = HEAP.acquire(Mode::Exclusive, Attempt::Block);
    let result = f();
    HEAP.release(held);
    result
}

struct LockedHeap;

// SAFETY: everything is the system allocator's.
unsafe impl GlobalAlloc for LockedHeap {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        // SAFETY: the caller's promise about `layout` is passed on.
        locked(|| unsafe { System.alloc(layout) })
    }

    unsafe fn dealloc(&self, block: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises about both are passed on.
        locked(|| unsafe { System.dealloc(block, layout) })
    }
}

#[global_allocator]
static GLOBAL: LockedHeap = LockedHeap;

#[test]
fn a_fork_under_a_lock_frees_memory_and_does_not_hang() {
    let outer = LockMap::instance();
    outer.release(outer.acquire(Mode::Exclusive, Attempt::Block));
    TRACKED.set(true);
    drop(Box::new(1_u8));
    // Nothing was allocated under this lock before: the order would be new.
    let held = outer.acquire(Mode::Exclusive, Attempt::Block);
    // SAFETY: a hang ends by the alarm, as a failure; the child does nothing that
    // is unsafe after a fork.
    let status = unsafe {
        libc::alarm(60);
        let child = libc::fork();
        if child == 0 {
            libc::_exit(0);
        }
        let mut status = -1;
        libc::waitpid(child, &raw mut status, 0);
        libc::alarm(0);
        status
    };
    outer.release(held);
    TRACKED.set(false);
    assert_eq!(status, 0);
}
