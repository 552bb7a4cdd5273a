//! A lock, or another of its class, that the thread holds already.

mod support;

use lockdep::Mode::{Exclusive, Shared, SharedRecursive, Upgradable, UpgradableRecursive};
use lockdep::ReportKind::RecursiveLocking;
use lockdep::{Attempt, LockClassKey, LockMap, Mode, OrderKey};
use support::{Lock, NONE, kinds, nest, nest_modes, reports};

const ALL: [Mode; 5] = [
    Exclusive,
    Shared,
    SharedRecursive,
    Upgradable,
    UpgradableRecursive,
];

#[test]
fn the_same_lock_again_is_reported_if_the_hold_can_block_it() {
    for hold in ALL {
        for want in ALL {
            let lock = Lock::instance();
            let found = kinds(|| nest_modes(&lock, hold, &lock, want));
            let blocks = match want {
                SharedRecursive => hold == Exclusive,
                UpgradableRecursive => !matches!(hold, Shared | SharedRecursive),
                _ => true,
            };
            let expected: &[_] = if blocks { &[RecursiveLocking] } else { &[] };
            assert_eq!(found, expected, "{hold} then {want}");
        }
    }
}

#[test]
fn a_certain_deadlock_is_reported_each_time_and_a_possible_one_once() {
    let lock = Lock::instance();
    for _ in 0..2 {
        assert_eq!(kinds(|| nest(&[&lock, &lock])), [RecursiveLocking]);
    }
    let lock = Lock::instance();
    let queued = || nest_modes(&lock, Shared, &lock, Shared);
    assert_eq!(kinds(queued), [RecursiveLocking]);
    assert_eq!(kinds(queued), NONE);
}

#[test]
fn another_lock_of_the_class_is_reported() {
    static KEY: LockClassKey = LockClassKey::new("page");
    let (a, b) = (Lock::of(&KEY), Lock::of(&KEY));
    let found = reports(|| nest(&[&a, &b]));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), RecursiveLocking);
    assert!(found[0].detail.contains("another lock of the class"));
}

#[test]
fn trying_a_lock_that_is_held_is_no_recursion() {
    let lock = Lock::instance();
    let held = lock.lock();
    let found = kinds(|| {
        let tried = lock.try_in(Exclusive);
        lock.0.abandon(tried);
    });
    lock.unlock(held);
    assert_eq!(found, NONE);
    assert_eq!(lockdep::held(), []);
}

#[test]
fn waiting_for_oneself_with_a_timeout_recovers() {
    let lock = Lock::instance();
    let held = lock.lock();
    let found = reports(|| {
        let waiting = lock.0.acquire(Exclusive, Attempt::Timed);
        lock.0.abandon(waiting);
    });
    lock.unlock(held);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].kind(), RecursiveLocking);
    assert!(found[0].recovers);
}

#[test]
fn different_instances_and_different_classes_do_not_recurse() {
    static A: LockClassKey = LockClassKey::new("same name");
    static B: LockClassKey = LockClassKey::new("same name");
    assert_eq!(
        kinds(|| nest(&[&Lock::instance(), &Lock::instance()])),
        NONE
    );
    assert_eq!(kinds(|| nest(&[&Lock::of(&A), &Lock::of(&B)])), NONE);
}

#[test]
fn a_subclass_makes_nesting_legal_but_not_of_one_lock_in_itself() {
    static KEY: LockClassKey = LockClassKey::new("level");
    let (a, b) = (Lock::of(&KEY), Lock::of(&KEY));
    let found = kinds(|| {
        let outer = a.lock();
        let inner = lockdep::nested(1, || b.lock());
        b.unlock(inner);
        a.unlock(outer);
    });
    assert_eq!(found, NONE);
    let found = kinds(|| {
        let outer = a.lock();
        let inner = lockdep::nested(1, || a.lock());
        a.unlock(inner);
        a.unlock(outer);
    });
    assert_eq!(found, [RecursiveLocking]);
}

