//! Under lockdep a program without a possible deadlock is clean, and the order is seen: a validator that was off would show no
//! classes. One test in a process of its own, as the counts are the process's.

#![cfg(all(feature = "debug-lockdep", not(zslock_loom)))]

use zslock::lock_class_key;
use zslock::lockdep::{collect, stats};

#[test]
fn a_safe_program_is_clean_and_its_order_is_seen() {
    let outer = zslock::with_class(lock_class_key!("outer"), 1);
    let inner = zslock::with_class(lock_class_key!("inner"), 2);
    let gated = zslock::gated_with_class(lock_class_key!("gated"), 3);
    let before = stats();
    let work = || {
        for _ in 0..100 {
            let (outer, inner, gated) = (outer.read(), inner.read(), gated.read());
            assert_eq!(*outer + *inner + *gated, 6);
        }
        let guard = gated.write();
        assert_eq!(*guard + *inner.read(), 5);
    };
    let ((), reports) = collect(|| {
        std::thread::scope(|scope| {
            scope.spawn(|| {
                let outer = outer.read();
                assert_eq!(*outer + *gated.read(), 4);
            });
        });
        work();
    });
    assert!(reports.is_empty(), "{}", reports[0]);

    let stats = stats();
    println!(
        "zslock: clean, {} classes, {} dependencies",
        stats.classes, stats.dependencies
    );
    assert_eq!(stats.classes - before.classes, 3);
    // Both orders of `inner` and `gated` are among them: only writers make a reader of `inner` wait, and none holds `inner`.
    assert_eq!(stats.dependencies - before.dependencies, 4);
}
