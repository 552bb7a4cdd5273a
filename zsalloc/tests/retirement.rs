//! When headers, pages and isolated zspages end, shown step by step: a lock that stops a thread at
//! chosen points, and a page source that calls back.

mod common;

use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;
use std::time::Duration;

use common::calling_back::{Call, CallingBack, outgrown};
use common::locks::{Hooked, Hooks, LockCall};
use common::{is_intact, object};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{ClassPolicy, Handle, MigrateError, Mmap, Pool, ZspageId};
use zslock::RawZsLock;

/// Where a thread stops, once.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Point {
    BeforeReadLock,
    /// The lock is free, but the unlocking thread has not returned from it yet: where a lock with
    /// waiters may still touch its own memory.
    AfterReadUnlock,
    /// The locks that are about to be tried were lent out.
    LocksLent,
}

struct Stop {
    point: Point,
    reached: Sender<()>,
    go_on: Receiver<()>,
}

thread_local! {
    static STOP: RefCell<Option<Stop>> = const { RefCell::new(None) };
}

/// Lets this thread stop at `point` when it gets there; the other ends tell and allow.
fn stop_at(point: Point, (reached, go_on): (Sender<()>, Receiver<()>)) {
    STOP.set(Some(Stop {
        point,
        reached,
        go_on,
    }));
}

fn pass(point: Point) {
    let stop = STOP.with_borrow_mut(|stop| stop.take_if(|stop| stop.point == point));
    if let Some(stop) = stop {
        stop.reached.send(()).unwrap();
        stop.go_on.recv().unwrap();
    }
}

/// A lock with stops. Each test has its own `TEST`, to count its dropped locks alone.
type Stopping<const TEST: usize> = Hooked<Stops<TEST>>;

struct Stops<const TEST: usize>;

static DROPPED: [AtomicUsize; 3] = [const { AtomicUsize::new(0) }; 3];

fn dropped<const TEST: usize>() -> usize {
    DROPPED[TEST].load(Ordering::Relaxed)
}

impl<const TEST: usize> Hooks for Stops<TEST> {
    fn before(call: LockCall) {
        if call == LockCall::LockShared {
            pass(Point::BeforeReadLock);
        }
    }

    fn after(call: LockCall) {
        if call == LockCall::UnlockShared {
            pass(Point::AfterReadUnlock);
        }
    }

    fn dropped() {
        DROPPED[TEST].fetch_add(1, Ordering::Relaxed);
    }
}

/// A pool of two zspages of three slots: one with two objects, and one that holds only the object
/// of the last handle, so that compaction will empty it.
fn two_zspages<const TEST: usize>() -> (Pool<Stopping<TEST>, Mmap>, Vec<Handle>) {
    let builder = Pool::builder().classes(ClassPolicy::Zsmalloc { chain_size: 8 });
    let pool = builder.lock_with(|| Stopping::INIT).build().unwrap();
    let mut handles: Vec<_> = (0..6)
        .map(|i| pool.insert(&object(1360, i)).unwrap())
        .collect();
    for freed in [5, 4, 2] {
        pool.free(handles.remove(freed));
    }
    assert_eq!((pool.zspages().count(), pool.freeable()), (2, 1));
    (pool, handles)
}

/// Pins often, so that whatever may be freed is freed.
fn advance_epochs<L: RawRwLock>(pool: &Pool<L, Mmap>, handle: &Handle) {
    for _ in 0..5000 {
        drop(pool.read(handle));
    }
}

/// Compacts on a thread that ends, so that the retired header does not wait in its local list.
fn compact_elsewhere<const TEST: usize>(pool: &Pool<Stopping<TEST>, Mmap>) -> usize {
    thread::scope(|scope| scope.spawn(|| pool.compact().pages_freed).join().unwrap())
}