#[test]
fn a_declared_order_allows_nesting_in_that_order_only() {
    static KEY: LockClassKey =
        LockClassKey::new("account").order_by(|held, wanted| held.order.cmp(&wanted.order));
    let numbered = |number| Lock(LockMap::with_class(&KEY).with_order(number));
    let (a, b, c) = (numbered(1), numbered(2), numbered(2));
    assert_eq!(kinds(|| nest(&[&a, &b])), NONE);
    assert_eq!(kinds(|| nest(&[&b, &a])), [RecursiveLocking]);
    // Asked for each pair: known classes in a known order are not enough.
    assert_eq!(kinds(|| nest(&[&a, &b])), NONE);
    // Equals are in no order; the class was reported, so this is no news.
    static FRESH: LockClassKey = LockClassKey::new("fresh").order_by(by_number);
    fn by_number(held: OrderKey, wanted: OrderKey) -> std::cmp::Ordering {
        held.order.cmp(&wanted.order)
    }
    let same = |_: &Lock| Lock(LockMap::with_class(&FRESH).with_order(2));
    assert_eq!(kinds(|| nest(&[&same(&b), &same(&c)])), [RecursiveLocking]);
}

#[test]
fn an_order_by_address_sees_the_addresses_of_the_locks() {
    static KEY: LockClassKey =
        LockClassKey::new("bucket").order_by(|held, wanted| held.address.cmp(&wanted.address));
    let buckets = [Lock::of(&KEY), Lock::of(&KEY), Lock::of(&KEY)];
    assert_eq!(
        kinds(|| nest(&[&buckets[0], &buckets[1], &buckets[2]])),
        NONE
    );
    assert_eq!(
        kinds(|| nest(&[&buckets[2], &buckets[0]])),
        [RecursiveLocking]
    );
}

#[test]
fn an_order_is_asked_again_when_the_thread_has_seen_the_classes_before() {
    static KEY: LockClassKey =
        LockClassKey::new("twice").order_by(|held, wanted| held.order.cmp(&wanted.order));
    let numbered = |number| Lock(LockMap::with_class(&KEY).with_order(number));
    let (a, b) = (numbered(1), numbered(2));
    for _ in 0..3 {
        assert_eq!(kinds(|| nest(&[&a, &b])), NONE);
    }
    assert_eq!(kinds(|| nest(&[&b, &a])), [RecursiveLocking]);
}

#[test]
fn readers_of_a_class_without_blocking_writers_may_nest() {
    static KEY: LockClassKey = LockClassKey::new("zspage").no_blocking_writers();
    let (a, b) = (Lock::of(&KEY), Lock::of(&KEY));
    assert_eq!(kinds(|| nest_modes(&a, Shared, &b, Shared)), NONE);
    assert_eq!(kinds(|| nest_modes(&a, Shared, &a, Shared)), NONE);
    // An exclusive hold still blocks a reader.
    let found = kinds(|| {
        let held = a.try_in(Exclusive);
        let read = b.queued_read();
        b.unlock(read);
        a.unlock(held);
    });
    assert_eq!(found, [RecursiveLocking]);
}

#[test]
fn an_upgrade_waits_for_another_read_of_this_thread() {
    let lock = Lock::instance();
    let read = lock.read();
    let mut upgradable = lock.wait(UpgradableRecursive);
    let found = kinds(|| lock.0.upgrade(&mut upgradable, Attempt::Block));
    lock.unlock(upgradable);
    lock.unlock(read);
    assert_eq!(found, [RecursiveLocking]);

    let lock = Lock::instance();
    let mut upgradable = lock.wait(UpgradableRecursive);
    assert_eq!(
        kinds(|| lock.0.upgrade(&mut upgradable, Attempt::Block)),
        NONE
    );
    lock.unlock(upgradable);
}
