//! Guard locks: a report names a lock that was held exclusively around every
//! dependency of its cycle, each time, and none if there is no such lock.

mod support;

use lockdep::Mode::{self, Exclusive, SharedRecursive};
use lockdep::ReportKind::CircularDependency;
use lockdep::{LockClassKey, LockMap, Report};
use support::{Lock, nest, reports};

/// The one report of `f`.
fn only(f: impl FnOnce()) -> Report {
    let mut found = reports(f);
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind(), CircularDependency);
    found.remove(0)
}

/// Takes the locks one inside the other, inside `guard` in a mode.
fn under(guard: &Lock, mode: Mode, locks: [&Lock; 2]) {
    let held = guard.wait(mode);
    nest(&locks);
    guard.unlock(held);
}

#[test]
fn a_lock_around_both_orders_is_named() {
    static GATE: LockClassKey = LockClassKey::new("gate");
    let gate = Lock::of(&GATE);
    let [a, b] = [(); 2].map(|()| Lock::instance());
    nest(&[&gate, &a, &b]);
    let report = only(|| nest(&[&gate, &b, &a]));
    assert_eq!(report.guard.as_deref(), Some("gate"));
    assert!(report.to_string().contains("gate (exclusive)"));
}

#[test]
fn without_a_guard_none_is_named() {
    let [a, b] = [(); 2].map(|()| Lock::instance());
    nest(&[&a, &b]);
    assert_eq!(only(|| nest(&[&b, &a])).guard, None);
}

#[test]
fn the_guard_common_to_all_dependencies_of_a_longer_cycle_is_named() {
    static G1: LockClassKey = LockClassKey::new("first guard");
    static G2: LockClassKey = LockClassKey::new("second guard");
    let (g1, g2) = (Lock::of(&G1), Lock::of(&G2));
    let [a, b, c] = [(); 3].map(|()| Lock::instance());
    nest(&[&g1, &g2, &a, &b]);
    nest(&[&g2, &b, &c]);
    let report = only(|| nest(&[&g1, &g2, &c, &a]));
    assert_eq!(report.cycle.len(), 3);
    assert_eq!(report.guard.as_deref(), Some("second guard"));
}

#[test]
fn different_guards_are_no_guard() {
    let [g1, g2, a, b] = [(); 4].map(|()| Lock::instance());
    nest(&[&g1, &a, &b]);
    assert_eq!(only(|| nest(&[&g2, &b, &a])).guard, None);
}

#[test]
fn a_guard_that_was_missing_once_is_none() {
    // The last time, the first time, a time between, and on another thread.
    let [g, a, b] = [(); 3].map(|()| Lock::instance());
    nest(&[&g, &a, &b]);
    assert_eq!(only(|| nest(&[&b, &a])).guard, None);

    let [g, a, b] = [(); 3].map(|()| Lock::instance());
    nest(&[&a, &b]);
    nest(&[&g, &a, &b]);
    assert_eq!(only(|| nest(&[&g, &b, &a])).guard, None);

    let [g, a, b] = [(); 3].map(|()| Lock::instance());
    nest(&[&g, &a, &b]);
    nest(&[&a, &b]);
    nest(&[&g, &a, &b]);
    assert_eq!(only(|| nest(&[&g, &b, &a])).guard, None);

    let [g, a, b] = [(); 3].map(|()| Lock::instance());
    nest(&[&g, &a, &b]);
    std::thread::scope(|scope| {
        scope.spawn(|| nest(&[&g, &a, &b]));
        scope.spawn(|| nest(&[&a, &b]));
    });
    assert_eq!(only(|| nest(&[&g, &b, &a])).guard, None);
}

#[test]
fn a_guard_that_was_missing_in_another_mode_is_none() {
    // Held shared, A blocks the exclusive request for it just as well.
    let [g, a, b] = [(); 3].map(|()| Lock::instance());
    nest(&[&g, &a, &b]);
    support::nest_modes(&a, SharedRecursive, &b, Exclusive);
    assert_eq!(only(|| nest(&[&g, &b, &a])).guard, None);
}

#[test]
fn a_guard_must_be_held_exclusively() {
    for (first, second, guarded) in [
        (Exclusive, Exclusive, true),
        (SharedRecursive, Exclusive, false),
        (Exclusive, SharedRecursive, false),
    ] {
        let [g, a, b] = [(); 3].map(|()| Lock::instance());
        under(&g, first, [&a, &b]);
        let report = only(|| under(&g, second, [&b, &a]));
        assert_eq!(report.guard.is_some(), guarded, "{first}, {second}");
    }
}

#[test]
fn a_lock_taken_after_the_held_one_is_no_guard() {
    let [g, a, b] = [(); 3].map(|()| Lock::instance());
    nest(&[&a, &g, &b]);
    let found = reports(|| nest(&[&b, &g, &a]));
    assert!(!found.is_empty());
    assert!(
        found.iter().all(|report| report.guard.is_none()),
        "{found:?}"
    );
}

#[test]
fn a_lock_released_before_the_wait_is_no_guard() {
    let [g, a, b] = [(); 3].map(|()| Lock::instance());
    let (held_g, held_a) = (g.lock(), a.lock());
    g.unlock(held_g);
    let held_b = b.lock();
    b.unlock(held_b);
    a.unlock(held_a);
    assert_eq!(only(|| nest(&[&g, &b, &a])).guard, None);
}

#[test]
fn a_guard_may_have_been_tried() {
    let [g, a, b] = [(); 3].map(|()| Lock::instance());
    let held = g.try_in(Exclusive);
    nest(&[&a, &b]);
    g.unlock(held);
    let report = only(|| nest(&[&g, &b, &a]));
    assert_eq!(report.guard.as_deref(), Some(&*report.held[0].class));
}

#[test]
fn a_class_of_the_cycle_is_not_its_guard() {
    static ORDERED: LockClassKey =
        LockClassKey::new("ordered").order_by(|held, wanted| held.order.cmp(&wanted.order));
    let [first, last] = [1, 2].map(|order| Lock(LockMap::with_class(&ORDERED).with_order(order)));
    let between = Lock::instance();
    assert_eq!(only(|| nest(&[&first, &between, &last])).guard, None);
    let other = Lock::instance();
    nest(&[&first, &last, &other]);
    assert_eq!(only(|| nest(&[&first, &other, &last])).guard, None);
}