/// Compaction while another thread is stopped at `point` of mapping the object that moves.
fn move_under_a_stopped_thread<const TEST: usize>(point: Point) {
    let (pool, handles) = two_zspages::<TEST>();
    let (reached, wait_reached) = channel();
    let (allow, go_on) = channel();
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            stop_at(point, (reached, go_on));
            is_intact(&pool.read(&handles[2]))
        });
        wait_reached.recv().unwrap();
        let pages_freed = compact_elsewhere(&pool);
        let left = (pool.zspages().count(), pool.resident_pages());
        advance_epochs(&pool, &handles[0]);
        let dropped = dropped::<TEST>();
        // The reader goes on before anything can panic, or the scope would wait for it for ever.
        allow.send(()).unwrap();
        let intact = reader.join().unwrap();
        // The pages were gone already, the header was not.
        assert_eq!((pages_freed, left), (1, (1, 1)));
        assert_eq!(dropped, 0, "a lock was freed under a thread that uses it");
        assert!(intact, "the reader followed the old entry");
    });
    // Now it may go, and does.
    for _ in 0..1000 {
        if dropped::<TEST>() > 0 {
            break;
        }
        advance_epochs(&pool, &handles[0]);
        thread::sleep(Duration::from_millis(1));
    }
    assert_eq!(dropped::<TEST>(), 1, "the lock of a retired zspage stays");
    assert!(is_intact(&pool.read(&handles[2])));
}

/// A thread that is stopped while it is pinned keeps every header of the process, and would hide
/// that another was freed too early.
static ONE_AT_A_TIME: parking_lot::Mutex<()> = parking_lot::Mutex::new(());

#[test]
fn a_header_outlives_whoever_uses_its_lock() {
    let _alone = ONE_AT_A_TIME.lock();
    move_under_a_stopped_thread::<0>(Point::BeforeReadLock);
    move_under_a_stopped_thread::<1>(Point::AfterReadUnlock);
}

/// When a zspage is retired, as another thread looks for it by its id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Retired {
    /// After it was found: while its lock is lent out.
    WhileLent,
    /// Before; and so many pins lie between.
    Before { pins: usize },
}

/// Frees the only object of a zspage around another thread's `migrate`, which lends the zspage's
/// lock to `prepare_exclusive`. Returns the locks dropped while it was lent (`None`: it was not)
/// and what became of the migration.
fn retire_around_a_migration(
    pool: &Pool<Stopping<2>, Mmap>,
    keep: &Handle,
    retired: Retired,
) -> (Option<usize>, Result<(), MigrateError>) {
    let handle = pool.insert(&object(3000, 1)).unwrap();
    let id: ZspageId = pool.zspages().find(|z| z.size > 2000).unwrap().id;
    let (reached, wait_reached) = channel();
    let (allow, go_on) = channel();
    let (say_ready, ready) = channel();
    let (start, started) = channel();
    let dropped_before = dropped::<2>();
    thread::scope(|scope| {
        let migrating = scope.spawn(move || {
            // This thread is known to the collector before the zspage is retired.
            drop(pool.read(keep));
            stop_at(Point::LocksLent, (reached, go_on));
            say_ready.send(()).unwrap();
            started.recv().unwrap();
            pool.migrate(id)
        });
        ready.recv().unwrap();
        // On a thread that ends, so that the retired header does not wait in its local list.
        let free = || scope.spawn(|| pool.free(handle)).join().unwrap();
        let mut lent = false;
        match retired {
            Retired::WhileLent => {
                start.send(()).unwrap();
                lent = wait_reached.recv().is_ok();
                free();
            }
            Retired::Before { pins } => {
                free();
                for _ in 0..pins {
                    drop(pool.read(keep));
                }
                start.send(()).unwrap();
                // An error: the thread ended without getting there.
                lent |= wait_reached.recv().is_ok();
            }
        }
        let dropped_while_lent = lent.then(|| {
            advance_epochs(pool, keep);
            let dropped = dropped::<2>() - dropped_before;
            allow.send(()).unwrap();
            dropped
        });
        (dropped_while_lent, migrating.join().unwrap())
    })
}

/// Ids of zspages outlive them. Whoever pins after a zspage was retired must not find its header any
/// more, since nothing keeps it for him; whoever found it before keeps it.
#[test]
fn a_stale_id_never_leads_to_a_freed_header() {
    let _alone = ONE_AT_A_TIME.lock();
    let builder = Pool::builder().lock_with(|| Stopping::INIT);
    let builder = builder.prepare_exclusive(|_| pass(Point::LocksLent));
    let pool = builder.build().unwrap();
    let keep = pool.insert(&object(100, 0)).unwrap();
    let before = (0..400).step_by(4).map(|pins| Retired::Before { pins });
    for retired in std::iter::once(Retired::WhileLent).chain(before) {
        let (dropped_while_lent, result) = retire_around_a_migration(&pool, &keep, retired);
        assert_eq!(
            dropped_while_lent.unwrap_or(0),
            0,
            "{retired:?}: a lock was freed while it was lent out"
        );
        assert_eq!(dropped_while_lent.is_some(), retired == Retired::WhileLent);
        assert_eq!(result, Err(MigrateError::Gone), "{retired:?}");
        advance_epochs(&pool, &keep);
    }
}

