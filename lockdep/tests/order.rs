//! Lock order between classes: what is a possible deadlock, and what is not.

mod support;

use lockdep::Attempt;
use lockdep::Mode::{self, Exclusive, Shared, SharedRecursive, Upgradable, UpgradableRecursive};
use lockdep::ReportKind::CircularDependency;
use support::{Lock, NONE, kinds, nest, nest_modes, reports};

#[test]
fn two_locks_in_both_orders_are_reported_at_the_second_order() {
    let (a, b) = (Lock::instance(), Lock::instance());
    assert_eq!(kinds(|| nest(&[&a, &b])), NONE);
    assert_eq!(kinds(|| nest(&[&a, &b])), NONE);
    assert_eq!(kinds(|| nest(&[&b, &a])), [CircularDependency]);
}

#[test]
fn orders_seen_on_different_threads_count_together() {
    let (a, b) = (Lock::instance(), Lock::instance());
    std::thread::scope(|scope| {
        scope.spawn(|| nest(&[&a, &b]));
    });
    let found = reports(|| nest(&[&b, &a]));
    assert_eq!(found.len(), 1);
    assert_ne!(found[0].cycle[1].thread, found[0].cycle[0].thread);
}

#[test]
fn a_consistent_order_is_never_reported() {
    let locks: Vec<_> = (0..10).map(|_| Lock::instance()).collect();
    let found = reports(|| {
        for i in 0..locks.len() {
            for j in i + 1..locks.len() {
                for k in j + 1..locks.len() {
                    nest(&[&locks[i], &locks[j], &locks[k]]);
                }
            }
        }
    });
    assert!(found.is_empty(), "{}", found[0]);
}

#[test]
fn a_cycle_of_many_classes_is_reported_with_all_its_edges() {
    for length in [3, 4, 7, 40] {
        let locks: Vec<_> = (0..length).map(|_| Lock::instance()).collect();
        for pair in locks.windows(2) {
            assert_eq!(kinds(|| nest(&[&pair[0], &pair[1]])), NONE);
        }
        let found = reports(|| nest(&[&locks[length - 1], &locks[0]]));
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].cycle.len(), length);
        for (i, edge) in found[0].cycle.iter().enumerate() {
            assert_eq!(edge.wanted, found[0].cycle[(i + 1) % length].held);
        }
    }
}

#[test]
fn edges_come_from_every_held_lock_not_only_from_the_nearest() {
    let (a, b, c) = (Lock::instance(), Lock::instance(), Lock::instance());
    // B is only tried, so that A -> C is not implied by A -> B -> C.
    let (held_a, held_b) = (a.lock(), b.try_in(Exclusive));
    let held_c = c.lock();
    c.unlock(held_c);
    b.unlock(held_b);
    a.unlock(held_a);
    assert_eq!(kinds(|| nest(&[&c, &a])), [CircularDependency]);
}

#[test]
fn a_report_does_not_switch_the_validator_off() {
    let locks: Vec<_> = (0..4).map(|_| Lock::instance()).collect();
    let [a, b, c, d] = [0, 1, 2, 3].map(|i| &locks[i]);
    nest(&[a, b]);
    assert_eq!(kinds(|| nest(&[b, a])), [CircularDependency]);
    assert_eq!(kinds(|| nest(&[c, d])), NONE);
    assert_eq!(kinds(|| nest(&[d, c])), [CircularDependency]);
    // The edge that closed a cycle is an edge like any other: B -> A counts.
    assert_eq!(kinds(|| nest(&[a, c])), NONE);
    let found = reports(|| nest(&[c, b]));
    assert_eq!(found.len(), 1, "{found:?}");
}

#[test]
fn each_class_cycle_is_reported_once() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest(&[&a, &b]);
    assert_eq!(kinds(|| nest(&[&b, &a])), [CircularDependency]);
    assert_eq!(kinds(|| nest(&[&b, &a])), NONE);
    // The same two classes in other modes and on another thread: no news.
    let silent = std::thread::scope(|scope| {
        scope
            .spawn(|| kinds(|| nest_modes(&b, Shared, &a, Exclusive)))
            .join()
            .unwrap()
    });
    assert_eq!(silent, NONE);
}

