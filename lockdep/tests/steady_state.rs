//! What repeated work costs: no graph lock, no memory per lock. One test, in a
//! process of its own, because the counts are the process's.

mod support;

use lockdep::LockClassKey;
use lockdep::ReportKind::RecursiveLocking;
use support::{Lock, kinds, nest};

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

    // A lone lock that was never nested goes without the graph lock. (Its serial
    // may share a bucket with one of the few classes that are known.)
    let before = lockdep::stats();
    for _ in 0..10_000 {
        nest(&[&Lock::instance()]);
    }
    let taken = lockdep::stats().graph_lock_acquisitions - before.graph_lock_acquisitions;
    assert!(taken < 100, "{taken} of 10,000 drops took the graph lock");

    // One that was reported leaves nothing either.
    let before = lockdep::stats();
    for _ in 0..1_000 {
        let alone = Lock::instance();
        let found = kinds(|| nest(&[&alone, &alone]));
        assert_eq!(found, [RecursiveLocking]);
        assert_eq!(lockdep::stats().classes, before.classes + 1);
    }
    assert_eq!(lockdep::stats().classes, before.classes);

    // Lone locks come and go with their dependencies.
    for _ in 0..10_000 {
        nest(&[&Lock::instance(), &Lock::instance()]);
    }
    let after = lockdep::stats();
    assert_eq!((after.classes, after.dependencies), (3, 3));
}
