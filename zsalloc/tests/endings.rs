//! The end of zspages: of their headers, soon after everything in them was freed; of all that is left, when the pool is
//! dropped, whoever panics then.

use std::mem;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use zsalloc::lock_api::RawRwLock;
use zsalloc::{Handle, Heap, PageSource, Pool, SourceError};
use zslock::RawZsLock;

/// Locks that exist, each in the header of a zspage.
static ALIVE: AtomicUsize = AtomicUsize::new(0);
/// Whether the next lock that is dropped panics.
static DROP_PANICS: AtomicBool = AtomicBool::new(false);
/// The tests share these, and whoever is pinned keeps the headers of all.
static ONE_AT_A_TIME: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

struct Counted(RawZsLock);

impl Drop for Counted {
    fn drop(&mut self) {
        ALIVE.fetch_sub(1, Relaxed);
        assert!(!DROP_PANICS.swap(false, Relaxed), "the lock panics");
    }
}

// SAFETY: forwards to a lock that keeps the promise.
unsafe impl RawRwLock for Counted {
    const INIT: Self = Self(RawZsLock::INIT);
    type SharedGuard = <RawZsLock as RawRwLock>::SharedGuard;
    type ExclusiveGuard = <RawZsLock as RawRwLock>::ExclusiveGuard;

    fn lock_shared(&self) -> Self::SharedGuard {
        self.0.lock_shared()
    }
    fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
        self.0.try_lock_shared()
    }
    unsafe fn unlock_shared(&self, guard: Self::SharedGuard) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.unlock_shared(guard) }
    }
    fn lock_exclusive(&self) -> Self::ExclusiveGuard {
        unreachable!("the pool only tries")
    }
    fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
        self.0.try_lock_exclusive()
    }
    unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.unlock_exclusive(guard) }
    }
    fn is_locked(&self) -> bool {
        self.0.is_locked()
    }
    fn is_locked_exclusive(&self) -> bool {
        self.0.is_locked_exclusive()
    }
}

/// A heap that counts the pages that are out, and panics once when it is told to, after the pages are back.
#[derive(Default)]
struct Watched {
    out: AtomicUsize,
    release_panics: AtomicBool,
}

// SAFETY: forwards to `Heap`.
unsafe impl PageSource for Watched {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        let run = Heap::new().alloc(pages)?;
        self.out.fetch_add(pages, Relaxed);
        Ok(run)
    }
    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        self.out.fetch_sub(pages, Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { Heap::new().release(ptr, pages) };
        let panics = self.release_panics.swap(false, Relaxed);
        assert!(!panics, "the source panics");
    }
    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { Heap::new().discard(ptr, pages) }
    }
}

type WatchedPool = Pool<Counted, Arc<Watched>>;

fn pool(retain_pages: usize) -> (WatchedPool, Arc<Watched>) {
    let source = Arc::new(Watched::default());
    let lock = || {
        ALIVE.fetch_add(1, Relaxed);
        Counted(RawZsLock::INIT)
    };
    let builder = Pool::builder().backend(Arc::clone(&source)).lock_with(lock);
    (builder.retain_pages(retain_pages).build().unwrap(), source)
}

/// So many objects, each in a zspage of its own.
fn page_sized(pool: &WatchedPool, count: usize) -> Vec<Handle> {
    let objects = (0..count).map(|_| pool.insert(&[1; 4096]));
    objects.collect::<Result<_, _>>().unwrap()
}

/// How many headers exist after all objects but one were freed, and that was read often.
fn headers_left(count: usize, free: fn(&WatchedPool, Vec<Handle>)) -> usize {
    let (pool, _) = pool(0);
    let handles = page_sized(&pool, count);
    let other = pool.insert(b"other").unwrap();
    free(&pool, handles);
    for _ in 0..1000 {
        assert_eq!(*pool.read(&other), *b"other");
    }
    let left = ALIVE.load(Relaxed);
    // The next test begins with none; this thread keeps its last retirements until it is asked.
    while ALIVE.load(Relaxed) > 1 {
        crossbeam_epoch::pin().flush();
    }
    // The last one ends with the pool, so it is not retired.
    left
}

#[test]
fn headers_of_what_many_frees_emptied_end_soon() {
    let _alone = ONE_AT_A_TIME.lock();
    let one_by_one = headers_left(20_000, |pool, handles| {
        handles.into_iter().for_each(|handle| pool.free(handle));
    });
    let many = headers_left(20_000, |pool, handles| pool.free_many(handles));
    assert!(one_by_one < 1000, "{one_by_one} after frees one by one");
    assert!(many < 1000, "{many} after `free_many`");
}

/// Compaction pins once for each zspage that it empties, which is often enough.
#[test]
fn headers_of_what_compaction_emptied_end_soon() {
    let _alone = ONE_AT_A_TIME.lock();
    let left = headers_left(10, |pool, handles| {
        let many: Vec<_> = (0..200_000).map(|_| pool.alloc(1024).unwrap()).collect();
        let (mut kept, mut freed) = (handles, Vec::new());
        for (i, handle) in many.into_iter().enumerate() {
            if i % 32 == 0 {
                kept.push(handle);
            } else {
                freed.push(handle);
            }
        }
        freed.into_iter().for_each(|handle| pool.free(handle));
        let before = pool.stats().zspages;
        pool.compact();
        let emptied = before - pool.stats().zspages;
        assert!(emptied > 1000, "{emptied} zspages emptied");
        kept.into_iter().for_each(|handle| pool.free(handle));
    });
    assert!(left < 1000, "{left} after a compaction");
}

#[test]
fn a_pool_whose_lock_panics_when_it_ends_loses_no_page() {
    let _alone = ONE_AT_A_TIME.lock();
    let (pool, source) = pool(0);
    page_sized(&pool, 100).into_iter().for_each(mem::forget);
    DROP_PANICS.store(true, Relaxed);
    assert!(catch_unwind(AssertUnwindSafe(|| drop(pool))).is_err());
    assert_eq!(source.out.load(Relaxed), 0, "pages never went back");
    assert_eq!(ALIVE.load(Relaxed), 0, "headers never ended");
}

#[test]
fn a_pool_whose_source_panics_when_it_ends_loses_no_page() {
    let _alone = ONE_AT_A_TIME.lock();
    // In the end of a zspage, and in that of a retained run.
    for retain_pages in [0, 1000] {
        let (pool, source) = pool(retain_pages);
        page_sized(&pool, 100).into_iter().for_each(mem::forget);
        source.release_panics.store(true, Relaxed);
        assert!(catch_unwind(AssertUnwindSafe(|| drop(pool))).is_err());
        assert_eq!(source.out.load(Relaxed), 0, "pages never went back");
        assert_eq!(ALIVE.load(Relaxed), 0, "headers never ended");
    }
}
