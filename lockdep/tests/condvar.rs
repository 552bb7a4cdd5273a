//! Waiting on a condition variable: it may sleep, and it takes its mutex again.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lock_api::RawMutex as _;
use lockdep::ReportKind::{CircularDependency, InvalidWaitContext};
use lockdep::{Condvar, LockClassKey, Mutex, Tracked, atomic, nested};
use support::{NONE, kinds, reports, sendable};

const SHORT: Duration = Duration::from_millis(1);

#[test]
fn a_wait_takes_the_mutex_again_under_what_else_is_held() {
    let (queue, log, wake) = (Mutex::new(()), Mutex::new(()), Condvar::new());
    let line = line!() + 2;
    let found = reports(|| {
        let mut queue = queue.lock();
        let _log = log.lock();
        // The order so far is queue, log. After the wait it is log, queue.
        wake.wait_for(&mut queue, SHORT);
        let order: Vec<_> = lockdep::held()
            .iter()
            .map(|held| held.location.line)
            .collect();
        assert_eq!(order, [line + 1, line], "log is the older hold now");
    });
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), CircularDependency);
    assert_eq!(found[0].location.line, line, "where the mutex was locked");
}

#[test]
fn a_wait_with_only_its_own_mutex_is_fine() {
    let (ready, changed) = (Mutex::new(false), Condvar::new());
    let found = kinds(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                *ready.lock() = true;
                changed.notify_all();
            });
            let mut ready = ready.lock();
            while !*ready {
                changed.wait(&mut ready);
            }
            assert_eq!(lockdep::held().len(), 1);
        });
    });
    assert_eq!(found, NONE);
    assert!(lockdep::held().is_empty());
}

#[test]
fn a_wait_in_an_atomic_scope_is_reported() {
    let (mutex, wake) = (Mutex::new(()), Condvar::new());
    let mut guard = mutex.lock();
    // The sleep, and the mutex that is taken again: one place, one report.
    let found = kinds(|| {
        atomic(|| wake.wait_for(&mut guard, SHORT));
    });
    assert_eq!(found, [InvalidWaitContext]);
}

#[test]
fn a_wait_that_panics_leaves_the_mutex_held() {
    let (queue, log, wake) = (Mutex::new(()), Mutex::new(()), Condvar::new());
    let mut guard = queue.lock();
    let inner = log.lock();
    let waited = catch_unwind(AssertUnwindSafe(|| wake.wait_for(&mut guard, SHORT)));
    assert!(waited.is_err());
    assert!(queue.is_locked());
    assert_eq!(lockdep::held().len(), 2);
    drop(inner);
    drop(guard);
    assert!(!queue.is_locked());
    assert!(lockdep::held().is_empty());
}

#[test]
fn a_wait_keeps_the_subclass_of_its_mutex() {
    static DIR: LockClassKey = LockClassKey::new("dir");
    let dir = || Mutex::from_raw(Tracked::with_class(parking_lot::RawMutex::INIT, &DIR), ());
    let (parent, child, other, changed) = (dir(), dir(), dir(), Condvar::new());
    let found = kinds(|| {
        let _outer = parent.lock();
        let mut inner = nested(1, || child.lock());
        changed.wait_for(&mut inner, SHORT);
        assert_eq!(lockdep::held()[1].class, "dir/1");
    });
    assert_eq!(found, NONE);
    // Nor does it take one that is meant for the next acquisition.
    let found = kinds(|| {
        let mut first = parent.lock();
        let _second = nested(2, || {
            changed.wait_for(&mut first, SHORT);
            other.lock()
        });
        let names: Vec<_> = lockdep::held().into_iter().map(|held| held.class).collect();
        assert_eq!(names, ["dir", "dir/2"]);
    });
    assert_eq!(found, NONE);
}

#[test]
fn a_timed_lock_that_fails_leaves_the_subclass_to_the_next() {
    static DIR: LockClassKey = LockClassKey::new("timed");
    let dir = || Mutex::from_raw(Tracked::with_class(parking_lot::RawMutex::INIT, &DIR), ());
    let (parent, child) = (dir(), dir());
    let held = std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let _child = child.lock();
            held.wait();
            held.wait();
        });
        held.wait();
        let found = kinds(|| {
            let _outer = parent.lock();
            let failed = nested(1, || {
                assert!(child.try_lock_for(SHORT).is_none());
                held.wait();
                child.lock()
            });
            assert_eq!(lockdep::held()[1].class, "timed/1");
            drop(failed);
        });
        assert_eq!(found, NONE);
    });
}

#[test]
fn a_wait_with_a_guard_from_elsewhere_is_validated_and_makes_it_this_threads() {
    static KEY: LockClassKey = LockClassKey::new("sent");
    let sent = sendable::Mutex::from_raw(Tracked::with_class(sendable::RawMutex::INIT, &KEY), ());
    let (log, changed) = (Mutex::new(()), sendable::Condvar::new());
    std::thread::scope(|scope| {
        let guard = sent.lock();
        let there = scope.spawn(|| {
            let mut guard = guard;
            let found = kinds(|| {
                let _log = log.lock();
                changed.wait(&mut guard);
            });
            assert_eq!(found, NONE);
            let own: Vec<_> = lockdep::held().into_iter().map(|held| held.class).collect();
            assert_eq!(own, ["sent"], "it was taken again by this thread");
            drop(guard);
            assert!(lockdep::held().is_empty());
        });
        there.join().unwrap();
        assert!(lockdep::held().is_empty(), "the wait released it");
    });
    // The wait took it under the log.
    let found = kinds(|| {
        let _sent = sent.lock();
        let _log = log.lock();
    });
    assert_eq!(found, [CircularDependency]);
    // A sleep is a sleep, whoever locked the mutex.
    std::thread::scope(|scope| {
        let guard = sent.lock();
        let there = scope.spawn(|| {
            let mut guard = guard;
            kinds(|| atomic(|| changed.wait(&mut guard)))
        });
        assert_eq!(there.join().unwrap(), [InvalidWaitContext]);
    });
}

#[test]
fn a_wait_with_a_detached_guard_leaves_it_detached() {
    let (sent, changed) = (sendable::Mutex::new(()), sendable::Condvar::new());
    let mut guard = sent.lock();
    lockdep::detach(&sent);
    changed.wait(&mut guard);
    assert!(lockdep::held().is_empty());
    lockdep::assert_held!(sent);
    drop(guard);
    assert_eq!(kinds(|| lockdep::assert_held!(sent)).len(), 1);
}
