//! What only the gated policy does.

use std::time::Duration;

use loom::thread;
use zslock::RawGatedZsLock;
use zslock::lock_api::RwLockUpgradableReadGuard;

use crate::model::{check, lock};

/// Rules out: a claim that is given up and leaves the gate closed, or the other claimer asleep.
#[test]
fn a_claim_that_is_given_up_lets_the_others_in() {
    check(3, || {
        let lock = lock::<RawGatedZsLock>();
        let inside = lock.read();
        let giving_up = {
            let lock = lock.clone();
            thread::spawn(move || {
                lock.try_write_for(Duration::from_secs(3600))
                    .map(|guard| guard.add(1))
                    .is_some()
            })
        };
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || lock.read().get())
        };
        drop(inside);
        let wrote = giving_up.join().unwrap();
        assert!(reader.join().unwrap() <= usize::from(wrote));
        assert!(lock.try_write().is_some(), "all have left");
    });
}

/// Rules out: a writer that leaves and comes back before a reader that was parked (phase-fairness).
#[test]
fn a_parked_reader_is_granted_the_lock() {
    check(3, || {
        let lock = lock::<RawGatedZsLock>();
        let other = lock.clone();
        let writer = lock.write();
        let reader = thread::spawn(move || other.read().get());
        let waits = zslock::is_anyone_parked();
        writer.add(1);
        drop(writer);
        lock.write().add(1);
        let seen = reader.join().unwrap();
        assert!(!waits || seen == 1, "the parked reader was overtaken");
    });
}

/// Rules out: a grant that a second reader, or the next writer, is not ordered after; and somebody who sleeps on.
#[test]
fn a_grant_is_seen_by_the_others() {
    check(2, || {
        let lock = lock::<RawGatedZsLock>();
        let writer = lock.write();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || assert!(matches!(lock.read().get(), 1 | 2)))
            })
            .collect();
        let second = {
            let lock = lock.clone();
            thread::spawn(move || lock.write().add(1))
        };
        writer.add(1);
        drop(writer);
        for reader in readers {
            reader.join().unwrap();
        }
        second.join().unwrap();
        assert_eq!(lock.read().get(), 2);
    });
}

/// Rules out: a timed upgrade that gives up and does not leave its upgradable lock, or keeps the gate closed.
#[test]
fn an_upgrade_that_is_given_up_stays_upgradable() {
    check(3, || {
        let lock = lock::<RawGatedZsLock>();
        let inside = lock.read();
        let upgrading = {
            let lock = lock.clone();
            thread::spawn(move || {
                let upgradable = lock.upgradable_read();
                match RwLockUpgradableReadGuard::try_upgrade_for(
                    upgradable,
                    Duration::from_secs(3600),
                ) {
                    Ok(writer) => writer.add(1),
                    Err(upgradable) => assert_eq!(upgradable.get(), 0),
                }
            })
        };
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || lock.read().get())
        };
        drop(inside);
        upgrading.join().unwrap();
        reader.join().unwrap();
        assert!(lock.try_write().is_some(), "all have left");
    });
}
