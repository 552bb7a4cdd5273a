//! Panics in code that the pool calls: nothing leaks, and the pool goes on.

mod common;

use std::cell::Cell;
use std::ops::Range;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use common::calling_back::outgrown;
use common::{is_intact, object};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{Handle, Mmap, PageSource, Pool, RegionId, SourceError};
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

/// Panics in one of its methods.
struct Panicking {
    inner: Mmap,
    alloc: Countdown,
    release: Countdown,
    discard: Countdown,
}

/// How many calls do not panic before one does.
struct Countdown(AtomicUsize);

impl Countdown {
    const fn never() -> Self {
        Self(AtomicUsize::new(usize::MAX))
    }

    fn set(&self, calls: usize) {
        self.0.store(calls, Ordering::Relaxed);
    }

    fn call(&self) {
        let left = self.0.fetch_sub(1, Ordering::Relaxed);
        if left == 0 {
            panic!("the source panics");
        }
    }
}

// SAFETY: hands out what `Mmap` hands out.
unsafe impl PageSource for Panicking {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        self.alloc.call();
        self.inner.alloc(pages)
    }

    fn alloc_outside(
        &self,
        pages: usize,
        excluded: &[Range<usize>],
    ) -> Result<NonNull<u8>, SourceError> {
        self.alloc.call();
        self.inner.alloc_outside(pages, excluded)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        self.release.call();
        // SAFETY: the caller's promise is the same.
        unsafe { self.inner.release(ptr, pages) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        self.discard.call();
        // SAFETY: the caller's promise is the same.
        unsafe { self.inner.discard(ptr, pages) }
    }
}

type PanickingPool = Pool<RawZsLock, Arc<Panicking>>;

fn panicking_pool(max_pages: usize) -> (Arc<Panicking>, PanickingPool) {
    let source = Arc::new(Panicking {
        inner: Mmap::new(),
        alloc: Countdown::never(),
        release: Countdown::never(),
        discard: Countdown::never(),
    });
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = builder.max_pages(max_pages).build().unwrap();
    (source, pool)
}

fn panics<T>(work: impl FnOnce() -> T) {
    let result = catch_unwind(AssertUnwindSafe(work));
    assert!(result.is_err(), "it ended without a panic");
}

/// The pages that are counted are those of the zspages, and every zspage has an object.
fn assert_no_leak<L: RawRwLock, S: PageSource>(pool: &Pool<L, S>) {
    let pages: usize = pool.zspages().map(|zspage| zspage.pages).sum();
    assert_eq!(pool.resident_pages(), pages);
    assert!(pool.zspages().all(|zspage| zspage.used > 0));
}

#[test]
fn pages_that_a_panicking_source_does_not_give_are_not_counted() {
    let (source, pool) = panicking_pool(1);
    for _ in 0..100 {
        source.alloc.set(0);
        panics(|| pool.insert(b"a"));
        assert_eq!(pool.resident_pages(), 0);
    }
    // The one page that the pool may have is still to be had.
    let handle = pool.insert(b"a").unwrap();
    assert_eq!(&*pool.read(&handle), b"a");
}

#[test]
fn pages_that_a_panicking_source_takes_back_are_not_counted() {
    let (source, pool) = panicking_pool(1);
    let mut metadata = None;
    for _ in 0..3000 {
        let handle = pool.insert(b"a").unwrap();
        source.release.set(0);
        panics(|| pool.free(handle));
        assert_eq!((pool.resident_pages(), pool.stats().objects), (0, 0));
        metadata.get_or_insert(pool.stats().metadata_bytes);
    }
    // Headers and their indices were retired all the same; so many would take 46 pages of a table.
    pool.trim();
    assert!(pool.stats().metadata_bytes <= metadata.unwrap() + 4096);
}

/// Objects in zspages of a page each; the source's first region, which is not full, holds some.
fn two_regions(pool: &PanickingPool) -> (Vec<Handle>, RegionId) {
    let mut handles: Vec<_> = (0..1500)
        .map(|name| pool.insert(&object(4096, name)).unwrap())
        .collect();
    let region = region_of(pool, &handles[0]);
    assert_ne!(region, region_of(pool, &handles[1499]));
    pool.free_many(handles.drain(1..20));
    (handles, region)
}

