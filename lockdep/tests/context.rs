//! Wait types: waits that are too long for the section they are in.

mod support;

use lockdep::Mode::{Exclusive, SharedRecursive};
use lockdep::ReportKind::InvalidWaitContext;
use lockdep::WaitType::{Bounded, Sleep, Spin};
use lockdep::{Attempt, LockClassKey, LockMap, atomic, might_sleep};
use support::{Lock, NONE, kinds, nest, nest_modes, reports};

/// A lock as zslock declares itself: its write sections are atomic.
fn preemptible() -> Lock {
    Lock(
        LockMap::instance()
            .wait_for(SharedRecursive, Bounded, Sleep)
            .wait_for(Exclusive, Sleep, Bounded),
    )
}

#[test]
fn a_sleeping_wait_inside_a_write_section_is_reported() {
    let (zs, mutex) = (preemptible(), Lock::instance());
    assert_eq!(kinds(|| nest(&[&zs, &mutex])), [InvalidWaitContext]);
    // Outside of it, or in a read section, it is fine; so is a try.
    assert_eq!(kinds(|| nest(&[&mutex])), NONE);
    let other = Lock::instance();
    assert_eq!(
        kinds(|| nest_modes(&preemptible(), SharedRecursive, &other, Exclusive)),
        NONE
    );
    let zs = preemptible();
    let held = zs.lock();
    let found = kinds(|| {
        let tried = mutex.try_in(Exclusive);
        mutex.unlock(tried);
    });
    zs.unlock(held);
    assert_eq!(found, NONE);
}

#[test]
fn a_read_inside_a_write_section_waits_only_for_atomic_sections() {
    let (a, b) = (preemptible(), preemptible());
    assert_eq!(
        kinds(|| nest_modes(&a, Exclusive, &b, SharedRecursive)),
        NONE
    );
    // A nested blocking write may wait for a reader that sleeps.
    assert_eq!(
        kinds(|| nest_modes(&a, Exclusive, &b, Exclusive)),
        [InvalidWaitContext]
    );
}

#[test]
fn sleeping_is_reported_where_it_may_happen() {
    assert_eq!(kinds(might_sleep), NONE);
    let zs = preemptible();
    let write = zs.lock();
    let line = line!() + 1;
    let found = reports(|| might_sleep());
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].location.line, line);
    zs.unlock(write);
    let read = zs.read();
    assert_eq!(kinds(might_sleep), NONE);
    zs.unlock(read);
}

#[test]
fn the_section_ends_with_the_hold_also_out_of_order_and_by_downgrade() {
    let (zs, mutex) = (preemptible(), Lock::instance());
    let write = zs.lock();
    let tried = mutex.try_in(Exclusive);
    zs.unlock(write);
    assert_eq!(kinds(might_sleep), NONE);
    mutex.unlock(tried);

    let mut write = zs.lock();
    zs.0.set_mode(&mut write, SharedRecursive);
    assert_eq!(kinds(might_sleep), NONE);
    zs.unlock(write);
}

#[test]
fn a_longer_section_inside_a_shorter_one_does_not_lengthen_it() {
    let (zs, mutex) = (preemptible(), Lock::instance());
    let write = zs.lock();
    let tried = mutex.try_in(Exclusive);
    assert_eq!(kinds(might_sleep), [InvalidWaitContext]);
    mutex.unlock(tried);
    zs.unlock(write);
}

#[test]
fn an_upgrade_begins_an_atomic_section_but_may_itself_wait() {
    let zs = Lock(LockMap::instance().wait_for(Exclusive, Sleep, Bounded));
    let mut held = zs.wait(lockdep::Mode::UpgradableRecursive);
    assert_eq!(kinds(|| zs.0.upgrade(&mut held, Attempt::Block)), NONE);
    assert_eq!(kinds(might_sleep), [InvalidWaitContext]);
    zs.unlock(held);
    // Inside another atomic section it must not wait.
    let (outer, zs) = (preemptible(), Lock(LockMap::instance().wait(Sleep, Sleep)));
    let write = outer.lock();
    let mut held = zs.try_in(lockdep::Mode::UpgradableRecursive);
    let found = kinds(|| zs.0.upgrade(&mut held, Attempt::Block));
    zs.unlock(held);
    outer.unlock(write);
    assert_eq!(found, [InvalidWaitContext]);
}

#[test]
fn an_atomic_scope_is_a_section_without_a_lock() {
    let mutex = Lock::instance();
    assert_eq!(kinds(|| atomic(|| nest(&[&mutex]))), [InvalidWaitContext]);
    assert_eq!(kinds(|| atomic(|| ())), NONE);
    assert_eq!(kinds(|| nest(&[&mutex])), NONE);
    let zs = preemptible();
    let reading = || {
        atomic(|| {
            let read = zs.read();
            zs.unlock(read);
        });
    };
    assert_eq!(kinds(reading), NONE);
}

#[test]
fn what_a_key_declares_wins_over_the_lock() {
    static SHORT: LockClassKey = LockClassKey::new("short").wait(Bounded, Bounded);
    let short = Lock::of(&SHORT);
    assert_eq!(kinds(|| atomic(|| nest(&[&short]))), NONE);
    assert_eq!(
        kinds(|| nest(&[&short, &Lock::instance()])),
        [InvalidWaitContext]
    );

    static SPINNING: LockClassKey = LockClassKey::new("spinning").wait_for(Exclusive, Spin, Spin);
    let spinning = Lock::of(&SPINNING);
    assert_eq!(kinds(|| nest(&[&spinning, &short])), [InvalidWaitContext]);
}

#[test]
fn a_wait_that_is_too_long_is_reported_each_time() {
    let (zs, other) = (preemptible(), preemptible());
    let asleep = |zs: &Lock| {
        let write = zs.lock();
        let found = kinds(|| might_sleep());
        zs.unlock(write);
        found
    };
    assert_eq!(asleep(&zs), [InvalidWaitContext]);
    // Unlike an order, which may never meet its reverse, it is wrong now.
    assert_eq!(asleep(&zs), [InvalidWaitContext]);
    assert_eq!(asleep(&other), [InvalidWaitContext]);
}
