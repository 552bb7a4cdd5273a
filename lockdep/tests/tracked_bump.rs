//! Locks that are given up and taken again: `bump` and `unlocked`.
#![cfg(feature = "parking_lot")]

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};

use lock_api::{RawMutex as _, RawRwLock as _};
use lockdep::Mode::{Exclusive, Shared, Upgradable};
use lockdep::ReportKind::{CircularDependency, InvalidWaitContext, RecursiveLocking};
use lockdep::{
    LockClassKey, Mode, Mutex, MutexGuard, Report, RwLock, RwLockReadGuard,
    RwLockUpgradableReadGuard, RwLockWriteGuard, Tracked, assert_held, atomic, detach, held,
    nested,
};
use support::{NONE, kinds, reports};

/// The report of a bump of what `lock` takes, under a lock taken later.
fn report_of_bump<G>(lock: impl FnOnce() -> G, bump: impl FnOnce(&mut G)) -> Report {
    let log = Mutex::new(());
    let mut guard = lock();
    let _log = log.lock();
    let mut found = reports(|| bump(&mut guard));
    assert_eq!(found.len(), 1);
    let order: Vec<_> = held().iter().map(|held| held.location.line).collect();
    assert_eq!(order[1], found[0].location.line, "it is the newer hold now");
    found.remove(0)
}

#[test]
fn every_bump_takes_its_lock_again_where_it_was_taken() {
    let (mutex, rwlock) = (Mutex::new(()), RwLock::new(()));
    let check = |report: Report, line: u32, mode: Mode| {
        assert_eq!(report.kind(), CircularDependency, "{mode}");
        assert_eq!(report.location.file, file!(), "{mode}");
        assert_eq!(report.location.line, line, "{mode}");
    };
    let report = report_of_bump(|| mutex.lock(), MutexGuard::bump);
    check(report, line!() - 1, Exclusive);
    let report = report_of_bump(|| rwlock.write(), RwLockWriteGuard::bump);
    check(report, line!() - 1, Exclusive);
    let rwlock = RwLock::new(());
    let report = report_of_bump(|| rwlock.read(), RwLockReadGuard::bump);
    check(report, line!() - 1, Shared);
    let rwlock = RwLock::new(());
    let report = report_of_bump(|| rwlock.upgradable_read(), RwLockUpgradableReadGuard::bump);
    check(report, line!() - 1, Upgradable);
    assert!(held().is_empty());
}

#[test]
fn a_bump_with_nothing_else_held_is_fine_and_keeps_the_mode() {
    let lock = RwLock::new(());
    let found = kinds(|| {
        RwLockReadGuard::bump(&mut lock.read());
        let mut guard = lock.upgradable_read();
        RwLockUpgradableReadGuard::bump(&mut guard);
        assert_eq!(held()[0].mode, Upgradable);
        drop(guard);
        let mut guard = lock.write();
        RwLockWriteGuard::bump(&mut guard);
        assert_eq!(held()[0].mode, Exclusive);
    });
    assert_eq!(found, NONE);
    assert!(held().is_empty());
    assert!(!lock.is_locked());
}

#[test]
fn a_bump_keeps_the_subclass_and_a_detached_hold_detached() {
    static LEVEL: LockClassKey = LockClassKey::new("level");
    let level = || {
        RwLock::from_raw(
            Tracked::with_class(parking_lot::RawRwLock::INIT, &LEVEL),
            (),
        )
    };
    let (outer, inner) = (level(), level());
    let outer_guard = outer.read();
    let mut guard = nested(1, || inner.write());
    assert_eq!(kinds(|| RwLockWriteGuard::bump(&mut guard)), NONE);
    drop((guard, outer_guard));

    let mutex: Mutex<()> = Mutex::from_raw(Tracked::instance(parking_lot::RawMutex::INIT), ());
    let mut guard = mutex.lock();
    detach(&mutex);
    assert_eq!(kinds(|| MutexGuard::bump(&mut guard)), NONE);
    assert!(held().is_empty());
    assert_held!(mutex);
}

#[test]
fn a_bump_waits() {
    let (mutex, rwlock) = (Mutex::new(()), RwLock::new(()));
    let mut guard = mutex.lock();
    let found = kinds(|| atomic(|| MutexGuard::bump(&mut guard)));
    assert_eq!(found, [InvalidWaitContext]);
    drop(guard);
    // The other read of this thread can block it, behind a writer.
    let _outer = rwlock.read();
    let mut inner = rwlock.try_read().expect("no writer");
    let found = kinds(|| RwLockReadGuard::bump(&mut inner));
    assert_eq!(found, [RecursiveLocking]);
}

#[test]
fn a_bump_lets_a_waiter_in() {
    let (mutex, done) = (Mutex::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let mut guard = mutex.lock();
        scope.spawn(|| {
            *mutex.lock() += 1;
            done.store(true, Ordering::SeqCst);
        });
        while *guard == 0 {
            MutexGuard::bump(&mut guard);
        }
    });
    assert!(done.into_inner());
}

#[test]
fn a_bump_that_panics_leaves_the_lock_held_and_the_guard_valid() {
    let (mutex, rwlock, log) = (Mutex::new(1), RwLock::new(1), Mutex::new(()));
    let mut guard = mutex.lock();
    let mut upgradable = rwlock.upgradable_read();
    let last = log.lock();
    let bumped = catch_unwind(AssertUnwindSafe(|| MutexGuard::bump(&mut guard)));
    assert!(bumped.is_err());
    let bump = || RwLockUpgradableReadGuard::bump(&mut upgradable);
    assert!(catch_unwind(AssertUnwindSafe(bump)).is_err());
    assert!(mutex.try_lock().is_none() && rwlock.try_write().is_none());
    assert_eq!(held().len(), 3);
    *guard += *upgradable;
    drop((guard, upgradable, last));
    assert!(held().is_empty());
    assert!(mutex.try_lock().is_some_and(|value| *value == 2) && rwlock.try_write().is_some());
}

#[test]
fn unlocked_takes_the_lock_again_at_a_line_of_lock_api() {
    let (mutex, log) = (Mutex::new(()), Mutex::new(()));
    let mut guard = mutex.lock();
    let _log = log.lock();
    let found = reports(|| {
        MutexGuard::unlocked(&mut guard, || {
            assert_eq!(held().len(), 1, "it is really given up");
        });
    });
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), CircularDependency);
    assert!(found[0].location.file.contains("lock_api"));
    assert_eq!(held().len(), 2);
}
