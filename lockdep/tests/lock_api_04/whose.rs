//! Which hold a release or a change of mode without a token is about.

use lockdep::Mode::{Exclusive, SharedRecursive};
use lockdep::ReportKind::AssertionFailed;
use lockdep::lock_api_04::RwLockWriteGuard;
use lockdep::{assert_held, assert_not_held, detach, held};

use crate::support::{NONE, kinds};
use crate::{ParkingRwLock, SpinMutex, SpinRwLock, lines, modes};

#[test]
fn a_release_ends_the_newest_hold_of_its_kind_on_this_thread() {
    let (lock, other) = (SpinRwLock::new(()), SpinMutex::new(()));
    let line = line!() + 1;
    let first = lock.read();
    let _other = other.lock();
    let second = lock.read();
    assert_eq!(lines(), [line, line + 1, line + 2]);
    // The holds are alike, so whichever guard goes, the newest hold ends.
    drop(first);
    assert_eq!(lines(), [line, line + 1]);
    drop(second);
    assert_eq!(lines(), [line + 1]);

    // A reader beside the upgradable hold is another hold than that.
    let lock = ParkingRwLock::new(());
    let upgradable = lock.upgradable_read();
    let _read = lock.read_recursive();
    drop(upgradable);
    assert_eq!(modes(), [Exclusive, SharedRecursive]);
}

#[test]
fn a_guard_released_elsewhere_ends_the_hold_where_it_was_acquired() {
    let (moved, other) = (SpinMutex::new(()), SpinMutex::new(()));
    let guard = moved.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(guard));
    });
    assert_not_held!(moved);
    // No edge from the hold that is gone: the other order is the only one.
    drop(other.lock());
    let found = kinds(|| {
        let _other = other.lock();
        drop(moved.lock());
    });
    assert_eq!(found, NONE);
    // Nobody holds it any more.
    assert_eq!(kinds(|| drop(moved)), NONE);
}

#[test]
fn a_guard_sent_twice_leaves_no_hold_behind() {
    let lock = SpinMutex::new(());
    // This thread acquires and never looks at its notes while the others do.
    let guard = lock.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| drop(guard)).join().expect("no report");
        let (sender, receiver) = std::sync::mpsc::channel();
        let lock = &lock;
        let owner = scope.spawn(move || {
            sender.send(lock.lock()).expect("received below");
            std::thread::park();
            held()
        });
        let guard = receiver.recv().expect("sent above");
        // Not the first owner's, whose hold has ended.
        scope.spawn(move || drop(guard)).join().expect("no report");
        owner.thread().unpark();
        assert!(owner.join().expect("no report").is_empty());
    });
    assert!(held().is_empty());
}

#[test]
fn one_of_several_readers_released_elsewhere_leaves_the_others() {
    let lock = SpinRwLock::new(());
    let (first, second, third) = (lock.read(), lock.read(), lock.read());
    for (guard, left) in [(second, 2), (third, 1)] {
        std::thread::scope(|scope| {
            scope.spawn(|| drop(guard)).join().expect("no report");
        });
        assert_eq!(held().len(), left);
    }
    drop(first);
    assert!(held().is_empty());
}

#[test]
fn a_lock_released_and_dropped_elsewhere_is_not_dropped_while_held() {
    let lock = SpinMutex::new(());
    std::mem::forget(lock.lock());
    // This thread, whose hold it is, does not look at its holds in between.
    let there = std::thread::spawn(move || {
        // SAFETY: the lock is held, and its guard was forgotten.
        unsafe { lock.force_unlock() };
        kinds(|| drop(lock))
    });
    assert_eq!(there.join().expect("no report"), NONE);
    assert!(held().is_empty());
}

#[test]
fn a_change_of_mode_elsewhere_takes_the_hold_over() {
    let lock = SpinRwLock::new(());
    let guard = lock.write();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let read = RwLockWriteGuard::downgrade(guard);
            assert_eq!(modes(), [SharedRecursive]);
            drop(read);
            assert_eq!(modes(), []);
        });
    });
    assert_eq!(modes(), []);
}

#[test]
fn a_detached_hold_is_ended_by_whoever_has_the_guard() {
    let lock = SpinMutex::new(());
    let guard = lock.lock();
    detach(&lock);
    assert!(held().is_empty());
    assert_held!(lock);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_held!(lock);
            drop(guard);
        });
    });
    assert_not_held!(lock);
    assert_eq!(kinds(|| assert_held!(lock)), [AssertionFailed]);
}
