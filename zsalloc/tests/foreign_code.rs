//! Code that the pool calls but has not written: page sources, locks, iterators. It may use the pool where
//! the chapter "Plugging in" says so.

mod common;

use std::cell::Cell;
use std::mem::forget;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use common::calling_back::{Call, CallingBack, outgrown};
use common::locks::{Hooked, Hooks, LockCall};
use common::{is_intact, object};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{Handle, Heap, MigrateError, Mmap, PageSource, Pool, SourceError};
use zslock::RawZsLock;

/// Everything that a pool does, some of it in the same class as everybody else's objects.
fn use_in_every_way<L: RawRwLock, S: PageSource>(pool: &Pool<L, S>) {
    let mut handle = pool.insert(&object(3328, 1)).unwrap();
    assert!(is_intact(&pool.read(&handle)));
    pool.replace(&mut handle, &object(100, 2)).unwrap();
    pool.write(&mut handle)[99] = 1;
    pool.compact();
    for zspage in pool.zspages() {
        let _ = pool.migrate(zspage.id);
    }
    assert!(pool.stats().objects > 0 && !pool.class_stats().is_empty());
    assert!(pool.freeable() <= pool.resident_pages());
    pool.free_many([handle]);
    pool.trim();
}

/// One test at a time: what one retires may be freed by the thread of another, whose calls then count.
static ALONE: Mutex<()> = Mutex::new(());

thread_local! {
    /// How often foreign code may still call the pool back, and how often it has.
    static CALLS: Cell<(usize, usize)> = const { Cell::new((0, 0)) };
}

/// Calls `f`, but not within itself, and only while it is allowed.
fn call_back(f: impl FnOnce()) {
    if let (left @ 1.., done) = CALLS.get() {
        CALLS.set((0, done));
        f();
        CALLS.set((left - 1, done + 1));
    }
}

#[test]
fn a_page_source_may_use_the_pool_that_it_serves() {
    let _alone = ALONE.lock();
    type Calling = Pool<RawZsLock, Arc<CallingBack>>;
    static POOL: OnceLock<Calling> = OnceLock::new();
    let source = Arc::new(CallingBack::default());
    let builder = Pool::builder().backend(Arc::clone(&source)).retain_pages(3);
    let pool = POOL.get_or_init(|| builder.build().unwrap());
    let handles = outgrown(pool);
    let id = pool.zspages().next().unwrap().id;
    source.set(Some(|_: Call| {
        call_back(|| use_in_every_way(POOL.get().unwrap()));
    }));
    CALLS.set((1000, 0));
    // The callback compacts, so the zspage may be gone when its new pages come.
    let migrated = pool.migrate(id);
    assert!(matches!(migrated, Ok(()) | Err(MigrateError::Gone)));
    pool.compact();
    let (mut more, mut rest) = (Vec::new(), handles);
    more.extend((0..100).map(|i| pool.insert(&object(4096, i)).unwrap()));
    pool.free_many(more.drain(..50));
    rest.drain(..9).for_each(|handle| pool.free(handle));
    pool.trim();
    let (_, calls) = CALLS.replace((0, 0));
    // In a migration, a compaction, insertions, frees, and for retained pages.
    assert!(calls > 100, "{calls}");
    assert!(rest.iter().chain(&more).all(|h| is_intact(&pool.read(h))));
    pool.free_many(rest.into_iter().chain(more));
    pool.trim();
    assert_eq!((pool.stats().objects, pool.resident_pages()), (0, 0));
}

/// A heap whose `discard`, which the pool calls with a zspage held, calls back.
struct Discarding;

static DISCARDING: OnceLock<Pool<RawZsLock, Discarding>> = OnceLock::new();

// SAFETY: hands out what `Heap` hands out.
unsafe impl PageSource for Discarding {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        Heap::new().alloc(pages)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { Heap::new().release(ptr, pages) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        call_back(|| use_in_every_way(DISCARDING.get().unwrap()));
        // SAFETY: the caller's promise is the same.
        unsafe { Heap::new().discard(ptr, pages) }
    }
}