fn region_of(pool: &PanickingPool, handle: &Handle) -> RegionId {
    RegionId::of_address(pool.read(handle).as_ptr().addr())
}

#[test]
fn a_migration_or_evacuation_that_panics_loses_nothing_and_excludes_nothing() {
    let (source, pool) = panicking_pool(2000);
    let (mut handles, region) = two_regions(&pool);
    for panicking in [&source.alloc, &source.release] {
        panicking.set(0);
        panics(|| pool.migrate(pool.zspages().next().unwrap().id));
        assert_no_leak(&pool);
        for calls in [0, 1, 100] {
            panicking.set(calls);
            panics(|| pool.evacuate(region));
            assert_no_leak(&pool);
            assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
            // Pages come from there again.
            let handle = pool.insert(&object(4096, 0)).unwrap();
            assert_eq!(region_of(&pool, &handle), region);
            handles.push(handle);
        }
    }
    panicking_is_over(&source);
    assert!(pool.evacuate(region).is_empty());
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    pool.free_many(handles);
    assert_eq!(pool.resident_pages(), 0);
}

fn panicking_is_over(source: &Panicking) {
    for countdown in [&source.alloc, &source.release, &source.discard] {
        countdown.set(usize::MAX);
    }
}

#[test]
fn a_compaction_whose_source_panics_loses_nothing() {
    let (source, pool) = panicking_pool(100);
    let handles = outgrown(&pool);
    for calls in [0, 1] {
        source.alloc.set(calls);
        panics(|| pool.compact());
        assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
        assert_no_leak(&pool);
    }
    // When a page goes back, the objects have moved.
    source.alloc.set(usize::MAX);
    source.release.set(0);
    panics(|| pool.compact());
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    assert_no_leak(&pool);
    panicking_is_over(&source);
    let freeable = pool.freeable();
    assert_eq!(pool.compact().pages_freed, freeable);
    pool.free_many(handles);
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn a_compaction_whose_discard_panics_leaves_the_zspage_as_it_was() {
    let (source, pool) = panicking_pool(1000);
    let mut handles: Vec<_> = (0..160)
        .map(|name| pool.insert(&object(3328, name)).unwrap())
        .collect();
    // Of eight objects one stays, and is mapped: only idle pages can go back.
    let mut place = 0..;
    for handle in handles.extract_if(.., |_| place.next().unwrap() % 8 > 0) {
        pool.free(handle);
    }
    let maps: Vec<_> = handles.iter().map(|handle| pool.read(handle)).collect();
    source.discard.set(0);
    panics(|| pool.compact());
    assert!(maps.iter().all(|map| is_intact(map)));
    assert_no_leak(&pool);
    panicking_is_over(&source);
    // Nothing was discarded, and the next compaction does it.
    assert_eq!(pool.stats().discarded_pages, 0);
    let discarded = pool.compact().pages_discarded;
    assert!(discarded > 0);
    assert_eq!(pool.stats().discarded_pages, discarded);
    drop(maps);
    // Neither closed nor isolated: slots are taken, and an emptied zspage is retired.
    let more: Vec<_> = (0..100)
        .map(|name| pool.insert(&object(3328, name)).unwrap())
        .collect();
    pool.free_many(handles);
    pool.free_many(more);
    assert_eq!((pool.resident_pages(), pool.zspages().count()), (0, 0));
}

#[test]
fn a_panic_while_locks_are_announced_changes_nothing() {
    thread_local! {
        static CALM: Cell<bool> = const { Cell::new(true) };
    }
    let builder = Pool::builder().prepare_exclusive(|_| assert!(CALM.get(), "not now"));
    let pool = builder.build().unwrap();
    let handles = outgrown(&pool);
    let before = pool.stats();
    let region = pool.regions().next().unwrap().id;
    CALM.set(false);
    panics(|| pool.compact());
    panics(|| pool.migrate(pool.zspages().next().unwrap().id));
    panics(|| pool.evacuate(region));
    CALM.set(true);
    assert_eq!(pool.stats(), before);
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    assert_eq!(pool.compact().pages_freed, before.freeable);
    assert!(pool.evacuate(region).given_back);
}
