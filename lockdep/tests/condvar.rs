//! Waiting on a condition variable: it may sleep, and it takes its mutex again.

mod support;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::time::Duration;

use lockdep::ReportKind::{CircularDependency, InvalidWaitContext};
use lockdep::{Condvar, Mutex, atomic};
use support::{NONE, kinds, reports};

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
