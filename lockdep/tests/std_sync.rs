//! `std_sync`: std's locks, unchanged in what they do and validated in how they
//! are used.

#[path = "std_sync/auto_traits.rs"]
mod auto_traits;
#[path = "std_sync/observed.rs"]
mod observed;
mod support;
#[path = "std_sync/waits.rs"]
mod waits;

use std::panic::{AssertUnwindSafe, catch_unwind};

use lockdep::Mode::{Exclusive, Shared};
use lockdep::ReportKind::{
    CircularDependency, HeldAtThreadExit, HeldLockFreed, InvalidWaitContext, RecursiveLocking,
};
use lockdep::std_sync::{Arc, Barrier, LazyLock, Mutex, RwLock, RwLockWriteGuard, TryLockError};
use lockdep::{
    Attempt, LockClassKey, Mode, ReportKind, assert_held, assert_held_exclusive, assert_not_held,
    atomic, held, nested, on_report,
};
use support::{NONE, kinds, reports};

fn modes() -> Vec<Mode> {
    held().iter().map(|held| held.mode).collect()
}

fn poison<T>(lock: &Mutex<T>) {
    let held = catch_unwind(AssertUnwindSafe(|| {
        let _guard = lock.lock();
        panic!("while it is held");
    }));
    assert!(held.is_err());
}

#[test]
fn mutexes_in_both_orders_are_reported_with_the_users_lines() {
    let (a, b) = (Mutex::new(1), RwLock::new(2));
    {
        let _a = a.lock().unwrap();
        let _b = b.write().unwrap();
    }
    let line = line!();
    let found = reports(|| {
        let _b = b.read().unwrap();
        let _a = a.lock().unwrap();
    });
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), CircularDependency);
    assert_eq!(found[0].location.file, file!());
    assert_eq!(found[0].cycle[0].held_at.line, line + 2);
    assert_eq!(found[0].cycle[0].wanted_at.line, line + 3);
}

#[test]
fn the_locks_are_as_ever() {
    static TOTAL: Mutex<u32> = Mutex::new(0);
    static TABLE: LazyLock<RwLock<Vec<u32>>> = LazyLock::new(RwLock::default);
    let start = Barrier::new(4);
    std::thread::scope(|scope| {
        for number in 0..4 {
            let start = &start;
            scope.spawn(move || {
                start.wait();
                for _ in 0..100 {
                    *TOTAL.lock().unwrap() += TABLE.read().unwrap().len() as u32 / 1000 + 1;
                }
                TABLE.write().unwrap().push(number);
            });
        }
    });
    assert_eq!(*TOTAL.lock().unwrap(), 400);
    let mut numbers = std::mem::take(&mut *TABLE.write().unwrap());
    numbers.sort_unstable();
    assert_eq!(numbers, [0, 1, 2, 3]);

    let mut mutex = Mutex::from(5);
    *mutex.get_mut().unwrap() += 1;
    assert_eq!(
        format!("{mutex:?}"),
        format!("{:?}", std::sync::Mutex::new(6))
    );
    let guard = mutex.lock().unwrap();
    assert_eq!(format!("{guard} {guard:?}"), "6 6");
    drop(guard);
    assert_eq!(mutex.into_inner().unwrap(), 6);
    let mut rwlock = RwLock::from(5);
    *rwlock.get_mut().unwrap() += 1;
    assert_eq!(
        format!("{rwlock:?}"),
        format!("{:?}", std::sync::RwLock::new(6))
    );
    assert_eq!(rwlock.into_inner().unwrap(), 6);

    // A place for what has no size, and shared through an `Arc`.
    let shared: Arc<Mutex<dyn Send + Fn() -> u32>> = Arc::new(Mutex::new(|| 7));
    assert_eq!((shared.lock().unwrap())(), 7);
}

#[test]
fn a_try_that_fails_is_not_held_and_one_that_succeeds_is() {
    let (mutex, rwlock) = (Mutex::new(()), RwLock::new(()));
    let guard = mutex.try_lock().unwrap();
    assert_eq!(held()[0].attempt, Attempt::Try);
    assert!(matches!(mutex.try_lock(), Err(TryLockError::WouldBlock)));
    assert_eq!(modes(), [Exclusive]);
    drop(guard);
    let read = rwlock.try_read().unwrap();
    assert!(matches!(rwlock.try_write(), Err(TryLockError::WouldBlock)));
    assert_eq!(modes(), [Shared]);
    drop(read);
    let write = rwlock.try_write().unwrap();
    assert!(matches!(rwlock.try_read(), Err(TryLockError::WouldBlock)));
    assert_eq!(modes(), [Exclusive]);
    drop(write);
    assert_eq!(modes(), []);
}

#[test]
fn a_poisoned_lock_is_held_by_the_guard_in_the_error() {
    let mut mutex = Mutex::new(1);
    poison(&mutex);
    assert!(mutex.is_poisoned());
    assert_eq!(modes(), [], "unwinding released it");

    let guard = mutex.lock().unwrap_err();
    assert_eq!(modes(), [Exclusive]);
    drop(guard);
    let Err(TryLockError::Poisoned(guard)) = mutex.try_lock() else {
        panic!("poisoned and free");
    };
    *guard.into_inner() += 1;
    assert_eq!(modes(), []);
    assert_eq!(**mutex.get_mut().unwrap_err().get_ref(), 2);
    mutex.clear_poison();
    assert!(!mutex.is_poisoned());
    poison(&mutex);
    assert_eq!(mutex.into_inner().unwrap_err().into_inner(), 2);

    let rwlock = RwLock::new(());
    let held = catch_unwind(AssertUnwindSafe(|| {
        let _guard = rwlock.write();
        panic!("while it is held");
    }));
    assert!(held.is_err());
    let guard = rwlock.read().unwrap_err().into_inner();
    assert_eq!(modes(), [Shared]);
    drop(guard);
    drop(rwlock.write().unwrap_err());
    assert!(matches!(rwlock.try_read(), Err(TryLockError::Poisoned(_))));
    assert!(matches!(rwlock.try_write(), Err(TryLockError::Poisoned(_))));
    rwlock.clear_poison();
    assert!(!rwlock.is_poisoned());
    assert_eq!(modes(), []);
}

