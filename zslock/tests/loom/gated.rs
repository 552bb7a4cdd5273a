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

/// Rules out: a writer that leaves and lets the next writer overtake a reader that was parked (phase-fairness), with a third
/// party reading. The parked reader must see exactly one of the two writes or none, and nobody may sleep on.
#[test]
fn a_write_unlock_grants_parked_readers_first() {
    check(2, || {
        let lock = lock::<RawGatedZsLock>();
        let writer = lock.write();
        let readers: Vec<_> = (0..2)
            .map(|_| {
                let lock = lock.clone();
                thread::spawn(move || {
                    let guard = lock.read();
                    let seen = guard.get();
                    assert_eq!(guard.get(), seen);
                    assert!(seen == 1 || seen == 2);
                })
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
