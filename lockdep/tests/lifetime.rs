//! Releases, threads, and locks that go away.

mod support;

use std::sync::{Arc, Mutex};

use lockdep::Mode::{Exclusive, Shared};
use lockdep::ReportKind::{
    BadUnlock, CircularDependency, HeldAtThreadExit, HeldLockFreed, RecursiveLocking,
};
use lockdep::{Attempt, LockClassKey, LockMap, Report, on_report};
use support::{Lock, NONE, kinds, nest, reports};

#[test]
fn a_release_through_another_lock_is_reported_and_the_hold_ends() {
    let (a, b) = (Lock::instance(), Lock::instance());
    let held = a.lock();
    assert_eq!(kinds(|| b.unlock(held)), [BadUnlock]);
    assert_eq!(lockdep::held(), []);
    let held = a.lock();
    assert_eq!(kinds(|| a.unlock(held)), NONE);
}

#[test]
fn a_release_without_a_token_ends_the_newest_hold_of_the_lock() {
    let (a, b) = (Lock::instance(), Lock::instance());
    let _first = a.queued_read();
    let held_b = b.lock();
    assert_eq!(kinds(|| a.0.force_release()), NONE);
    assert_eq!(lockdep::held().len(), 1);
    assert_eq!(kinds(|| a.0.force_release()), [BadUnlock]);
    b.unlock(held_b);
    // Another thread's hold does not count.
    let held = a.lock();
    std::thread::scope(|scope| {
        let other = scope.spawn(|| kinds(|| a.0.force_release()));
        assert_eq!(other.join().unwrap(), [BadUnlock]);
    });
    a.unlock(held);
}

#[test]
fn a_lock_dropped_by_its_holder_is_reported_and_no_longer_held() {
    let a = Lock::instance();
    a.lock_and_forget();
    assert_eq!(kinds(|| drop(a)), [HeldLockFreed]);
    assert_eq!(lockdep::held(), []);
    // One that is not held, or never was, is not.
    let b = Lock::instance();
    let held = b.lock();
    b.unlock(held);
    assert_eq!(kinds(|| drop((b, Lock::instance()))), NONE);
}

#[test]
fn a_lock_that_is_assigned_over_while_held_is_reported() {
    static KEY: LockClassKey = LockClassKey::new("assigned");
    let mut a = Lock::of(&KEY);
    a.lock_and_forget();
    assert_eq!(kinds(|| a = Lock::of(&KEY)), [HeldLockFreed]);
    drop(a);
}

#[test]
fn a_lock_dropped_while_another_thread_holds_it_is_reported() {
    let lock = Lock::instance();
    let (send, receive) = std::sync::mpsc::channel();
    let freed = &std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            lock.lock_and_forget();
            send.send(lock).unwrap();
            freed.wait();
            // A thread whose lock was freed does not hold it any more.
            assert_eq!(lockdep::held(), []);
        });
        let lock = receive.recv().unwrap();
        let found = kinds(|| drop(lock));
        // Before the assertion: a failure must not leave the other one waiting.
        freed.wait();
        assert_eq!(found, [HeldLockFreed]);
    });
}

#[test]
fn a_lock_with_two_holds_of_which_one_was_released_elsewhere_is_held() {
    let lock = Lock::instance();
    let (send, receive) = std::sync::mpsc::channel();
    let freed = &std::sync::Barrier::new(2);
    let found = std::thread::scope(|scope| {
        scope.spawn(move || {
            let (first, second) = (lock.read(), lock.read());
            send.send((lock, [first, second])).unwrap();
            // It does not look at its holds before the lock is dropped.
            freed.wait();
            freed.wait();
        });
        let mut found = Vec::new();
        let (lock, [first, second]) = receive.recv().unwrap();
        lock.unlock(first);
        found.extend(kinds(|| drop(lock)));
        freed.wait();
        drop(second);
        freed.wait();
        found
    });
    assert_eq!(found, [HeldLockFreed]);
}

#[test]
fn a_lock_of_which_all_holds_were_released_elsewhere_is_not_held() {
    let lock = Lock::instance();
    let (send, receive) = std::sync::mpsc::channel();
    let freed = &std::sync::Barrier::new(2);
    let found = std::thread::scope(|scope| {
        scope.spawn(move || {
            let holds = [lock.read(), lock.read()];
            send.send((lock, holds)).unwrap();
            freed.wait();
        });
        let (lock, holds) = receive.recv().unwrap();
        for hold in holds {
            lock.unlock(hold);
        }
        let found = kinds(|| drop(lock));
        freed.wait();
        found
    });
    assert_eq!(found, NONE);
}