type CallingPool = Pool<RawZsLock, Arc<CallingBack>>;

/// A source that uses the pool itself would wait for ever if a class were locked during its calls.
#[test]
fn no_class_is_locked_while_pages_come_and_go() {
    static POOL: OnceLock<CallingPool> = OnceLock::new();
    static CALLS: Mutex<Vec<Call>> = Mutex::new(Vec::new());
    let calls = || std::mem::take(&mut *CALLS.lock().unwrap());
    let source = Arc::new(CallingBack::default());
    let pool = POOL.get_or_init(|| Pool::builder().backend(source.clone()).build().unwrap());
    source.set(Some(|call| {
        CALLS.lock().unwrap().push(call);
        // Locks every class in turn.
        POOL.get().unwrap().freeable();
    }));

    let handles = outgrown(pool);
    assert_eq!(calls(), [Call::Alloc; 8]);
    pool.migrate(pool.zspages().next().unwrap().id).unwrap();
    assert_eq!(calls(), [Call::Alloc, Call::Release]);
    assert_eq!(pool.compact().pages_freed, 5);
    let compacting = calls();
    assert_eq!(
        compacting
            .iter()
            .filter(|&&call| call == Call::Alloc)
            .count(),
        2
    );
    assert_eq!(compacting.len(), 2 + 8);
    handles.into_iter().for_each(|handle| pool.free(handle));
    assert_eq!(calls(), [Call::Release; 2]);
}

/// Compaction makes two zspages to move objects to. Before it makes the second, all objects are
/// freed: the first is empty then, but compaction is about to fill it. Whoever isolated it has to
/// retire it.
#[test]
fn an_isolated_zspage_that_becomes_empty_is_retired_by_compaction() {
    static POOL: OnceLock<CallingPool> = OnceLock::new();
    static HANDLES: Mutex<Vec<Handle>> = Mutex::new(Vec::new());
    static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
    let source = Arc::new(CallingBack::default());
    let pool = POOL.get_or_init(|| Pool::builder().backend(source.clone()).build().unwrap());
    *HANDLES.lock().unwrap() = outgrown(pool);
    source.set(Some(|call| {
        if call == Call::Alloc && ALLOCATIONS.fetch_add(1, Ordering::Relaxed) == 1 {
            let pool = POOL.get().unwrap();
            HANDLES
                .lock()
                .unwrap()
                .drain(..)
                .for_each(|handle| pool.free(handle));
            let left: Vec<_> = pool.zspages().map(|z| (z.pages, z.used)).collect();
            assert_eq!(left, [(13, 0)]);
        }
    }));
    pool.compact();
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), 2);
    assert_eq!((pool.zspages().count(), pool.resident_pages()), (0, 0));
}

/// The same, and the pages of the first of the two go back to a source that panics. The other is retired
/// nevertheless.
#[test]
fn one_isolated_zspage_whose_pages_panic_does_not_keep_the_other() {
    static POOL: OnceLock<CallingPool> = OnceLock::new();
    static HANDLES: Mutex<Vec<Handle>> = Mutex::new(Vec::new());
    static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
    static PANICS: AtomicBool = AtomicBool::new(false);
    let source = Arc::new(CallingBack::default());
    let pool = POOL.get_or_init(|| Pool::builder().backend(source.clone()).build().unwrap());
    *HANDLES.lock().unwrap() = outgrown(pool);
    source.set(Some(|call| {
        if call == Call::Alloc && ALLOCATIONS.fetch_add(1, Ordering::Relaxed) == 1 {
            let handles = std::mem::take(&mut *HANDLES.lock().unwrap());
            POOL.get().unwrap().free_many(handles);
            PANICS.store(true, Ordering::Relaxed);
        }
        let panics = call == Call::Release && PANICS.swap(false, Ordering::Relaxed);
        assert!(!panics, "the source panics");
    }));
    assert!(catch_unwind(AssertUnwindSafe(|| pool.compact())).is_err());
    assert_eq!(ALLOCATIONS.load(Ordering::Relaxed), 2);
    assert_eq!((pool.zspages().count(), pool.resident_pages()), (0, 0));
}
