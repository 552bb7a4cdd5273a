//! What a hold is worth after an out-of-order release, a downgrade or an upgrade.

mod support;

use lockdep::Attempt;
use lockdep::Mode::{Exclusive, SharedRecursive, Upgradable, UpgradableRecursive};
use lockdep::ReportKind::CircularDependency;
use support::{Lock, NONE, kinds, nest, nest_modes, reports};

#[test]
fn out_of_order_release_ends_the_dependencies_of_what_was_released() {
    let [a, b, c] = [(); 3].map(|()| Lock::instance());
    let held_a = a.lock();
    let held_b = b.lock();
    a.unlock(held_a);
    let held_c = c.lock();
    c.unlock(held_c);
    b.unlock(held_b);
    // A -> B and B -> C were seen, and never A -> C.
    assert_eq!(kinds(|| nest(&[&c, &a])), [CircularDependency]);

    let [a, b, c] = [(); 3].map(|()| Lock::instance());
    let held_a = a.lock();
    let held_b = b.try_in(Exclusive);
    a.unlock(held_a);
    let held_c = c.lock();
    c.unlock(held_c);
    b.unlock(held_b);
    // Only B -> C was seen.
    assert_eq!(kinds(|| nest(&[&c, &a])), NONE);
}

#[test]
fn the_chain_left_by_an_out_of_order_release_is_validated_anew() {
    let [a, b, c] = [(); 3].map(|()| Lock::instance());
    // Known to the thread's cache: A, then B on top, then C.
    nest(&[&a, &c]);
    nest(&[&c, &b]);
    let held_a = a.lock();
    let held_b = b.try_in(Exclusive);
    a.unlock(held_a);
    let found = kinds(|| {
        let held_c = c.lock();
        c.unlock(held_c);
    });
    b.unlock(held_b);
    assert_eq!(found, [CircularDependency], "B -> C against C -> B");
}

#[test]
fn what_is_validated_after_an_out_of_order_release_is_not_known_without_it() {
    let [a, b, c] = [(); 3].map(|()| Lock::instance());
    let b_then_c_after_a = |released: bool| {
        let held_a = a.lock();
        let held_b = b.try_in(Exclusive);
        let held_a = if released {
            a.unlock(held_a);
            None
        } else {
            Some(held_a)
        };
        let held_c = c.lock();
        c.unlock(held_c);
        b.unlock(held_b);
        if let Some(held_a) = held_a {
            a.unlock(held_a);
        }
    };
    b_then_c_after_a(true);
    b_then_c_after_a(false);
    assert_eq!(kinds(|| nest(&[&c, &a])), [CircularDependency], "A -> C");
}

#[test]
fn a_downgraded_hold_makes_the_dependencies_of_a_shared_one() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest_modes(&b, Exclusive, &a, SharedRecursive);
    let mut held = a.lock();
    a.0.downgrade(&mut held);
    let found = kinds(|| {
        let inner = b.lock();
        b.unlock(inner);
    });
    a.unlock(held);
    assert_eq!(found, NONE, "readers of A do not block readers of A");

    // Without the downgrade the same is a deadlock, also when the thread has
    // seen the downgraded situation before.
    let held = a.lock();
    let found = kinds(|| {
        let inner = b.lock();
        b.unlock(inner);
    });
    a.unlock(held);
    assert_eq!(found, [CircularDependency]);
}

#[test]
fn locks_above_a_downgraded_one_are_not_taken_for_validated_with_it() {
    let (a, b) = (Lock::instance(), Lock::instance());
    let mut held = a.lock();
    let inner = b.lock();
    a.0.downgrade(&mut held);
    b.unlock(inner);
    a.unlock(held);
    // A (exclusive) -> B was seen. A (shared) -> B was not, so the upgrade of
    // A, which only readers of A block, is safe while B is held,
    let upgrade = || {
        let held_b = b.lock();
        let mut held_a = a.try_in(Upgradable);
        a.0.upgrade(&mut held_a, Attempt::Block);
        a.unlock(held_a);
        b.unlock(held_b);
    };
    assert_eq!(kinds(upgrade), NONE);
    // and B under a reader of A is what makes it unsafe.
    let found = kinds(|| nest_modes(&a, SharedRecursive, &b, Exclusive));
    assert_eq!(found, [CircularDependency]);
}

#[test]
fn an_upgrade_waits_for_readers_while_everything_else_is_held() {
    // Later holds too: B is taken after the upgradable hold of A.
    let (a, b) = (Lock::instance(), Lock::instance());
    nest_modes(&a, SharedRecursive, &b, Exclusive);
    let mut held_a = a.wait(UpgradableRecursive);
    let held_b = b.try_in(Exclusive);
    let found = reports(|| a.0.upgrade(&mut held_a, Attempt::Block));
    b.unlock(held_b);
    a.unlock(held_a);
    assert_eq!(found.len(), 1);
    assert!(found[0].cycle[0].upgrade);

    // An exclusive or upgradable hold of A cannot block an upgrade of A.
    for mode in [Exclusive, Upgradable] {
        let (a, b) = (Lock::instance(), Lock::instance());
        nest_modes(&a, mode, &b, Exclusive);
        let mut held_a = a.wait(UpgradableRecursive);
        let held_b = b.try_in(Exclusive);
        assert_eq!(kinds(|| a.0.upgrade(&mut held_a, Attempt::Block)), NONE);
        b.unlock(held_b);
        a.unlock(held_a);
    }

    // A try never waits.
    let (a, b) = (Lock::instance(), Lock::instance());
    nest_modes(&a, SharedRecursive, &b, Exclusive);
    let held_b = b.lock();
    let mut held_a = a.try_in(Upgradable);
    assert_eq!(kinds(|| a.0.upgrade(&mut held_a, Attempt::Try)), NONE);
    assert_eq!(lockdep::held()[1].mode, Exclusive);
    a.0.set_mode(&mut held_a, Upgradable);
    assert_eq!(lockdep::held()[1].mode, Upgradable);
    a.unlock(held_a);
    b.unlock(held_b);
}

#[test]
fn an_upgraded_hold_blocks_like_an_exclusive_one() {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest_modes(&b, Exclusive, &a, SharedRecursive);
    let mut held = a.wait(Upgradable);
    let found = kinds(|| {
        let inner = b.lock();
        b.unlock(inner);
    });
    assert_eq!(found, NONE);
    a.0.upgrade(&mut held, Attempt::Block);
    let found = kinds(|| {
        let inner = b.lock();
        b.unlock(inner);
    });
    a.unlock(held);
    assert_eq!(found, [CircularDependency]);
}
