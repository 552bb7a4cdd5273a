//! Nobody sleeps through a wake-up. A lost one shows as a deadlock: loom reports that no thread can run.

use std::time::Duration;

use loom::thread;
use zslock::lock_api::RwLockReadGuard;

use crate::model::{check, for_every_lock, lock};

/// A deadline that loom's parker may let pass at any moment, and that has not passed before the park.
const SOME_TIME: Duration = Duration::from_secs(3600);

for_every_lock! {
    /// Rules out: migration that does not block a new map, and a map that sleeps on when the migration is over.
    fn migration_blocks_a_new_map<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let migration = lock.try_write().expect("nobody is inside");
            let map = thread::spawn(move || other.read().get());
            migration.add(1);
            migration.add(1);
            drop(migration);
            assert_eq!(map.join().unwrap(), 2, "the map came before the migration was over");
        });
    }

    /// Rules out: a writer that sleeps on when the last reader has left.
    fn the_last_reader_wakes_the_writer<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let map = lock.read();
            let writer = thread::spawn(move || other.write().add(1));
            assert_eq!(map.get(), 0);
            drop(map);
            writer.join().unwrap();
            assert_eq!(lock.read().get(), 1);
        });
    }

    /// Rules out: a wake-up lost among two writers and a reader that all block. (In a prototype that showed at
    /// three preemptions and not at two.)
    fn two_blocking_writers_and_a_reader<R>() {
        check(3, || {
            let lock = lock::<R>();
            let writers: Vec<_> = (0..2)
                .map(|_| {
                    let lock = lock.clone();
                    thread::spawn(move || lock.write().add(1))
                })
                .collect();
            assert!(lock.read().get() <= 2);
            for writer in writers {
                writer.join().unwrap();
            }
            assert_eq!(lock.read().get(), 2);
        });
    }

    /// Rules out: a fair unlock after which the thread that unlocked takes the lock before a writer that was parked.
    fn a_fair_unlock_is_not_overtaken<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let inside = lock.read();
            let writer = thread::spawn(move || other.write().add(1));
            let waits = zslock::is_anyone_parked();
            RwLockReadGuard::unlock_fair(inside);
            if let Some(guard) = lock.try_write() {
                assert!(!waits || guard.get() == 1, "the parked writer was overtaken");
            }
            writer.join().unwrap();
        });
    }

    /// Rules out: a reader with a deadline that is neither let in nor told that its time is over, and a wake-up that its
    /// time-out takes with it, so that the blocking writer beside it sleeps on.
    fn a_time_out_races_with_an_unlock<R>() {
        check(3, || {
            let lock = lock::<R>();
            let writer = lock.write();
            let timed = {
                let lock = lock.clone();
                thread::spawn(move || lock.try_write_for(SOME_TIME).map(|guard| guard.add(1)).is_some())
            };
            let blocking = {
                let lock = lock.clone();
                thread::spawn(move || lock.write().add(1))
            };
            drop(writer);
            let got = timed.join().unwrap();
            blocking.join().unwrap();
            assert_eq!(lock.read().get(), 1 + usize::from(got));
        });
    }

    /// The same for a reader with a deadline.
    fn a_readers_time_out_races_with_an_unlock<R>() {
        check(3, || {
            let lock = lock::<R>();
            let other = lock.clone();
            let writer = lock.write();
            let timed = thread::spawn(move || other.try_read_for(SOME_TIME).map(|guard| guard.get()));
            writer.add(1);
            drop(writer);
            let seen = timed.join().unwrap();
            assert!(seen.is_none_or(|seen| seen == 1), "read before the writer had left");
            assert!(lock.try_write().is_some(), "a reader that gave up holds nothing");
        });
    }
}

/// Rules out: a writer that is handed the lock by the last reader, which unlocks fairly, and is not ordered after the reader
/// that left before that one.
#[test]
fn a_fair_unlock_hands_over_to_the_writer() {
    check(3, || {
        let lock = lock::<zslock::RawZsLock>();
        let (first, last) = (lock.read(), lock.read());
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || lock.read().get())
        };
        let writer = {
            let lock = lock.clone();
            thread::spawn(move || lock.write().add(1))
        };
        assert_eq!(first.get(), 0);
        drop(first);
        RwLockReadGuard::unlock_fair(last);
        assert!(reader.join().unwrap() <= 1);
        writer.join().unwrap();
        assert_eq!(lock.read().get(), 1);
    });
}

/// Rules out: a starving writer (woken once in vain) to whom nobody hands the lock over, with two readers in its way, one of
/// which may be waiting for the writer itself.
#[test]
fn a_starving_writer_is_handed_the_lock() {
    check(3, || {
        let lock = lock::<zslock::RawZsLock>();
        let inside = lock.read();
        let writer = {
            let lock = lock.clone();
            thread::spawn(move || lock.write().add(1))
        };
        let reader = {
            let lock = lock.clone();
            thread::spawn(move || assert!(lock.read().get() <= 1))
        };
        drop(inside);
        assert!(lock.read().get() <= 1);
        reader.join().unwrap();
        writer.join().unwrap();
        assert_eq!(lock.read().get(), 1);
    });
}
