//! `Tracked` over locks of `lock_api` 0.4: spin's, usync's, parking_lot 0.12's.

#[path = "lock_api_04/again.rs"]
mod again;
#[path = "lock_api_04/observed.rs"]
mod observed;
mod support;
#[path = "lock_api_04/whose.rs"]
mod whose;

use std::sync::Barrier;
use std::time::Duration;

use lockdep::Mode::{Exclusive, Shared, SharedRecursive, Upgradable};
use lockdep::ReportKind::{
    CircularDependency, HeldAtThreadExit, HeldLockFreed, InvalidWaitContext, RecursiveLocking,
};
use lockdep::lock_api_04::{
    Mutex, MutexGuard, RawMutex as _, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard,
    RwLockWriteGuard,
};
use lockdep::{
    Attempt, HeldInfo, LockClassKey, Mode, RecursiveReaders, ReportKind, Tracked,
    assert_held_exclusive, assert_not_held, atomic, held, nested, on_report,
};
use support::{NONE, kinds, reports};

type SpinMutex<T> = Mutex<Tracked<spin::Mutex<()>>, T>;
type SpinRwLock<T> = RwLock<Tracked<spin::RwLock<()>, RecursiveReaders>, T>;
type UsyncMutex<T> = Mutex<Tracked<usync::RawMutex>, T>;
type UsyncRwLock<T> = RwLock<Tracked<usync::RawRwLock>, T>;
type ParkingMutex<T> = Mutex<Tracked<parking_lot_012::RawMutex>, T>;
type ParkingRwLock<T> = RwLock<Tracked<parking_lot_012::RawRwLock>, T>;

const SHORT: Duration = Duration::from_millis(1);
const LONG: Duration = Duration::from_secs(10);

fn modes() -> Vec<Mode> {
    held().iter().map(|held| held.mode).collect()
}

fn attempts() -> Vec<Attempt> {
    let attempt = |held: &HeldInfo| held.attempt;
    held().iter().map(attempt).collect()
}

fn lines() -> Vec<u32> {
    held().iter().map(|held| held.location.line).collect()
}

#[test]
fn mutexes_in_both_orders_are_reported_with_the_users_lines() {
    let (a, b) = (SpinMutex::new(1), UsyncMutex::new(2));
    {
        let _a = a.lock();
        let _b = b.lock();
    }
    let line = line!();
    let found = reports(|| {
        let _b = b.lock();
        let _a = a.lock();
    });
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), CircularDependency);
    assert_eq!(found[0].location.file, file!());
    assert_eq!(found[0].cycle[0].held_at.line, line + 2);
    assert_eq!(found[0].cycle[0].wanted_at.line, line + 3);
    assert_eq!(modes(), []);
}

#[test]
fn the_lock_itself_is_as_ever() {
    let lock = SpinRwLock::new(1);
    let read = lock.read();
    assert!(lock.try_write().is_none());
    assert_eq!(modes(), [SharedRecursive], "a failed try is not held");
    drop(read);
    *lock.write() += 1;
    assert!(!lock.is_locked());
    assert_eq!(lock.into_inner(), 2);

    let total = UsyncMutex::new(0);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| (0..1000).for_each(|_| *total.lock() += 1));
        }
    });
    assert_eq!(*total.lock(), 4000);
}

#[test]
fn nested_reads_are_reported_for_queued_readers_and_fine_for_recursive_ones() {
    let queued = UsyncRwLock::new(());
    let found = kinds(|| {
        let _outer = queued.read();
        let _inner = queued.read();
        assert_eq!(modes(), [Shared; 2]);
    });
    assert_eq!(found, [RecursiveLocking]);

    let recursive = SpinRwLock::new(());
    let found = kinds(|| {
        let _outer = recursive.read();
        let _inner = recursive.read();
    });
    assert_eq!(found, NONE);

    let by_call = ParkingRwLock::new(());
    let found = kinds(|| {
        let _outer = by_call.read();
        let _inner = by_call.read_recursive();
        let _third = by_call.try_read_recursive_for(LONG).expect("no writer");
        assert_eq!(modes(), [Shared, SharedRecursive, SharedRecursive]);
    });
    assert_eq!(found, NONE);
    assert_eq!(modes(), []);
}