#[test]
fn a_page_source_may_use_the_pool_while_it_discards() {
    let _alone = ALONE.lock();
    let pool = DISCARDING.get_or_init(|| Pool::builder().backend(Discarding).build().unwrap());
    let mut handles: Vec<_> = (0..300)
        .map(|i| pool.insert(&object(3328, i)).unwrap())
        .collect();
    let kept = handles.swap_remove(299);
    let map = pool.read(&kept);
    pool.free_many(handles);
    CALLS.set((1000, 0));
    assert!(pool.compact().pages_discarded > 0);
    let (_, calls) = CALLS.replace((0, 0));
    assert!(calls > 0);
    assert!(is_intact(&map));
    drop(map);
    pool.free(kept);
    assert_eq!((pool.stats().objects, pool.resident_pages()), (0, 0));
}

/// Code of a lock that calls back where the pool holds no lock.
struct Calls;

type Calling = Hooked<Calls>;

static CALLING: OnceLock<Pool<Calling, Mmap>> = OnceLock::new();

/// How often the pool was used where a lock was made, acquired, and dropped.
static CALLED: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

fn call_pool_back(from: usize) {
    call_back(|| {
        if let Some(pool) = CALLING.get() {
            use_in_every_way(pool);
            CALLED[from].fetch_add(1, Ordering::Relaxed);
        }
    });
}

impl Hooks for Calls {
    fn before(call: LockCall) {
        if call == LockCall::LockShared {
            call_pool_back(1);
        }
    }

    fn dropped() {
        call_pool_back(2);
    }
}

#[test]
fn a_lock_may_use_its_pool_where_it_is_made_acquired_and_dropped() {
    let _alone = ALONE.lock();
    let new_lock = || {
        call_pool_back(0);
        Calling::INIT
    };
    let builder = Pool::builder().lock_with(new_lock);
    let pool = CALLING.get_or_init(|| builder.build().unwrap());
    CALLS.set((500, 0));
    let handles: Vec<_> = (0..300)
        .map(|i| pool.insert(&object(3328, i)).unwrap())
        .collect();
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    pool.compact();
    pool.free_many(handles);
    pool.trim();
    CALLS.set((0, 0));
    let called = CALLED.each_ref().map(|calls| calls.load(Ordering::Relaxed));
    assert!(called.iter().all(|&calls| calls > 0), "{called:?}");
    assert_eq!((pool.stats().objects, pool.resident_pages()), (0, 0));
}

#[test]
fn an_iterator_that_panics_leaves_the_handles_before_freed() {
    let _alone = ALONE.lock();
    let pool = Pool::new();
    let handles: Vec<Handle> = (0..10).map(|_| pool.alloc(100).unwrap()).collect();
    let mut handles = handles.into_iter();
    let four = std::iter::from_fn(|| {
        assert!(handles.len() > 6, "no more");
        handles.next()
    });
    assert!(catch_unwind(AssertUnwindSafe(|| pool.free_many(four))).is_err());
    assert_eq!(pool.stats().objects, 6);
    pool.free_many(handles);
    assert_eq!(pool.resident_pages(), 0);
}

/// A forgotten map keeps its zspage where it is as long as that exists, and does nothing else.
#[test]
fn a_forgotten_map_only_keeps_its_zspage_in_place() {
    let _alone = ALONE.lock();
    let pool = Pool::new();
    let mut handle = pool.insert(&object(1000, 1)).unwrap();
    let other = pool.insert(&object(1000, 2)).unwrap();
    let id = pool.zspages().next().unwrap().id;
    // Owned, so that the validator, if it is on, does not expect this thread to let go of it.
    forget(Pool::read_owned(&pool, &handle));
    forget(Pool::read_owned(&pool, &handle));
    for _ in 0..100 {
        assert_eq!(pool.migrate(id), Err(MigrateError::Busy));
        pool.replace(&mut handle, &object(1000, 3)).unwrap();
        pool.compact();
        assert_eq!(*pool.read(&handle), object(1000, 3));
        pool.free(pool.insert(&object(1000, 4)).unwrap());
    }
    pool.free(other);
    pool.free(handle);
    assert_eq!((pool.zspages().count(), pool.resident_pages()), (0, 0));
    // Nor does it keep a pool from ending.
    let pool = Pool::new();
    let handle = pool.insert(&object(1000, 1)).unwrap();
    forget(Pool::read_owned(&pool, handle));
    drop(pool);
}
