//! `bump`, upgrades and `unlocked`, which must not leave a guard without its lock.

use std::panic::{AssertUnwindSafe, catch_unwind};

use lockdep::ReportKind::CircularDependency;
use lockdep::lock_api_04::{
    MutexGuard, RawMutex as _, RwLockUpgradableReadGuard, RwLockWriteGuard,
};
use lockdep::{LockClassKey, Tracked, held, nested};

use crate::support::{NONE, kinds, reports};
use crate::{ParkingMutex, ParkingRwLock, SpinMutex, modes};

#[test]
fn a_bump_takes_the_lock_again_where_it_was_taken() {
    static LEVEL: LockClassKey = LockClassKey::new("level of 0.4");
    let level = || {
        let raw = Tracked::with_class(parking_lot_012::RawMutex::INIT, &LEVEL);
        ParkingMutex::const_new(raw, ())
    };
    let (outer, inner, log) = (level(), level(), ParkingMutex::new(()));
    let _outer = outer.lock();
    let line = line!() + 1;
    let mut guard = nested(1, || inner.lock());
    assert_eq!(
        kinds(|| MutexGuard::bump(&mut guard)),
        NONE,
        "of subclass 1"
    );
    let _log = log.lock();
    let found = reports(|| MutexGuard::bump(&mut guard));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), CircularDependency);
    assert_eq!(found[0].location.line, line, "where it was locked");
}

#[test]
fn a_bump_that_panics_leaves_the_lock_held() {
    let (lock, log) = (ParkingRwLock::new(()), ParkingMutex::new(()));
    let mut guard = lock.write();
    let _log = log.lock();
    let bumped = catch_unwind(AssertUnwindSafe(|| RwLockWriteGuard::bump(&mut guard)));
    assert!(bumped.is_err());
    assert!(lock.is_locked());
    assert_eq!(held().len(), 2);
    drop(guard);
    assert!(!lock.is_locked());
    assert_eq!(held().len(), 1);
}

#[test]
fn an_upgrade_that_panics_drops_the_upgradable_guard() {
    let (a, b) = (ParkingRwLock::new(()), ParkingMutex::new(()));
    {
        let _a = a.read();
        let _b = b.lock();
    }
    let held = b.lock();
    let upgradable = a.try_upgradable_read().expect("free");
    let unwound = catch_unwind(AssertUnwindSafe(|| {
        drop(RwLockUpgradableReadGuard::upgrade(upgradable));
    }));
    assert!(unwound.is_err());
    drop(held);
    assert!(a.try_write().is_some(), "neither upgradable nor exclusive");
    assert_eq!(modes(), []);
}

/// Run by `a_report_inside_unlocked_aborts` in a process of its own.
#[test]
fn unlocked_under_the_wrong_lock() {
    if std::env::var_os("LOCKDEP_TEST_UNLOCKED").is_none() {
        return;
    }
    let (a, b) = (SpinMutex::new(()), SpinMutex::new(()));
    let mut guard = a.lock();
    let _b = b.lock();
    let _ = catch_unwind(AssertUnwindSafe(|| MutexGuard::unlocked(&mut guard, || ())));
    // Reached, `guard` would unlock what it does not hold.
    std::process::exit(0);
}

#[test]
#[cfg(unix)]
fn a_report_inside_unlocked_aborts() {
    use std::os::unix::process::ExitStatusExt as _;
    use std::process::Command;

    let ended = Command::new(std::env::current_exe().expect("this test"))
        .args([
            "--exact",
            "again::unlocked_under_the_wrong_lock",
            "--nocapture",
        ])
        .env("LOCKDEP_TEST_UNLOCKED", "1")
        .env_remove("LOCKDEP")
        .output()
        .expect("this test runs");
    assert_eq!(ended.status.signal(), Some(6), "SIGABRT");
    let said = String::from_utf8_lossy(&ended.stderr);
    assert!(said.contains("circular lock dependency"), "{said}");
}