#[test]
fn each_operation_of_an_rwlock_says_how_it_holds_the_lock() {
    let lock = ParkingRwLock::new(0);
    let read = RwLockWriteGuard::downgrade(lock.write());
    assert_eq!(modes(), [Shared]);
    drop(read);

    let write = RwLockUpgradableReadGuard::upgrade(lock.upgradable_read());
    assert_eq!(modes(), [Exclusive]);
    let upgradable = RwLockWriteGuard::downgrade_to_upgradable(write);
    assert_eq!(modes(), [Upgradable]);
    let write = RwLockUpgradableReadGuard::try_upgrade(upgradable).expect("no reader");
    assert_eq!(modes(), [Exclusive]);
    let upgradable = RwLockWriteGuard::downgrade_to_upgradable(write);
    let Ok(write) = RwLockUpgradableReadGuard::try_upgrade_for(upgradable, LONG) else {
        panic!("no reader");
    };
    assert_eq!(modes(), [Exclusive]);
    let upgradable = RwLockWriteGuard::downgrade_to_upgradable(write);
    let read = RwLockUpgradableReadGuard::downgrade(upgradable);
    assert_eq!(modes(), [Shared]);
    RwLockReadGuard::unlock_fair(read);
    RwLockWriteGuard::unlock_fair(lock.write());
    RwLockUpgradableReadGuard::unlock_fair(lock.upgradable_read());
    assert_eq!(modes(), []);
    assert_eq!(lock.into_inner(), 0);
}

#[test]
fn a_failed_upgrade_leaves_an_upgradable_hold() {
    let lock = ParkingRwLock::new(());
    let (locked, end) = (Barrier::new(2), Barrier::new(2));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _read = lock.read();
            locked.wait();
            end.wait();
        });
        locked.wait();
        let guard = lock.upgradable_read();
        let Err(guard) = RwLockUpgradableReadGuard::try_upgrade(guard) else {
            panic!("upgraded past a reader");
        };
        assert_eq!(modes(), [Upgradable]);
        let Err(guard) = RwLockUpgradableReadGuard::try_upgrade_for(guard, SHORT) else {
            panic!("upgraded past a reader");
        };
        assert_eq!(modes(), [Upgradable]);
        drop(guard);
        assert_eq!(modes(), []);
        end.wait();
    });
}

#[test]
fn tries_and_timeouts_are_what_they_are() {
    let mutex = ParkingMutex::new(());
    let guard = mutex.try_lock().expect("free");
    assert_eq!(attempts(), [Attempt::Try]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(mutex.try_lock_for(SHORT).is_none());
            assert_eq!(modes(), [], "a timed-out wait is not held");
        });
    });
    MutexGuard::unlock_fair(guard);
    let guard = mutex.try_lock_for(LONG).expect("free");
    assert_eq!(attempts(), [Attempt::Timed]);
    drop(guard);
    let lock = ParkingRwLock::new(());
    let guard = lock.try_upgradable_read_for(LONG).expect("free");
    assert_eq!(attempts(), [Attempt::Timed]);
    drop(guard);
    assert_eq!(modes(), []);
}

#[test]
fn assertions_and_classes() {
    static SHARD: LockClassKey = LockClassKey::new("shard of 0.4");
    let shard = || SpinMutex::const_new(Tracked::with_class(spin::Mutex::INIT, &SHARD), 0);
    let (a, b) = (shard(), shard());
    let guard = a.lock();
    assert_held_exclusive!(a);
    assert_not_held!(b);
    assert_eq!(kinds(|| drop(b.lock())), [RecursiveLocking]);
    assert_eq!(kinds(|| nested(1, || drop(b.lock()))), NONE);
    drop(guard);
    let lone = UsyncRwLock::new(());
    assert_eq!(kinds(|| atomic(|| drop(lone.read()))), [InvalidWaitContext]);
    std::mem::forget(lone.write());
    assert_eq!(kinds(|| drop(lone)), [HeldLockFreed]);
}

#[test]
fn only_guards_that_stay_are_reported_at_thread_exit() {
    static REPORTS: std::sync::Mutex<Vec<(String, ReportKind)>> = std::sync::Mutex::new(Vec::new());
    on_report(|report| {
        let mut reports = REPORTS.lock().expect("no panic while it is locked");
        reports.push((report.thread.clone(), report.kind()));
    });
    let found_on = |name: &str, f: fn()| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn(f).expect("a thread").join().expect("no panic");
        let reports = REPORTS.lock().expect("no panic while it is locked");
        let of_thread = reports.iter().filter(|(thread, _)| thread == name);
        of_thread.map(|(_, kind)| *kind).collect::<Vec<_>>()
    };
    // usync's guards stay on their thread, spin's may travel.
    static STAYS: UsyncMutex<()> = UsyncMutex::new(());
    static TRAVELS: SpinMutex<()> = SpinMutex::new(());
    let stays = || std::mem::forget(STAYS.lock());
    assert_eq!(found_on("stays", stays), [HeldAtThreadExit]);
    let travels = || std::mem::forget(TRAVELS.lock());
    assert_eq!(found_on("travels", travels), NONE);
}
