//! What is one class: keys, creation sites, lone locks, subclasses.

mod support;

use lockdep::Mode::Exclusive;
use lockdep::ReportKind::CircularDependency;
use lockdep::{Attempt, LockClassKey, LockMap, nested};
use support::{Lock, NONE, kinds, nest, reports};

#[test]
fn locks_of_one_key_are_one_class() {
    static OUTER: LockClassKey = LockClassKey::new("outer");
    static INNER: LockClassKey = LockClassKey::new("inner");
    nest(&[&Lock::of(&OUTER), &Lock::of(&INNER)]);
    let found = reports(|| nest(&[&Lock::of(&INNER), &Lock::of(&OUTER)]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].cycle[0].held, "inner");
    assert_eq!(found[0].cycle[0].wanted, "outer");
}

#[test]
fn locks_of_one_creation_site_are_one_class() {
    #[track_caller]
    fn created_by_the_caller() -> Lock {
        Lock(LockMap::at_site())
    }
    let (first, second) = (|| created_by_the_caller(), || created_by_the_caller());
    nest(&[&first(), &second()]);
    assert_eq!(kinds(|| nest(&[&first(), &second()])), NONE);
    let found = reports(|| nest(&[&second(), &first()]));
    assert_eq!(found.len(), 1);
    assert!(found[0].cycle[0].held.contains("classes.rs:"));
}

#[test]
fn an_instance_takes_its_dependencies_with_it_and_nothing_is_contracted() {
    let (a, c) = (Lock::instance(), Lock::instance());
    {
        let b = Lock::instance();
        nest(&[&a, &b]);
        nest(&[&b, &c]);
    }
    assert_eq!(kinds(|| nest(&[&c, &a])), NONE);

    let (a, c) = (Lock::instance(), Lock::instance());
    {
        let b = Lock::instance();
        nest(&[&a, &b, &c]);
    }
    // A was held when C was taken.
    assert_eq!(kinds(|| nest(&[&c, &a])), [CircularDependency]);
}

#[test]
fn a_new_lock_at_an_old_address_is_another_lock() {
    let a = Lock::instance();
    let mut place = Lock::instance();
    nest(&[&a, &place]);
    place = Lock::instance();
    assert_eq!(kinds(|| nest(&[&place, &a])), NONE);
}

#[test]
fn what_was_validated_for_a_lock_says_nothing_about_the_next_one_at_its_address() {
    let a = Lock::instance();
    let mut place = Lock::instance();
    nest(&[&a, &place]);
    place = Lock::instance();
    nest(&[&a, &place]);
    assert_eq!(kinds(|| nest(&[&place, &a])), [CircularDependency]);
}

#[test]
fn might_lock_checks_the_rare_path_each_time() {
    let (a, b) = (Lock::instance(), Lock::instance());
    let held = a.lock();
    lockdep::might_lock(&b.0, Exclusive);
    a.unlock(held);
    assert_eq!(lockdep::held(), []);
    assert_eq!(kinds(|| nest(&[&b, &a])), [CircularDependency]);
}

#[test]
fn subclasses_of_a_class_have_an_order_too() {
    static TREE: LockClassKey = LockClassKey::new("tree");
    let down = || {
        let (parent, child) = (Lock::of(&TREE), Lock::of(&TREE));
        let outer = parent.lock();
        let inner = nested(1, || child.lock());
        child.unlock(inner);
        parent.unlock(outer);
    };
    assert_eq!(kinds(down), NONE);
    let up = || {
        let (parent, child) = (Lock::of(&TREE), Lock::of(&TREE));
        let inner = nested(1, || child.lock());
        let outer = parent.lock();
        parent.unlock(outer);
        child.unlock(inner);
    };
    let found = reports(up);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].cycle[0].held, "tree/1");
}

#[test]
fn nested_is_for_the_first_acquisition_inside_and_ends_with_the_closure() {
    static NODE: LockClassKey = LockClassKey::new("node");
    let (a, b, c) = (Lock::of(&NODE), Lock::instance(), Lock::of(&NODE));
    let (first, second) = nested(3, || (a.lock(), b.lock()));
    let names = || -> Vec<String> { lockdep::held().into_iter().map(|held| held.class).collect() };
    assert_eq!(names()[0], "node/3");
    assert!(!names()[1].contains('/'));
    b.unlock(second);
    a.unlock(first);
    nested(5, || ());
    let hold = c.lock();
    assert_eq!(names(), ["node"]);
    c.unlock(hold);
}

