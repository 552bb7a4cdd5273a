//! New dependencies that keep to one order are not searched from. One test, in a
//! process of its own, because the count is the process's.

mod support;

use lockdep::ReportKind::CircularDependency;
use support::{Lock, NONE, kinds, nest};

fn searches() -> u64 {
    lockdep::stats().searches
}

/// Every pair `(i, j)` with `i < j < count`, shuffled.
fn shuffled_pairs(count: usize) -> Vec<(usize, usize)> {
    let mut pairs: Vec<_> = (0..count)
        .flat_map(|i| (i + 1..count).map(move |j| (i, j)))
        .collect();
    let mut random = 0x9E37_79B9_7F4A_7C15_u64;
    for at in (1..pairs.len()).rev() {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        pairs.swap(at, random as usize % (at + 1));
    }
    pairs
}

#[test]
fn only_dependencies_that_may_close_a_cycle_are_searched_from() {
    // The locks get their numbers in an order that says nothing.
    let mut locks: Vec<_> = (0..80).map(|_| Lock::instance()).collect();
    let before = lockdep::stats().dependencies;
    for (outer, inner) in shuffled_pairs(locks.len()) {
        assert_eq!(kinds(|| nest(&[&locks[outer], &locks[inner]])), NONE);
    }
    assert_eq!(lockdep::stats().dependencies - before, 80 * 79 / 2);
    assert_eq!(searches(), 0, "one order: no search");

    // Locks that go leave nothing that makes the others suspect.
    for at in [70, 33, 12, 0] {
        drop(locks.remove(at));
    }
    let new = Lock::instance();
    nest(&[&locks[10], &new]);
    nest(&[&new, &locks[20]]);
    assert_eq!(searches(), 0);

    // The other order is searched from, once for each, and found.
    let (first, last) = (&locks[0], locks.last().unwrap());
    assert_eq!(kinds(|| nest(&[last, first])), [CircularDependency]);
    assert_eq!(searches(), 1);
    assert_eq!(kinds(|| nest(&[last, first])), NONE);
    assert_eq!(searches(), 1, "known: not searched from again");
    assert_eq!(
        kinds(|| nest(&[&locks[40], &locks[5]])),
        [CircularDependency]
    );
    assert_eq!(searches(), 2);

    // Inside the known cycles a new dependency is suspect, elsewhere it is not.
    let [a, b] = [(); 2].map(|()| Lock::instance());
    assert_eq!(kinds(|| nest(&[&a, &b])), NONE);
    assert_eq!(searches(), 2);

    // When the locks of the wrong order are gone, so is the suspicion.
    locks.truncate(locks.len() - 1);
    drop(locks.remove(40));
    let (c, d) = (&locks[30], Lock::instance());
    nest(&[c, &d]);
    nest(&[&d, &locks[35]]);
    assert_eq!(searches(), 2);
}