#[test]
fn a_report_that_panics_leaves_its_lock_free_and_unpoisoned() {
    let (a, b) = (Mutex::new(()), Mutex::new(()));
    drop((a.lock().unwrap(), b.lock().unwrap()));
    let guard = b.lock().unwrap();
    let unwound = catch_unwind(AssertUnwindSafe(|| drop(a.lock())));
    assert!(unwound.is_err());
    drop(guard);
    assert!(a.try_lock().is_ok());
    assert!(!a.is_poisoned() && !b.is_poisoned());
    assert_eq!(modes(), []);
}

#[test]
fn readers_queue_and_a_downgrade_makes_one() {
    let lock = RwLock::new(1);
    let found = kinds(|| {
        let _outer = lock.read().unwrap();
        let _inner = lock.try_read().unwrap();
        assert_eq!(modes(), [Shared; 2]);
    });
    assert_eq!(found, NONE, "a try cannot deadlock");
    let outer = lock.read().unwrap();
    assert_eq!(kinds(|| drop(lock.read().unwrap())), [RecursiveLocking]);
    drop(outer);

    let mut write = lock.write().unwrap();
    *write += 1;
    let read = RwLockWriteGuard::downgrade(write);
    assert_eq!(modes(), [Shared]);
    assert_eq!(format!("{read} {read:?}"), "2 2");
    assert!(lock.try_read().is_ok());
    drop(read);
    assert_eq!(modes(), []);
    assert!(lock.try_write().is_ok());
}

#[test]
fn classes_assertions_and_orders() {
    static KEY: LockClassKey =
        LockClassKey::new("account").order_by(|held, wanted| held.order.cmp(&wanted.order));
    let account = |number| Mutex::with_class(&KEY, number).with_order(number);
    let (first, second) = (account(1), account(2));
    let guard = first.lock().unwrap();
    assert_held!(first);
    assert_held_exclusive!(first);
    assert_not_held!(second);
    assert_eq!(kinds(|| drop(second.lock().unwrap())), NONE);
    drop(guard);
    let guard = second.lock().unwrap();
    assert_eq!(kinds(|| drop(first.lock().unwrap())), [RecursiveLocking]);
    drop(guard);

    static TABLE: LockClassKey = LockClassKey::new("table");
    let table = || RwLock::with_class(&TABLE, ());
    let (a, b) = (table(), table());
    let read = a.read().unwrap();
    assert_held!(a);
    assert_eq!(kinds(|| assert_held_exclusive!(a)).len(), 1);
    assert_eq!(kinds(|| nested(1, || drop(b.write().unwrap()))), NONE);
    assert_eq!(kinds(|| drop(b.write().unwrap())), [RecursiveLocking]);
    drop(read);

    let site = || Mutex::at_site(());
    let (a, b) = (site(), site());
    let guard = a.lock().unwrap();
    assert!(held()[0].class.contains("std_sync.rs:"));
    assert_eq!(kinds(|| drop(b.lock().unwrap())), [RecursiveLocking]);
    drop(guard);
    let (a, b) = (
        RwLock::at_site(()).with_order(1),
        RwLock::at_site(()).with_order(2),
    );
    let _guard = a.read().unwrap();
    assert_eq!(kinds(|| drop(b.read().unwrap())), NONE, "another column");
}

#[test]
fn a_lock_sleeps_and_is_not_dropped_while_it_is_held() {
    let (mutex, rwlock) = (Mutex::new(()), RwLock::new(()));
    assert_eq!(
        kinds(|| atomic(|| drop(mutex.lock()))),
        [InvalidWaitContext]
    );
    assert_eq!(
        kinds(|| atomic(|| drop(rwlock.read()))),
        [InvalidWaitContext]
    );
    assert_eq!(kinds(|| atomic(|| drop(rwlock.try_write()))), NONE);
    std::mem::forget(mutex.lock());
    std::mem::forget(rwlock.read());
    assert_eq!(kinds(|| drop(mutex)), [HeldLockFreed]);
    assert_eq!(kinds(|| drop(rwlock.into_inner())), [HeldLockFreed]);
    assert_eq!(modes(), []);
}

#[test]
fn a_thread_must_not_end_with_a_guard() {
    static REPORTS: std::sync::Mutex<Vec<(String, ReportKind)>> = std::sync::Mutex::new(Vec::new());
    static MUTEX: Mutex<()> = Mutex::new(());
    static RWLOCK: RwLock<()> = RwLock::new(());
    on_report(|report| {
        let mut reports = REPORTS.lock().expect("no panic while it is locked");
        reports.push((report.thread.clone(), report.kind()));
    });
    let thread = std::thread::Builder::new().name("ends-with-guards".to_owned());
    let ends = thread.spawn(|| {
        std::mem::forget(MUTEX.lock());
        std::mem::forget(RWLOCK.read());
    });
    ends.expect("a thread").join().expect("no panic");
    let reports = REPORTS.lock().expect("no panic while it is locked");
    let of_thread = reports
        .iter()
        .filter(|(thread, _)| thread == "ends-with-guards");
    let found: Vec<_> = of_thread.map(|(_, kind)| *kind).collect();
    assert_eq!(found, [HeldAtThreadExit; 2]);
}
