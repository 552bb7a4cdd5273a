//! The validator after its tables have grown past every bound that they have.

mod support;

use lockdep::ReportKind::CircularDependency;
use lockdep::{Attempt, LockClassKey, Mode};
use support::{Lock, NONE, kinds, nest};

fn classes(count: usize) -> Vec<Lock> {
    let key = |n| &*Box::leak(Box::new(LockClassKey::new(format!("class {n}").leak())));
    (0..count).map(|n| Lock::of(key(n))).collect()
}

/// Exactly one report for the new inversion, and none for it again.
fn inversions_are_still_seen(a: &Lock, b: &Lock) {
    assert_eq!(kinds(|| nest(&[a, b])), NONE);
    assert_eq!(kinds(|| nest(&[b, a])), [CircularDependency]);
    assert_eq!(kinds(|| nest(&[b, a])), NONE);
}

#[test]
fn many_edges() {
    // More than the cache of edges has room for, and as many chains.
    let locks = classes(200);
    let found = kinds(|| {
        for (at, outer) in locks.iter().enumerate() {
            locks[at + 1..]
                .iter()
                .for_each(|inner| nest(&[outer, inner]));
        }
    });
    assert_eq!(found, NONE);
    // One that was pushed out of all caches is still known.
    assert_eq!(
        kinds(|| nest(&[&locks[1], &locks[0]])),
        [CircularDependency]
    );
    inversions_are_still_seen(&Lock::instance(), &Lock::instance());
}

#[test]
fn many_chains_of_locks_that_are_gone() {
    let (outer, kept) = (Lock::instance(), Lock::instance());
    assert_eq!(kinds(|| nest(&[&outer, &kept])), NONE);
    let found = kinds(|| (0..70_000).for_each(|_| nest(&[&outer, &Lock::instance()])));
    assert_eq!(found, NONE);
    // The thread has forgotten its chains, the graph has not.
    assert_eq!(kinds(|| nest(&[&kept, &outer])), [CircularDependency]);
    inversions_are_still_seen(&Lock::instance(), &Lock::instance());
}

#[test]
fn many_holds_at_once() {
    let locks: Vec<_> = (0..300).map(|_| Lock::instance()).collect();
    let found = kinds(|| {
        let holds: Vec<_> = locks.iter().map(Lock::lock).collect();
        assert_eq!(lockdep::held().len(), locks.len());
        // Released oldest first: every release is out of order.
        for (lock, hold) in locks.iter().zip(holds) {
            lock.unlock(hold);
        }
    });
    assert_eq!(found, NONE);
    assert_eq!(lockdep::held(), []);
    let (first, last) = (&locks[0], &locks[locks.len() - 1]);
    assert_eq!(kinds(|| nest(&[last, first])), [CircularDependency]);
    inversions_are_still_seen(&Lock::instance(), &Lock::instance());
}

#[test]
fn many_releases_by_another_thread() {
    let lock = Lock::instance();
    let holds: Vec<_> = (0..500)
        .map(|_| lock.0.acquire(Mode::SharedRecursive, Attempt::Block))
        .collect();
    std::thread::scope(|scope| {
        let lock = &lock;
        scope.spawn(move || holds.into_iter().for_each(|hold| lock.unlock(hold)));
    });
    assert_eq!(lockdep::held(), []);
    inversions_are_still_seen(&lock, &Lock::instance());
}

#[test]
fn many_threads_at_once() {
    let (a, b, count) = (Lock::instance(), Lock::instance(), 200);
    let all_here = std::sync::Barrier::new(count);
    let found = std::thread::scope(|scope| {
        let work = || {
            let found = kinds(|| nest(&[&a, &b]));
            all_here.wait();
            found
        };
        let threads: Vec<_> = (0..count).map(|_| scope.spawn(work)).collect();
        let found = threads.into_iter().map(|thread| thread.join().unwrap());
        found.collect::<Vec<_>>().concat()
    });
    assert_eq!(found, NONE);
    assert!(lockdep::stats().threads >= count);
    assert_eq!(kinds(|| nest(&[&b, &a])), [CircularDependency]);
}
