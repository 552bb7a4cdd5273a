//! A thread that is new to a known order does not take the graph's lock. One
//! test, in a process of its own, because the count is the process's.

mod support;

use lockdep::Mode::{Exclusive, SharedRecursive};
use lockdep::ReportKind::CircularDependency;
use lockdep::{LockClassKey, ReportKind};
use support::{Lock, NONE, kinds, nest, nest_modes};

/// How often `f`, on a thread of its own, takes the graph's lock, and what it
/// reports.
fn on_a_new_thread(f: impl FnOnce() + Send) -> (u64, Vec<ReportKind>) {
    let taken = || lockdep::stats().graph_lock_acquisitions;
    let before = taken();
    let found = std::thread::scope(|scope| scope.spawn(|| kinds(f)).join());
    (taken() - before, found.expect("the policy is suspended"))
}

const UNTOUCHED: (u64, Vec<ReportKind>) = (0, Vec::new());

#[test]
fn known_orders_are_known_to_every_thread() {
    static OUTER: LockClassKey = LockClassKey::new("outer");
    let outer = Lock::of(&OUTER);
    let [a, b, c, d] = [(); 4].map(|()| Lock::instance());
    let orders = || {
        nest(&[&outer, &a]);
        nest(&[&a, &b, &c]);
        nest(&[&outer, &a, &b, &c, &d]);
        nest_modes(&a, SharedRecursive, &d, Exclusive);
    };
    assert_eq!(on_a_new_thread(|| ()), UNTOUCHED, "a thread costs nothing");
    assert_eq!(kinds(orders), NONE);
    assert_eq!(on_a_new_thread(orders), UNTOUCHED);

    // Other locks of the class are the same.
    let other = Lock::of(&OUTER);
    assert_eq!(on_a_new_thread(|| nest(&[&other, &a])), UNTOUCHED);

    // In another mode it is another dependency; then it is known, too.
    let shared = || nest_modes(&outer, SharedRecursive, &a, Exclusive);
    assert_eq!(on_a_new_thread(shared).0, 1);
    assert_eq!(on_a_new_thread(shared), UNTOUCHED);

    // C was only ever taken under B while A was held, so the graph has to hear of
    // the first time without.
    let unguarded = || nest(&[&b, &c]);
    assert_eq!(on_a_new_thread(unguarded).0, 1);
    assert_eq!(on_a_new_thread(unguarded), UNTOUCHED);
    assert_eq!(on_a_new_thread(orders), UNTOUCHED);

    // Known is not the same as legal: the other order is still found.
    let (taken, found) = on_a_new_thread(|| nest(&[&b, &a]));
    assert_eq!((taken, found), (1, vec![CircularDependency]));
    // It is an order like any other from then on.
    assert_eq!(on_a_new_thread(|| nest(&[&b, &a])), UNTOUCHED);

    // A new lock at the address of one that is gone is another lock.
    let mut place = Some(Lock::instance());
    nest(&[&a, place.as_ref().unwrap()]);
    place = None;
    assert!(place.is_none());
    place = Some(Lock::instance());
    assert_eq!(
        on_a_new_thread(|| nest(&[&a, place.as_ref().unwrap()])).0,
        1
    );
}