#[test]
#[should_panic(expected = "subclasses go from 0 to 7, not 8")]
fn a_subclass_above_seven_is_refused() {
    nested(8, || ());
}

/// The classes of what this thread holds, with their subclasses.
fn names() -> Vec<String> {
    lockdep::held().into_iter().map(|held| held.class).collect()
}

#[test]
fn an_attempt_that_fails_does_not_use_the_subclass_up() {
    static NODE: LockClassKey = LockClassKey::new("retried");
    let (parent, child) = (Lock::of(&NODE), Lock::of(&NODE));
    for attempt in [Attempt::Try, Attempt::Timed] {
        let found = kinds(|| {
            let outer = parent.lock();
            let inner = nested(1, || {
                let failed = child.0.acquire(Exclusive, attempt);
                child.0.abandon(failed);
                child.lock()
            });
            assert_eq!(names(), ["retried", "retried/1"]);
            child.unlock(inner);
            parent.unlock(outer);
        });
        assert_eq!(found, NONE);
    }
    // Only the attempt that had it gives it back, and only while the scope is open.
    let other = Lock::instance();
    let (first, second) = nested(2, || {
        let first = child.lock();
        let failed = other.try_in(Exclusive);
        other.0.abandon(failed);
        (first, parent.lock())
    });
    assert_eq!(names(), ["retried/2", "retried"]);
    parent.unlock(second);
    child.unlock(first);
    let failed = nested(3, || child.try_in(Exclusive));
    child.0.abandon(failed);
    let hold = child.lock();
    assert_eq!(names(), ["retried"]);
    child.unlock(hold);
}

#[test]
fn a_scope_inside_a_scope_has_its_own_subclass_and_takes_the_outer_ones_turn() {
    static NODE: LockClassKey = LockClassKey::new("scoped");
    let [a, b, c] = [(); 3].map(|()| Lock::of(&NODE));
    let inner_acquires = nested(1, || (nested(2, || a.lock()), b.lock()));
    assert_eq!(names(), ["scoped/2", "scoped"]);
    b.unlock(inner_acquires.1);
    a.unlock(inner_acquires.0);
    let inner_does_not = nested(1, || {
        nested(2, || ());
        c.lock()
    });
    assert_eq!(names(), ["scoped/1"]);
    c.unlock(inner_does_not);
}

#[test]
fn a_reported_attempt_gives_the_subclass_back() {
    static NODE: LockClassKey = LockClassKey::new("reported");
    let (other, node) = (Lock::instance(), Lock::of(&NODE));
    // The order is other/3, node/1; then the other one.
    let outer = nested(3, || other.lock());
    let inner = nested(1, || node.lock());
    node.unlock(inner);
    other.unlock(outer);
    let first = nested(1, || node.lock());
    let second = nested(3, || {
        let panics = std::panic::AssertUnwindSafe(|| other.lock());
        assert!(std::panic::catch_unwind(panics).is_err());
        node.try_in(Exclusive)
    });
    assert_eq!(names(), ["reported/1", "reported/3"]);
    node.unlock(second);
    node.unlock(first);
}

#[test]
fn classes_of_one_name_are_told_apart_in_the_graph() {
    static ONE: LockClassKey = LockClassKey::new("same name");
    static TWO: LockClassKey = LockClassKey::new("same name");
    nest(&[&Lock::of(&ONE), &Lock::of(&TWO)]);
    let graph = lockdep::graph();
    let edges = graph
        .dependencies
        .iter()
        .map(|edge| (edge.held.as_str(), edge.wanted.as_str()));
    let edges: Vec<_> = edges
        .filter(|(held, _)| held.starts_with("same name"))
        .collect();
    assert_eq!(edges, [("same name", "same name#2")]);
    assert!(graph.classes.iter().any(|class| class == "same name#2"));
}
