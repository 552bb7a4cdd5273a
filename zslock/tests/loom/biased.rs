//! The biased lock: readers in slots, and writers that revoke. (The models of `exclusion`, `parking` and `upgrade` run for it, too.)
//!
//! The asymmetric fence is a full one on both sides here. A thread has one slot, and there are slots for three threads.

use std::time::Duration;

use loom::sync::Arc;
use loom::thread;
use zslock::RawBiasedZsLock;
use zslock::lock_api::{RawRwLock, RwLock, RwLockUpgradableReadGuard};

use crate::model::{Lock, Watched, check};

const SOME_TIME: Duration = Duration::from_secs(3600);

type Biased = Lock<RawBiasedZsLock>;

/// A lock that is biased, so that its readers use slots.
fn biased() -> Arc<Biased> {
    Arc::new(RwLock::from_raw(RawBiasedZsLock::biased(), Watched::new()))
}

fn raw(lock: &Biased) -> &RawBiasedZsLock {
    // SAFETY: the models unlock with the guards that they got from it, and no others.
    unsafe { lock.raw() }
}

/// Runs `body` on another thread.
fn with(lock: &Arc<Biased>, body: impl FnOnce(&Biased) + 'static) -> thread::JoinHandle<()> {
    let lock = lock.clone();
    thread::spawn(move || body(&lock))
}

fn read_twice(lock: &Biased) {
    let guard = lock.read();
    assert_eq!(guard.get(), guard.get(), "the data moved under a map");
}

fn try_to_write(lock: &Biased) {
    if let Some(guard) = lock.try_write() {
        guard.add(1);
    }
}

/// Rules out: a `try_write` that succeeds beside a reader in its slot, or is not ordered after one that has left.
#[test]
fn try_write_against_read() {
    check(3, || {
        let lock = biased();
        let migrator = with(&lock, try_to_write);
        read_twice(&lock);
        migrator.join().unwrap();
    });
}

/// Rules out: a writer that sleeps on when the last slot is emptied, by a guard or by an attempt that failed.
#[test]
fn write_against_read() {
    check(3, || {
        let lock = biased();
        let writer = with(&lock, |lock| lock.write().add(1));
        read_twice(&lock);
        writer.join().unwrap();
        assert_eq!(lock.read().get(), 1);
    });
}

/// Rules out: a wake-up lost among two writers, one of which owns the revocation, and a reader that leaves.
#[test]
fn two_blocking_writers_and_a_reader_that_leaves() {
    check(3, || {
        let lock = biased();
        let guard = lock.read();
        let writers = [(), ()].map(|()| with(&lock, |lock| lock.write().add(1)));
        assert_eq!(guard.get(), 0);
        drop(guard);
        for writer in writers {
            writer.join().unwrap();
        }
        assert_eq!(lock.read().get(), 2);
    });
}

/// Rules out: a reader whose first look was at one bias and whose second is at the next, and that does not see what the
/// writer between them wrote.
#[test]
fn a_bias_that_comes_back() {
    check(3, || {
        let lock = biased();
        let writer = with(&lock, |lock| {
            lock.write().add(1);
            let guard = lock.read();
            raw(lock).bias();
            drop(guard);
        });
        read_twice(&lock);
        writer.join().unwrap();
        assert_eq!(lock.read().get(), 1);
    });
}

/// Rules out: a writer that sleeps under a bias that a counted reader has set.
#[test]
fn no_bias_beside_a_writer_that_waits() {
    check(3, || {
        let lock = Arc::new(RwLock::from_raw(RawBiasedZsLock::new(), Watched::new()));
        let guard = lock.read();
        let writer = with(&lock, |lock| lock.write().add(1));
        raw(&lock).bias();
        drop(guard);
        writer.join().unwrap();
        assert_eq!(lock.read().get(), 1);
    });
}

/// Rules out: a slot whose next use hides that the guard before, which was released on another thread, has left.
#[test]
fn a_slot_is_used_again() {
    check(3, || {
        let (lock, other) = (biased(), biased());
        let guard = raw(&lock).lock_shared();
        let releaser = with(&lock, move |lock| {
            // SAFETY: a read lock is held, by the guard that is released below.
            let data = unsafe { &*lock.data_ptr() };
            assert_eq!(data.get(), 0);
            // SAFETY: the guard of the lock taken above.
            unsafe { raw(lock).unlock_shared(guard) };
        });
        let writer = with(&lock, |lock| lock.write().add(1));
        read_twice(&other);
        releaser.join().unwrap();
        writer.join().unwrap();
    });
}

/// Rules out: a thread that takes over the slots of one that has ended, and a slot among them that still is taken.
#[test]
fn a_slot_outlives_its_thread() {
    check(3, || {
        let (lock, other) = (biased(), biased());
        let ending = with(&lock, |lock| std::mem::forget(lock.read()));
        let next = with(&other, read_twice);
        ending.join().unwrap();
        next.join().unwrap();
        assert!(
            lock.try_write().is_none(),
            "a reader was forgotten by the lock"
        );
        assert!(other.try_write().is_some(), "all have left");
    });
}

