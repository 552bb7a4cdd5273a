//! Upgradable readers.

use std::thread;

use zslock::lock_api::{RwLockUpgradableReadGuard, RwLockWriteGuard};

use crate::common::{for_every_lock, fresh, wait_until};

for_every_lock! {
    fn an_upgradable_reader_admits_readers_only<R>() {
        let lock = fresh::<R, u32>(0);
        let upgradable = lock.upgradable_read();
        assert!(lock.try_read().is_some());
        assert!(lock.try_upgradable_read().is_none());
        assert!(lock.try_write().is_none());
        drop(upgradable);
        assert!(lock.try_write().is_some());
    }

    fn try_upgrade_fails_beside_a_reader_and_keeps_the_lock<R>() {
        let lock = fresh::<R, u32>(0);
        let reader = lock.read();
        let upgradable = lock.try_upgradable_read().expect("readers do not matter");
        let upgradable = RwLockUpgradableReadGuard::try_upgrade(upgradable).expect_err("a reader is inside");
        drop(reader);
        let Ok(mut writer) = RwLockUpgradableReadGuard::try_upgrade(upgradable) else {
            panic!("alone, and yet not upgraded");
        };
        *writer = 1;
        let upgradable = RwLockWriteGuard::downgrade_to_upgradable(writer);
        assert_eq!(*upgradable, 1);
        assert!(lock.try_upgradable_read().is_none() && lock.try_read().is_some());
        let reader = RwLockUpgradableReadGuard::downgrade(upgradable);
        assert!(lock.try_upgradable_read().is_some() && lock.try_write().is_none());
        drop(reader);
        assert!(!lock.is_locked());
    }

    fn a_blocked_upgrade_is_woken_by_the_last_reader<R>() {
        let lock = fresh::<R, u32>(0);
        thread::scope(|scope| {
            let reader = lock.read();
            let upgrade = scope.spawn(|| {
                let upgradable = lock.upgradable_read();
                *RwLockUpgradableReadGuard::upgrade(upgradable) += 1;
            });
            wait_until(&lock, "drain_parked: true");
            assert_eq!(*reader, 0);
            drop(reader);
            upgrade.join().unwrap();
        });
        assert_eq!(lock.into_inner(), 1);
    }

    fn a_blocked_upgradable_reader_is_woken<R>() {
        let lock = fresh::<R, u32>(0);
        thread::scope(|scope| {
            let upgradable = lock.upgradable_read();
            let next = scope.spawn(|| *lock.upgradable_read());
            wait_until(&lock, "readers_parked: true");
            drop(upgradable);
            assert_eq!(next.join().unwrap(), 0);
            let writer = lock.write();
            let next = scope.spawn(|| *lock.upgradable_read());
            wait_until(&lock, "readers_parked: true");
            drop(writer);
            assert_eq!(next.join().unwrap(), 0);
        });
        assert!(!lock.is_locked());
    }

    fn upgrades_under_stress<R>() {
        const ROUNDS: u64 = 2_000;
        let lock = fresh::<R, u64>(0);
        thread::scope(|scope| {
            for _ in 0..3 {
                scope.spawn(|| {
                    for _ in 0..ROUNDS {
                        let upgradable = lock.upgradable_read();
                        let before = *upgradable;
                        let mut writer = RwLockUpgradableReadGuard::upgrade(upgradable);
                        assert_eq!(*writer, before, "a writer came between");
                        *writer += 1;
                        drop(writer);
                        drop(lock.read());
                    }
                });
            }
        });
        assert_eq!(lock.into_inner(), 3 * ROUNDS);
    }
}