#[test]
fn a_lock_that_another_thread_has_released_may_be_dropped() {
    let lock = Lock::instance();
    let (send, receive) = std::sync::mpsc::channel();
    let dropped = &std::sync::Barrier::new(2);
    std::thread::scope(|scope| {
        scope.spawn(move || {
            let other = Lock::instance();
            // Out of order below another hold, and then in order above it.
            let held = lock.lock();
            let above = other.lock();
            lock.unlock(held);
            let held = lock.0.acquire(Exclusive, lockdep::Attempt::Try);
            lock.unlock(held);
            send.send(lock).unwrap();
            dropped.wait();
            other.unlock(above);
        });
        let lock = receive.recv().unwrap();
        let found = kinds(|| drop(lock));
        // Before the assertion: a failure must not leave the other one waiting.
        dropped.wait();
        assert_eq!(found, NONE);
    });
}

#[test]
fn a_release_on_another_thread_ends_the_hold_of_its_owner() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest(&[&b, &a]);
    let held = a.lock();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            assert_eq!(lockdep::held(), [], "a move is invisible");
            assert_eq!(kinds(|| a.unlock(held)), NONE);
        });
    });
    // Neither recursion nor a dependency comes from what was released.
    assert_eq!(kinds(|| nest(&[&a])), NONE);
    assert_eq!(kinds(|| nest(&[&b])), NONE);
    assert_eq!(lockdep::held(), []);
    // And a lock released elsewhere can be dropped anywhere.
    let held = a.lock();
    let found = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            a.unlock(held);
            kinds(|| drop(a))
        });
        other.join().unwrap()
    });
    assert_eq!(found, NONE);
}

#[test]
fn a_hold_stays_its_owners_while_the_guard_is_elsewhere() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest(&[&b, &a]);
    let held = a.lock();
    let (held, found) = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let found = kinds(|| nest(&[&b]));
            (held, found)
        });
        other.join().unwrap()
    });
    assert_eq!(found, NONE);
    assert_eq!(kinds(|| nest(&[&b])), [CircularDependency]);
    a.unlock(held);
}

#[test]
fn a_change_of_mode_on_another_thread_reaches_the_owner() {
    let a = Lock::instance();
    let held = a.lock();
    let held = std::thread::scope(|scope| {
        let other = scope.spawn(|| {
            let mut held = held;
            a.0.downgrade(&mut held);
            held
        });
        other.join().unwrap()
    });
    assert_eq!(lockdep::held()[0].mode, Shared);
    a.unlock(held);
}

#[test]
fn a_detached_hold_makes_no_dependencies_and_can_be_released_anywhere() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest(&[&b, &a]);
    let held = a.lock();
    lockdep::detach(&a.0);
    assert_eq!(lockdep::held(), []);
    assert_eq!(kinds(|| nest(&[&b])), NONE);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let silent = kinds(|| {
                lockdep::assert_held!(a.0);
                lockdep::assert_held_exclusive!(a.0);
            });
            assert_eq!(silent, NONE);
            a.unlock(held);
            assert_eq!(kinds(|| lockdep::assert_held!(a.0)).len(), 1);
        });
    });
    // Detached and released by the owner.
    let held = a.lock();
    lockdep::detach(&a.0);
    a.unlock(held);
    assert_eq!(kinds(|| lockdep::assert_held!(a.0)).len(), 1);
    // Detached and never released.
    a.lock_and_forget();
    lockdep::detach(&a.0);
    assert_eq!(kinds(|| drop(a)), [HeldLockFreed]);
}

/// Runs `f` on a thread and returns what the handler got from it, also from its
/// end. The handler is the process's, so it tells the threads apart.
fn reports_of_thread(name: &str, f: impl FnOnce() + Send) -> Vec<Report> {
    static REPORTS: Mutex<Vec<Report>> = Mutex::new(Vec::new());
    on_report(|report| REPORTS.lock().unwrap().push(report.clone()));
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn_scoped(scope, f).unwrap().join().unwrap();
    });
    let reports = REPORTS.lock().unwrap();
    reports
        .iter()
        .filter(|report| report.thread == name)
        .cloned()
        .collect()
}

#[test]
fn a_thread_must_not_end_with_a_hold_that_cannot_be_elsewhere() {
    let stays = Lock(LockMap::instance().guard_stays(Exclusive));
    let found = reports_of_thread("ends-holding", || stays.lock_and_forget());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), HeldAtThreadExit);

    let travels = Lock::instance();
    let found = reports_of_thread("guard-travels", || travels.lock_and_forget());
    assert!(found.is_empty(), "{}", found[0]);
    std::mem::forget((stays, travels));

    // What `lock_api` says about guards is enough.
    let mutex = lockdep::Mutex::new(());
    let found = reports_of_thread("ends-locked", || std::mem::forget(mutex.lock()));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), HeldAtThreadExit);
}

