//! `Tracked`: lock_api's locks, unchanged in what they do and validated in
//! how they are used.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Barrier;
use std::time::Duration;

use lock_api::{RawMutex as _, RawRwLock as _};
use lockdep::Mode::{Exclusive, Shared, SharedRecursive, Upgradable};
use lockdep::ReportKind::{CircularDependency, HeldLockFreed, RecursiveLocking};
use lockdep::{
    Attempt, HeldInfo, LockClassKey, Mode, Mutex, RecursiveReaders, RwLock,
    RwLockUpgradableReadGuard, RwLockWriteGuard, Tracked,
};
use support::{NONE, kinds, reports, sendable};

type RecursiveRwLock<T> =
    lock_api::RwLock<Tracked<parking_lot::RawRwLockRecursive, RecursiveReaders>, T>;

fn modes() -> Vec<Mode> {
    lockdep::held().iter().map(|held| held.mode).collect()
}

fn attempts() -> Vec<Attempt> {
    let attempt = |held: &HeldInfo| held.attempt;
    lockdep::held().iter().map(attempt).collect()
}

#[test]
fn mutexes_in_both_orders_are_reported_with_the_users_lines() {
    let (a, b) = (Mutex::new(1), Mutex::new(2));
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
}

#[test]
fn each_operation_of_an_rwlock_says_how_it_holds_the_lock() {
    let lock = RwLock::new(0);
    let read = lock.read();
    assert_eq!(modes(), [Shared]);
    assert!(lock.try_write().is_none(), "the raw lock is really held");
    assert_eq!(modes(), [Shared], "a failed try is not held");
    drop(read);

    let mut write = lock.write();
    assert_eq!(modes(), [Exclusive]);
    *write += 1;
    let read = RwLockWriteGuard::downgrade(write);
    assert_eq!(modes(), [Shared]);
    drop(read);

    let upgradable = lock.upgradable_read();
    assert_eq!(modes(), [Upgradable]);
    let write = RwLockUpgradableReadGuard::upgrade(upgradable);
    assert_eq!(modes(), [Exclusive]);
    let upgradable = RwLockWriteGuard::downgrade_to_upgradable(write);
    assert_eq!(modes(), [Upgradable]);
    let write = RwLockUpgradableReadGuard::try_upgrade(upgradable).expect("no reader");
    assert_eq!(modes(), [Exclusive]);
    let upgradable = RwLockWriteGuard::downgrade_to_upgradable(write);
    let read = RwLockUpgradableReadGuard::downgrade(upgradable);
    assert_eq!(modes(), [Shared]);
    drop(read);
    assert_eq!(modes(), []);
    assert_eq!(lock.into_inner(), 1);
}

#[test]
fn a_failed_upgrade_leaves_an_upgradable_hold() {
    let lock = RwLock::new(());
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
        let short = Duration::from_millis(1);
        let Err(guard) = RwLockUpgradableReadGuard::try_upgrade_for(guard, short) else {
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
    let mutex = Mutex::new(());
    let guard = mutex.try_lock().expect("free");
    assert_eq!(attempts(), [Attempt::Try]);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert!(mutex.try_lock_for(Duration::from_millis(1)).is_none());
            assert_eq!(modes(), [], "a timed-out wait is not held");
        });
    });
    drop(guard);
    let guard = mutex.try_lock_for(Duration::from_secs(1)).expect("free");
    assert_eq!(attempts(), [Attempt::Timed]);
    drop(guard);
    let lock = RwLock::new(());
    let guard = lock.try_read_for(Duration::from_secs(1)).expect("free");
    assert_eq!(attempts(), [Attempt::Timed]);
    drop(guard);
    let guard = lock.try_write().expect("free");
    assert_eq!(attempts(), [Attempt::Try]);
    drop(guard);
}

#[test]
fn nested_reads_are_reported_for_queued_readers_and_fine_for_recursive_ones() {
    let queued = RwLock::new(());
    let found = kinds(|| {
        let _outer = queued.read();
        let _inner = queued.read();
    });
    assert_eq!(found, [RecursiveLocking]);

    let recursive = RecursiveRwLock::new(());
    let found = kinds(|| {
        let _outer = recursive.read();
        let _inner = recursive.read();
        assert_eq!(modes(), [SharedRecursive; 2]);
    });
    assert_eq!(found, NONE);
}

#[test]
fn an_acquisition_that_panics_leaves_the_raw_lock_free() {
    let (a, b) = (Mutex::new(()), Mutex::new(()));
    drop((a.lock(), b.lock()));
    let held = b.lock();
    let unwound = catch_unwind(AssertUnwindSafe(|| drop(a.lock())));
    assert!(unwound.is_err());
    drop(held);
    assert!(a.try_lock().is_some());
    assert_eq!(modes(), []);
}

#[test]
fn an_upgrade_that_panics_releases_the_lock() {
    let (a, b) = (RwLock::new(()), Mutex::new(()));
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

#[test]
fn classes_by_key_and_by_site_and_numbers_within_a_class() {
    static SHARD: LockClassKey =
        LockClassKey::new("shard").order_by(|held, wanted| held.order.cmp(&wanted.order));
    let shard = |number| {
        let raw: Tracked<_> = Tracked::with_class(parking_lot::RawMutex::INIT, &SHARD);
        Mutex::from_raw(raw.with_order(number), ())
    };
    let (first, second) = (shard(1), shard(2));
    let nest = |outer: &Mutex<()>, inner: &Mutex<()>| {
        kinds(|| {
            let _outer = outer.lock();
            let _inner = inner.lock();
        })
    };
    assert_eq!(nest(&first, &second), NONE);
    assert_eq!(nest(&second, &first), [RecursiveLocking]);

    let site = || RwLock::from_raw(Tracked::at_site(parking_lot::RawRwLock::INIT), ());
    let (a, b) = (site(), site());
    let found = reports(|| {
        let _a = a.write();
        let _b = b.write();
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].held[0].class.contains("tracked.rs:"));
}

#[test]
fn a_mutex_dropped_while_its_guard_is_forgotten_is_reported() {
    let mutex = Mutex::new(());
    std::mem::forget(mutex.lock());
    assert_eq!(kinds(|| drop(mutex)), [HeldLockFreed]);
    assert_eq!(modes(), []);
}

#[test]
fn guards_are_send_when_those_of_the_raw_lock_are() {
    let mutex = sendable::Mutex::new(5);
    let guard = mutex.lock();
    std::thread::scope(|scope| {
        scope.spawn(move || {
            assert_eq!(*guard, 5);
            drop(guard);
        });
    });
    assert_eq!(*mutex.lock(), 5);
}
