//! Assertions, and what `held()` says.

mod support;

use std::sync::Arc;

use lockdep::Mode::Exclusive;
use lockdep::ReportKind::AssertionFailed;
use lockdep::{
    Mutex, RwLock, assert_held, assert_held_exclusive, assert_none_held, assert_not_held,
};
use support::{Lock, NONE, kinds, reports};

#[test]
fn assertions_hold_and_fail_with_what_this_thread_holds() {
    let lock = RwLock::new(());
    let check = || {
        let fails = |f: fn(&RwLock<()>)| kinds(|| f(&lock)) == [AssertionFailed];
        [
            fails(|lock| assert_held!(lock)),
            fails(|lock| assert_held_exclusive!(lock)),
            fails(|lock| assert_not_held!(lock)),
            fails(|_| assert_none_held!()),
        ]
    };
    assert_eq!(check(), [true, true, false, false]);
    let read = lock.read();
    assert_eq!(check(), [false, true, true, true]);
    drop(read);
    let write = lock.write();
    assert_eq!(check(), [false, false, true, true]);
    // Another thread's hold is none of ours.
    std::thread::scope(|scope| {
        let other = scope.spawn(check).join().unwrap();
        assert_eq!(other, [true, true, false, false]);
    });
    drop(write);
    assert_eq!(check(), [true, true, false, false]);
}

#[test]
fn assertions_take_locks_references_and_arcs() {
    let lock = Arc::new(Mutex::new(1));
    let found = kinds(|| {
        let _guard = lock.lock();
        let reference: &Mutex<i32> = &lock;
        assert_held!(lock);
        assert_held!(reference);
        assert_held!(*lock);
    });
    assert_eq!(found, NONE);
}

#[test]
#[should_panic(expected = "should be held by this thread")]
fn a_failed_assertion_panics_by_default() {
    assert_held!(Mutex::new(()));
}

#[test]
fn a_failed_assertion_names_the_place_of_the_assertion() {
    let lock = Lock::instance();
    let line = line!() + 1;
    let found = reports(|| assert_held!(lock.0));
    assert_eq!(found[0].location.line, line);
    assert_eq!(found[0].location.file, file!());
}

#[test]
fn held_lists_the_holds_oldest_first_with_their_places() {
    let (a, b) = (Lock::instance(), Lock::instance());
    let line = line!() + 1;
    let first = a.queued_read();
    let second = b.try_in(Exclusive);
    let held = lockdep::held();
    assert_eq!(held.len(), 2);
    assert_eq!(held[0].mode, lockdep::Mode::Shared);
    assert_eq!(held[0].location.line, line);
    assert_eq!(held[1].location.line, line + 1);
    assert_eq!(held[1].attempt, lockdep::Attempt::Try);
    assert_eq!(held[1].address, std::ptr::from_ref(&b.0).addr());
    b.unlock(second);
    a.unlock(first);
}

#[test]
fn a_lock_behind_a_pointer_is_the_lock() {
    let lock = std::sync::Arc::new(Mutex::new(0));
    let boxed = Box::new(Mutex::new(0));
    let found = kinds(|| {
        let guards = (lock.lock(), boxed.lock());
        lockdep::detach(&lock);
        lockdep::detach(&&*boxed);
        assert_eq!(lockdep::held(), []);
        drop(guards);
        lockdep::might_lock(&boxed, lockdep::Mode::Exclusive);
    });
    assert_eq!(found, NONE);
}
