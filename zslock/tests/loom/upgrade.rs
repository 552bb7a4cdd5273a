//! Upgradable readers.

use loom::thread;
use zslock::lock_api::{RwLockUpgradableReadGuard, RwLockWriteGuard};

use crate::model::{check, for_every_lock, lock};

for_every_lock! {
    /// Rules out: an upgrade that overtakes a reader, a reader that sees half of it, and an upgrader that sleeps on.
    fn an_upgrade_waits_for_the_reader<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let reader = thread::spawn(move || {
                let seen = other.read().get();
                assert!(seen == 0 || seen == 2, "half of a write section was seen");
            });
            let upgradable = lock.upgradable_read();
            assert_eq!(upgradable.get(), 0);
            let writer = RwLockUpgradableReadGuard::upgrade(upgradable);
            writer.add(1);
            writer.add(1);
            drop(writer);
            reader.join().unwrap();
        });
    }

    /// Rules out: a writer beside an upgradable reader, and a writer that sleeps on when it has left.
    fn unlock_upgradable_wakes_the_writer<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let upgradable = lock.upgradable_read();
            let writer = thread::spawn(move || other.write().add(1));
            assert_eq!(upgradable.get(), 0, "a writer came beside the upgradable reader");
            drop(upgradable);
            writer.join().unwrap();
            assert_eq!(lock.read().get(), 1);
        });
    }

    /// Rules out: two upgradable readers at once (each would wait for the other), and one that sleeps on.
    fn upgradable_readers_exclude_each_other<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let upgrade = move |lock: &crate::model::Lock<R>| {
                let upgradable = lock.upgradable_read();
                let before = upgradable.get();
                let writer = RwLockUpgradableReadGuard::upgrade(upgradable);
                assert_eq!(writer.get(), before, "another writer came between");
                writer.add(1);
            };
            let first = thread::spawn(move || upgrade(&other));
            upgrade(&lock);
            first.join().unwrap();
            assert_eq!(lock.read().get(), 2);
        });
    }

    /// Rules out: a writer that becomes upgradable and forgets the waiting reader or lets a writer in.
    fn downgrade_to_upgradable_lets_readers_in<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let writer = lock.write();
            let reader = thread::spawn(move || other.read().get());
            writer.add(1);
            let upgradable = RwLockWriteGuard::downgrade_to_upgradable(writer);
            assert_eq!(reader.join().unwrap(), 1);
            assert!(lock.try_write().is_none());
            drop(upgradable);
            assert!(lock.try_write().is_some(), "all have left");
        });
    }

    /// Rules out: an upgradable reader that becomes a plain one and does not wake the next upgradable one.
    fn downgrade_of_upgradable_wakes_the_next<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let upgradable = lock.upgradable_read();
            let next = thread::spawn(move || other.upgradable_read().get());
            let reader = RwLockUpgradableReadGuard::downgrade(upgradable);
            assert_eq!(next.join().unwrap(), 0);
            assert!(lock.try_write().is_none());
            drop(reader);
            assert!(lock.try_write().is_some(), "all have left");
        });
    }

    /// Rules out: a `try_upgrade` that succeeds beside a reader, or is not ordered after one that has left.
    fn try_upgrade_against_read<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let reader = thread::spawn(move || {
                let guard = other.read();
                assert_eq!(guard.get(), guard.get(), "the data moved under a map");
            });
            match RwLockUpgradableReadGuard::try_upgrade(lock.upgradable_read()) {
                Ok(writer) => writer.add(1),
                Err(upgradable) => assert_eq!(upgradable.get(), 0),
            }
            reader.join().unwrap();
        });
    }

    /// Rules out: an upgradable reader that waited for a writer and does not see what it wrote.
    fn an_upgradable_reader_waits_for_the_writer<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let writer = lock.write();
            let upgradable = thread::spawn(move || other.upgradable_read().get());
            writer.add(1);
            drop(writer);
            assert_eq!(upgradable.join().unwrap(), 1, "the upgradable reader came too early");
        });
    }

    /// Rules out: a `try_upgradable_read` that does not see what the last writer wrote.
    fn try_upgradable_read_against_write<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let writer = thread::spawn(move || {
                let guard = other.write();
                guard.add(1);
                guard.add(1);
            });
            if let Some(guard) = lock.try_upgradable_read() {
                let seen = guard.get();
                assert!(seen == 0 || seen == 2, "half of a write section was seen");
            }
            writer.join().unwrap();
        });
    }
}
