//! A wrong lock order in the pool is caught, by calls that never block each other.
//!
//! With a size class locked, the pool only *tries* the lock of a zspage: a wait would invert the order of a thread that
//! holds a map and stores an object. Here a zspage lock is given to the pool that waits where it is told to try.

#![cfg(feature = "debug-lockdep")]

use std::panic::{AssertUnwindSafe, catch_unwind};

use lockdep::{Mode, Report, ReportKind, collect};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{Heap, Pool, PoolBuilder};
use zslock::RawZsLock;
use zslock::lockdep::LockClassKey;

type Shared = <RawZsLock as RawRwLock>::SharedGuard;
type Exclusive = <RawZsLock as RawRwLock>::ExclusiveGuard;

/// Waits where it is told to try.
struct Impatient(RawZsLock);

// SAFETY: all operations are those of a zslock; waiting for a lock is a way to try it.
unsafe impl RawRwLock for Impatient {
    #[allow(clippy::declare_interior_mutable_const, reason = "as in the trait")]
    const INIT: Self = Self(RawZsLock::INIT);

    type SharedGuard = Shared;
    type ExclusiveGuard = Exclusive;

    #[track_caller]
    fn lock_shared(&self) -> Shared {
        self.0.lock_shared()
    }

    #[track_caller]
    fn try_lock_shared(&self) -> Option<Shared> {
        self.0.try_lock_shared()
    }

    unsafe fn unlock_shared(&self, guard: Shared) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.unlock_shared(guard) }
    }

    #[track_caller]
    fn lock_exclusive(&self) -> Exclusive {
        self.0.lock_exclusive()
    }

    #[track_caller]
    fn try_lock_exclusive(&self) -> Option<Exclusive> {
        Some(self.0.lock_exclusive())
    }

    unsafe fn unlock_exclusive(&self, guard: Exclusive) {
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

static PATIENT: LockClassKey = LockClassKey::new("patient zspage").no_blocking_writers();
static IMPATIENT: LockClassKey = LockClassKey::new("impatient zspage").no_blocking_writers();
static FATAL: LockClassKey = LockClassKey::new("fatal zspage").no_blocking_writers();

/// Stores an object while another is mapped, then, with nothing mapped, does `f`: what is reported.
fn reports<L: RawRwLock + Send + Sync + 'static>(
    builder: PoolBuilder<L, Heap>,
    f: impl FnOnce(&Pool<L, Heap>),
) -> Vec<Report> {
    let pool = builder.build().unwrap();
    let ((), reports) = collect(|| {
        let mapped = pool.insert(&[1; 1000]).unwrap();
        let map = pool.read(&mapped);
        let stored = pool.insert(&[2; 1000]).unwrap();
        drop(map);
        f(&pool);
        assert_eq!((pool.read(&mapped)[0], pool.read(&stored)[0]), (1, 2));
        pool.free(mapped);
        pool.free(stored);
    });
    reports
}

fn migrate<L: RawRwLock>(pool: &Pool<L, Heap>) {
    let zspage = pool.zspages().next().unwrap();
    pool.migrate(zspage.id).unwrap();
}

#[test]
fn waiting_for_a_zspage_with_its_class_locked_is_caught() {
    let builder = Pool::builder().backend(Heap::new());
    let found = reports(
        builder.lock_with(|| Impatient(RawZsLock::with_class(&IMPATIENT))),
        migrate,
    );
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind(), ReportKind::CircularDependency);
    let cycle: Vec<_> = found[0].cycle.iter().collect();
    assert_eq!(cycle.len(), 2);
    assert_eq!(
        (&*cycle[0].held, &*cycle[0].wanted, cycle[0].wanted_mode),
        ("zsalloc class", "impatient zspage", Mode::Exclusive)
    );
    assert_eq!(
        (&*cycle[1].held, &*cycle[1].wanted),
        ("impatient zspage", "zsalloc class")
    );
    println!("caught: {}", found[0].detail);
}

#[test]
fn trying_it_is_not() {
    let builder = Pool::builder().backend(Heap::new());
    let found = reports(
        builder.lock_with(|| RawZsLock::with_class(&PATIENT)),
        migrate,
    );
    assert!(found.is_empty(), "{found:?}");
}

/// Without `collect` the report is a panic: what the other suites rely on when they run under lockdep.
#[test]
fn it_ends_a_test_that_does_not_expect_it() {
    let builder = Pool::builder().backend(Heap::new());
    let builder = builder.lock_with(|| Impatient(RawZsLock::with_class(&FATAL)));
    let pool = builder.build().unwrap();
    let mapped = pool.insert(&[1; 1000]).unwrap();
    let map = pool.read(&mapped);
    let stored = pool.insert(&[2; 1000]).unwrap();
    drop(map);
    let payload = catch_unwind(AssertUnwindSafe(|| migrate(&pool))).unwrap_err();
    let message = payload.downcast_ref::<String>().unwrap();
    assert!(message.contains("fatal zspage"), "{message}");
    let headline = message.lines().find(|line| line.starts_with("WARNING: "));
    println!("ended by: {}", headline.unwrap());
    // And nothing stays locked.
    pool.free_many([mapped, stored]);
    assert_eq!(pool.resident_pages(), 0);
}