#[test]
fn a_guard_that_outlives_its_thread_is_released_without_a_word() {
    let a = Arc::new(Lock::instance());
    let there = Arc::clone(&a);
    let held = std::thread::spawn(move || there.lock()).join().unwrap();
    // The next thread with the same block does not hold it.
    let there = Arc::clone(&a);
    let next = std::thread::spawn(move || {
        assert_eq!(lockdep::held(), []);
        kinds(|| nest(&[&there]))
    });
    assert_eq!(next.join().unwrap(), NONE);
    assert_eq!(kinds(|| a.unlock(held)), NONE);
    assert_eq!(kinds(|| drop(a)), NONE);
}

#[test]
fn thread_local_destructors_may_lock() {
    struct LocksWhenDropped(Arc<Lock>);
    impl Drop for LocksWhenDropped {
        fn drop(&mut self) {
            nest(&[&self.0, &Lock::instance()]);
        }
    }
    thread_local!(static SLOT: std::cell::RefCell<Option<LocksWhenDropped>> =
        const { std::cell::RefCell::new(None) });
    for registered_first in [true, false] {
        let lock = Arc::new(Lock::instance());
        let there = Arc::clone(&lock);
        std::thread::spawn(move || {
            if !registered_first {
                nest(&[&there]);
            }
            SLOT.set(Some(LocksWhenDropped(Arc::clone(&there))));
            nest(&[&there]);
        })
        .join()
        .unwrap();
        assert_eq!(kinds(|| nest(&[&lock])), NONE);
    }
}

#[test]
fn a_deadlock_with_oneself_across_threads_needs_the_hold_to_be_ours() {
    // The other thread holds A; waiting for it here is ordinary contention.
    let a = Lock::instance();
    let found = std::thread::scope(|scope| {
        let held = scope.spawn(|| a.lock()).join().unwrap();
        let found = reports(|| nest(&[&a]));
        a.unlock(held);
        found
    });
    assert!(found.iter().all(|report| report.kind() != RecursiveLocking));
    assert!(found.is_empty());
}

#[test]
fn a_token_of_another_lock_is_a_bad_unlock_on_another_thread_too() {
    let (held, other) = (LockMap::instance(), LockMap::instance());
    let token = held.acquire(Exclusive, Attempt::Block);
    other.release(other.acquire(Exclusive, Attempt::Block));
    let found = std::thread::scope(|scope| {
        let release = || lockdep::collect(|| other.release(token)).1;
        scope.spawn(release).join().expect("no panic")
    });
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind(), BadUnlock);
    assert!(
        lockdep::held().is_empty(),
        "the hold has ended all the same"
    );
}

#[test]
fn a_guard_that_outlives_its_thread_is_released_without_a_report() {
    let map = LockMap::instance();
    let token = std::thread::scope(|scope| {
        let acquire = || map.acquire(Exclusive, Attempt::Block);
        scope.spawn(acquire).join().expect("no panic")
    });
    // Another thread gets the block of the one that ended.
    std::thread::scope(|scope| {
        let wait = LockMap::instance();
        let inner = scope.spawn(move || {
            let held = wait.acquire(Exclusive, Attempt::Block);
            let ((), found) = lockdep::collect(|| map.release(token));
            wait.release(held);
            found
        });
        assert_eq!(inner.join().expect("no panic"), []);
    });
}

#[test]
fn a_detached_token_of_another_lock_is_a_bad_unlock() {
    let (held, other) = (LockMap::instance(), LockMap::instance());
    let token = held.acquire(Exclusive, Attempt::Block);
    other.release(other.acquire(Exclusive, Attempt::Block));
    lockdep::detach(&held);
    let ((), found) = lockdep::collect(|| other.release(token));
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind(), BadUnlock);
    // Nothing of the other lock counts as detached.
    let ((), found) = lockdep::collect(|| lockdep::assert_held!(other));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn a_release_of_an_ended_threads_hold_leaves_the_next_ones_alone() {
    let lock = LockMap::instance();
    let acquire = |lock: &LockMap| lock.acquire(Shared, Attempt::Block);
    let left_behind = std::thread::scope(|scope| {
        let ended = scope.spawn(|| acquire(&lock));
        ended.join().expect("no panic")
    });
    // The block of the ended thread is the next one's.
    let (done, wait) = std::sync::mpsc::channel();
    std::thread::scope(|scope| {
        let (sender, receiver) = std::sync::mpsc::channel();
        scope.spawn(move || {
            let token = acquire(&lock);
            sender.send((lock, token)).expect("received below");
            wait.recv().expect("sent below");
        });
        let (lock, _held) = receiver.recv().expect("sent above");
        lock.release(left_behind);
        let (_, found) = lockdep::collect(|| drop(lock));
        let kinds: Vec<_> = found.iter().map(Report::kind).collect();
        assert_eq!(kinds, [HeldLockFreed]);
        done.send(()).expect("received above");
    });
}
