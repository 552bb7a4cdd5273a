//! Panics in code that the pool calls: nothing leaks, and the pool goes on.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind};

use common::calling_back::outgrown;
use common::is_intact;
use zsalloc::lock_api::RawRwLock;
use zsalloc::{Mmap, Pool};
use zslock::RawZsLock;

thread_local! {
    /// How many locks this thread makes before it makes one that panics.
    static LOCKS_LEFT: Cell<usize> = const { Cell::new(usize::MAX) };
}

fn new_lock() -> RawZsLock {
    let left = LOCKS_LEFT.get();
    assert!(left > 0, "the lock cannot be made");
    LOCKS_LEFT.set(left - 1);
    RawZsLock::INIT
}

fn pool(max_pages: usize) -> Pool<RawZsLock, Mmap> {
    let builder = Pool::builder().lock_with(new_lock);
    builder.max_pages(max_pages).build().unwrap()
}

/// Runs `work` with no lock to be had after `locks`; it panics.
fn panics_after<T>(locks: usize, work: impl FnOnce() -> T) {
    LOCKS_LEFT.set(locks);
    let result = catch_unwind(AssertUnwindSafe(work));
    LOCKS_LEFT.set(usize::MAX);
    assert!(result.is_err(), "it ended without another lock");
}

#[test]
fn an_insertion_that_panics_keeps_neither_pages_nor_its_handle() {
    let pool = pool(1);
    let first = pool.insert(b"a").unwrap().into_raw();
    // SAFETY: from `into_raw`, and turned back once.
    pool.free(unsafe { zsalloc::Handle::from_raw(first) });
    for _ in 0..100 {
        panics_after(0, || pool.insert(b"a"));
        assert_eq!(pool.resident_pages(), 0);
    }
    // The one page that the pool may have is still to be had, and so is the first handle.
    let handle = pool.insert(b"a").unwrap();
    assert_eq!(&*pool.read(&handle), b"a");
    assert_eq!(handle.into_raw(), first);
}

#[test]
fn a_compaction_that_panics_leaves_no_zspage_isolated() {
    let pool = pool(100);
    let handles = outgrown(&pool);
    // Of the two zspages that compaction makes, the first or the second has no lock.
    for locks in [0, 1] {
        panics_after(locks, || pool.compact());
        assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
        assert!(pool.zspages().all(|zspage| zspage.used > 0));
    }
    let (before, freeable) = (pool.resident_pages(), pool.freeable());
    assert!(freeable > 0);
    assert_eq!(pool.compact().pages_freed, freeable);
    assert_eq!(pool.resident_pages(), before - freeable);
    handles.into_iter().for_each(|handle| pool.free(handle));
    assert_eq!((pool.zspages().count(), pool.resident_pages()), (0, 0));
}