#[test]
fn a_longer_cycle_is_news_also_where_a_shorter_one_is_known() {
    let [a, b, x] = [(); 3].map(|()| Lock::instance());
    nest(&[&a, &b]);
    assert_eq!(kinds(|| nest(&[&b, &a])), [CircularDependency]);
    // A -> X, and B upgraded under X: that waits for readers of B, of which
    // there are none yet that want A.
    nest(&[&a, &x]);
    let held_x = x.lock();
    let mut held_b = b.try_in(Upgradable);
    assert_eq!(kinds(|| b.0.upgrade(&mut held_b, Attempt::Block)), NONE);
    b.unlock(held_b);
    x.unlock(held_x);
    // The shortest cycle of this edge is A, B, and known.
    let found = reports(|| nest_modes(&b, SharedRecursive, &a, Exclusive));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].cycle.len(), 3);
}

/// Whether A held in `hold` with B wanted in `want`, and B held exclusively
/// with A wanted in `back`, is reported. The joint at A is `hold` against
/// `back`, that at B always blocks.
fn joint(hold: Mode, back: Mode) -> bool {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest_modes(&a, hold, &b, Exclusive);
    !kinds(|| nest_modes(&b, Exclusive, &a, back)).is_empty()
}

#[test]
fn a_cycle_counts_only_if_each_hold_can_block_the_request() {
    const ALL: [Mode; 5] = [
        Exclusive,
        Shared,
        SharedRecursive,
        Upgradable,
        UpgradableRecursive,
    ];
    for hold in ALL {
        for back in [Exclusive, Shared, Upgradable] {
            assert!(joint(hold, back), "{hold} blocks {back}");
        }
        let exclusive = hold == Exclusive;
        assert_eq!(joint(hold, SharedRecursive), exclusive, "{hold}");
        let sharer = matches!(hold, Shared | SharedRecursive);
        assert_eq!(joint(hold, UpgradableRecursive), !sharer, "{hold}");
    }
}

#[test]
fn a_weak_path_does_not_hide_a_strong_one() {
    // X is held shared towards A, so of the two ways from B to X only the
    // write waits for it, and the search meets the read first.
    let [a, x, b] = [(); 3].map(|()| Lock::instance());
    nest_modes(&b, Exclusive, &x, SharedRecursive);
    nest_modes(&b, Exclusive, &x, Exclusive);
    nest_modes(&x, SharedRecursive, &a, Exclusive);
    assert_eq!(
        kinds(|| nest_modes(&a, Exclusive, &b, Exclusive)),
        [CircularDependency]
    );

    // With the read alone there is no deadlock; the write is what makes one.
    let [a, x, b] = [(); 3].map(|()| Lock::instance());
    nest_modes(&b, Exclusive, &x, SharedRecursive);
    nest_modes(&x, SharedRecursive, &a, Exclusive);
    assert_eq!(kinds(|| nest_modes(&a, Exclusive, &b, Exclusive)), NONE);
    assert_eq!(
        kinds(|| nest_modes(&b, Exclusive, &x, Exclusive)),
        [CircularDependency]
    );
}

#[test]
fn tries_add_no_dependency_to_themselves_but_one_from_themselves() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest(&[&a, &b]);
    let held = b.lock();
    let tried = a.try_in(Exclusive);
    a.unlock(tried);
    b.unlock(held);
    // Nothing depends on A being tried: the order is still A, B.
    assert_eq!(kinds(|| nest(&[&a, &b])), NONE);

    let (c, d) = (Lock::instance(), Lock::instance());
    nest(&[&d, &c]);
    let found = kinds(|| {
        let tried = c.try_in(Exclusive);
        let held = d.lock();
        d.unlock(held);
        c.unlock(tried);
    });
    assert_eq!(found, [CircularDependency]);
}

#[test]
fn a_try_does_not_count_as_the_validation_of_a_wait() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest(&[&b, &a]);
    let held = a.lock();
    let tried = b.try_in(Exclusive);
    b.unlock(tried);
    let found = kinds(|| {
        let waited = b.lock();
        b.unlock(waited);
    });
    a.unlock(held);
    assert_eq!(found, [CircularDependency]);
}

#[test]
fn a_timed_wait_counts_and_the_report_says_that_it_recovers() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest(&[&a, &b]);
    let found = reports(|| {
        let held = b.lock();
        let waiting = a.0.acquire(Exclusive, Attempt::Timed);
        a.0.abandon(waiting);
        b.unlock(held);
    });
    assert_eq!(found.len(), 1);
    assert!(found[0].recovers);
    assert!(found[0].to_string().contains("would recover by timeout"));
    assert!(lockdep::held().is_empty(), "the abandoned wait is not held");

    let (c, d) = (Lock::instance(), Lock::instance());
    nest(&[&c, &d]);
    let found = reports(|| nest(&[&d, &c]));
    assert!(!found[0].recovers);
}
