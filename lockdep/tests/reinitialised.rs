//! A lock that is re-initialised while it is held.

mod support;

use lockdep::Mode::SharedRecursive;
use lockdep::ReportKind::HeldLockFreed;
use support::{Lock, NONE, kinds, reports};

/// Puts a new lock in the place of `lock`, without the old one's drop.
fn write_over(lock: &mut Lock) {
    let old = std::mem::replace(lock, Lock::instance());
    std::mem::forget(old);
}

#[test]
fn a_lock_written_over_while_held_is_reported_at_the_next_acquisition() {
    let below = Lock::instance();
    let mut lock = Lock::instance();
    let held_below = below.lock();
    let stale = lock.lock();
    write_over(&mut lock);
    let mut held = None;
    let found = reports(|| held = Some(lock.lock()));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind(), HeldLockFreed);
    assert!(found[0].detail.contains("re-initialised"), "{}", found[0]);
    // The old hold is forgotten: it is no dependency, and its release is no news.
    assert_eq!(lockdep::held().len(), 2);
    assert_eq!(kinds(|| lock.unlock(stale)), NONE);
    lock.unlock(held.unwrap());
    below.unlock(held_below);
    assert!(lockdep::held().is_empty());
    assert_eq!(kinds(|| drop(lock)), NONE);
}

#[test]
fn a_lock_assigned_to_while_held_is_reported_by_the_drop_of_the_old_one() {
    let mut lock = Lock::instance();
    let stale = lock.read();
    assert_eq!(kinds(|| lock = Lock::instance()), [HeldLockFreed]);
    assert_eq!(kinds(|| lock.unlock(stale)), NONE);
    let again = lock.wait(SharedRecursive);
    lock.unlock(again);
}

#[test]
fn a_lock_written_over_while_free_is_not_reported() {
    let mut lock = Lock::instance();
    let (other, held_lock) = (Lock::instance(), Lock::instance());
    let held = held_lock.lock();
    for _ in 0..3 {
        let found = kinds(|| {
            let hold = lock.lock();
            lock.unlock(hold);
        });
        assert_eq!(found, NONE);
        write_over(&mut lock);
    }
    let hold = other.lock();
    other.unlock(hold);
    held_lock.unlock(held);
}