/// Rules out: a reader that touches the lock after the step that emptied its slot, or is not ordered before whoever
/// finds the lock free and frees its memory.
#[test]
fn a_lock_is_freed_when_it_is_found_free() {
    check(3, || {
        let lock = biased();
        let guard = raw(&lock).lock_shared();
        let reader = with(&lock, move |lock| {
            // SAFETY: the guard of the lock taken above.
            unsafe { raw(lock).unlock_shared(guard) };
        });
        while lock.try_write().is_none() {
            thread::yield_now();
        }
        raw(&lock).memory_is_freed();
        reader.join().unwrap();
    });
}

/// The same with a writer that waits.
#[test]
fn a_lock_is_freed_by_the_writer_that_waited() {
    check(3, || {
        let lock = biased();
        let guard = raw(&lock).lock_shared();
        let reader = with(&lock, move |lock| {
            // SAFETY: the guard of the lock taken above.
            unsafe { raw(lock).unlock_shared(guard) };
        });
        drop(lock.write());
        raw(&lock).memory_is_freed();
        reader.join().unwrap();
    });
}

/// Rules out: a batch that takes the bias from under a reader; a writer that finds the bias gone and is not ordered after
/// the readers that the batch saw leave; a writer that joins in the batch's revocation, scans before the bias is restored, and
/// comes in beside a reader that came after.
#[test]
fn a_batch_is_revoked() {
    check(3, || {
        let lock = biased();
        let guard = lock.read();
        let batch = with(&lock, |lock| {
            RawBiasedZsLock::revoke_all(&[raw(lock), raw(lock)])
        });
        let migrator = with(&lock, try_to_write);
        assert_eq!(guard.get(), guard.get(), "the data moved under a map");
        drop(guard);
        read_twice(&lock);
        batch.join().unwrap();
        migrator.join().unwrap();
        assert!(lock.try_write().is_some(), "all have left");
    });
}

/// Rules out: a revoker that is not ordered after readers that are counted beside those in slots.
#[test]
fn the_slots_are_full() {
    check(3, || {
        let lock = biased();
        let writer = with(&lock, |lock| lock.write().add(1));
        let (slot, counted) = (lock.read(), lock.read());
        assert_eq!(slot.get(), counted.get(), "the data moved under a map");
        drop(slot);
        assert_eq!(counted.get(), counted.get(), "the data moved under a map");
        drop(counted);
        writer.join().unwrap();
    });
}

/// Rules out: an upgrade that overtakes a reader in a slot, or sleeps on when it leaves, or while a writer revokes.
#[test]
fn an_upgrade_against_read() {
    check(3, || {
        let lock = biased();
        let upgrader = with(&lock, |lock| {
            let guard = lock.upgradable_read();
            assert_eq!(guard.get(), 0);
            RwLockUpgradableReadGuard::upgrade(guard).add(1);
        });
        read_twice(&lock);
        upgrader.join().unwrap();
        assert_eq!(lock.read().get(), 1);
    });
}

/// The same with a writer, which may own the revocation while the upgrader waits.
#[test]
fn an_upgrade_against_write() {
    check(3, || {
        let lock = biased();
        let upgrader = with(&lock, |lock| {
            let guard = lock.upgradable_read();
            let before = guard.get();
            let guard = RwLockUpgradableReadGuard::upgrade(guard);
            assert_eq!(guard.get(), before, "a writer came between");
            guard.add(1);
        });
        let writer = with(&lock, |lock| lock.write().add(1));
        upgrader.join().unwrap();
        writer.join().unwrap();
        assert_eq!(lock.read().get(), 2);
    });
}

/// Rules out: a `try_upgrade` that succeeds beside a reader in a slot.
#[test]
fn try_upgrade_against_read() {
    check(3, || {
        let lock = biased();
        let reader = with(&lock, read_twice);
        match RwLockUpgradableReadGuard::try_upgrade(lock.upgradable_read()) {
            Ok(writer) => writer.add(1),
            Err(upgradable) => assert_eq!(upgradable.get(), 0),
        }
        reader.join().unwrap();
    });
}

/// Rules out: an owner of the revocation that gives up, restores the bias, and leaves a writer asleep that parked meanwhile.
#[test]
fn a_revocation_is_given_up() {
    check(3, || {
        let lock = biased();
        let guard = lock.read();
        let timed = with(&lock, |lock| {
            if let Some(guard) = lock.try_write_for(SOME_TIME) {
                guard.add(1);
            }
        });
        let writer = with(&lock, |lock| lock.write().add(1));
        assert_eq!(guard.get(), guard.get(), "the data moved under a map");
        drop(guard);
        timed.join().unwrap();
        writer.join().unwrap();
        assert!(lock.try_write().is_some(), "all have left");
    });
}
