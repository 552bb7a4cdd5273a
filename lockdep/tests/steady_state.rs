//! What repeated work costs: no graph lock, no memory per lock. One test, in a
//! process of its own, because the counts are the process's.

mod support;

use lockdep::LockClassKey;
use support::{Lock, nest};

#[test]
fn known_situations_take_no_graph_lock_and_gone_locks_leave_nothing() {
    static OUTER: LockClassKey = LockClassKey::new("outer");
    static INNER: LockClassKey = LockClassKey::new("inner");
    let (outer, inner, alone) = (Lock::of(&OUTER), Lock::of(&INNER), Lock::instance());
    nest(&[&outer, &inner, &alone]);
    let before = lockdep::stats();
    assert_eq!(before.dependencies, 3);
    assert_eq!(before.classes, 3);
    for _ in 0..330_000 {
        nest(&[&outer, &inner, &alone]);
    }
    let after = lockdep::stats();
    assert_eq!(after, before);

    // New locks of known classes are known, too.
    for _ in 0..10_000 {
        nest(&[&Lock::of(&OUTER), &Lock::of(&INNER)]);
    }
    assert_eq!(lockdep::stats(), before);

    // Lone locks come and go with their dependencies.
    for _ in 0..10_000 {
        nest(&[&Lock::instance(), &Lock::instance()]);
    }
    let after = lockdep::stats();
    assert_eq!((after.classes, after.dependencies), (3, 3));
}
