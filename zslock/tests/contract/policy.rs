//! Rule 1, and how the gated policy differs.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;

use zslock::{GatedZsLock, RawGatedZsLock, RawZsLock, ZsLock};

use crate::common::{wait_until, waiting_writer};

#[test]
fn plain_readers_pass_a_writer_that_waits() {
    let lock = ZsLock::new(0);
    thread::scope(|scope| {
        let outer = lock.read();
        scope.spawn(|| *lock.write() += 1);
        wait_until(&lock, waiting_writer::<RawZsLock>());
        // A nested read on this thread, and a first one on another: neither waits for the writer.
        let nested = lock.read();
        scope.spawn(|| assert_eq!(*lock.read(), 0)).join().unwrap();
        assert_eq!((*outer, *nested), (0, 0));
        assert!(lock.try_read().is_some());
    });
    assert_eq!(lock.into_inner(), 1);
}

#[test]
fn a_gated_writer_that_waits_closes_the_gate() {
    let lock = GatedZsLock::new(0);
    thread::scope(|scope| {
        let inside = lock.read();
        scope.spawn(|| *lock.write() += 1);
        wait_until(&lock, waiting_writer::<RawGatedZsLock>());
        assert!(lock.try_read().is_none(), "the gate is open");
        let late = scope.spawn(|| *lock.read());
        assert_eq!(*inside, 0);
        drop(inside);
        assert_eq!(
            late.join().unwrap(),
            1,
            "the late reader came before the writer"
        );
    });
}

#[test]
fn one_write_unlock_admits_every_waiting_plain_reader() {
    let lock = ZsLock::new(0);
    let barrier = std::sync::Barrier::new(4);
    thread::scope(|scope| {
        let mut writer = lock.write();
        for _ in 0..4 {
            scope.spawn(|| {
                let guard = lock.read();
                // All four hold the lock at once, or nobody passes.
                barrier.wait();
                assert_eq!(*guard, 1);
            });
        }
        wait_until(&lock, "readers: 4");
        // Rule 5: they do not spin for ever.
        wait_until(&lock, "readers_parked: true");
        *writer = 1;
    });
}

/// With two writers that never pause, a reader gets its turn: it is granted the lock when the present writer leaves. Counted in
/// write sections, so that a slow machine cannot break it. (A lock that only wakes its readers and lets them compete
/// keeps the median reader waiting for 6 to 70 sections here.)
#[cfg(feature = "std")] // without parking nobody can be granted anything
#[test]
fn a_gated_reader_waits_a_bounded_number_of_write_sections() {
    const READS: usize = 300;
    let lock = GatedZsLock::new(());
    let sections = std::sync::atomic::AtomicU64::new(0);
    let stop = AtomicBool::new(false);
    let mut waited = thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| {
                while !stop.load(Relaxed) {
                    let _guard = lock.write();
                    sections.fetch_add(1, Relaxed);
                    (0..500).for_each(|_| std::hint::spin_loop());
                }
            });
        }
        let waited: Vec<u64> = (0..READS)
            .map(|_| {
                while !lock.is_locked_exclusive() {
                    std::hint::spin_loop();
                }
                let before = sections.load(Relaxed);
                drop(lock.read());
                sections.load(Relaxed) - before
            })
            .collect();
        stop.store(true, Relaxed);
        waited
    });
    waited.sort_unstable();
    // The tail belongs to the scheduler: a reader that is preempted before it parks is not yet waiting.
    let median = waited[READS / 2];
    assert!(
        median <= 2,
        "readers waited for {median} write sections: {waited:?}"
    );
}

#[test]
fn readers_may_sleep_and_nobody_but_writers_notices() {
    let lock = ZsLock::new(1);
    let asleep = AtomicBool::new(false);
    thread::scope(|scope| {
        let sleeper = scope.spawn(|| {
            let guard = lock.read();
            asleep.store(true, Relaxed);
            thread::park();
            *guard
        });
        while !asleep.load(Relaxed) {
            thread::yield_now();
        }
        assert!(lock.try_write().is_none(), "migration must see the map");
        assert_eq!(*lock.read(), 1);
        sleeper.thread().unpark();
        assert_eq!(sleeper.join().unwrap(), 1);
        assert!(lock.try_write().is_some());
    });
}
