//! A lock that is written over while it is held.

use std::mem::ManuallyDrop;

use lockdep::{Attempt, LockMap, Mode, ReportKind, collect, held};

#[test]
fn a_lock_written_over_while_it_is_held_is_a_held_lock_freed() {
    let mut map = ManuallyDrop::new(LockMap::instance());
    let lost = map.acquire(Mode::Exclusive, Attempt::Block);
    // SAFETY: the place is valid; what was there needs no drop.
    unsafe { std::ptr::write(&raw mut *map, LockMap::instance()) };
    let (token, reports) = collect(|| map.acquire(Mode::Exclusive, Attempt::Block));
    assert_eq!(reports.len(), 1, "{reports:?}");
    assert_eq!(reports[0].kind(), ReportKind::HeldLockFreed);
    assert!(
        reports[0].detail.contains("re-initialised"),
        "{}",
        reports[0]
    );
    // The old hold is gone with its lock; ending it now is no news.
    assert_eq!(held().len(), 1);
    let ((), reports) = collect(|| {
        map.release(token);
        map.release(lost);
    });
    assert!(reports.is_empty(), "{reports:?}");
}

#[test]
fn a_lock_that_is_replaced_while_nobody_holds_it_is_none() {
    let mut map = LockMap::instance();
    for _ in 0..3 {
        let ((), reports) = collect(|| {
            let held = map.acquire(Mode::Exclusive, Attempt::Block);
            map.release(held);
        });
        assert!(reports.is_empty(), "{reports:?}");
        map = LockMap::instance();
    }
}
