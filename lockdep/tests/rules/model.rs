//! The rules of this crate's documentation about the order of locks.

use lockdep::Mode::{Exclusive, Shared, SharedRecursive, UpgradableRecursive};
use lockdep::ReportKind::{CircularDependency, RecursiveLocking};
use lockdep::{Attempt, LockMap, Mode, OrderKey, detach, nested};

use super::support::{Lock, nest, nest_modes};
use super::{ALL, Table, blocks, class, steps};

pub(super) fn cases(table: &mut Table) {
    modes(table);
    upgrades(table);
    downgrades(table);
    tries(table);
    timed(table);
    releases(table);
    detached(table);
    classes(table);
    subclasses(table);
    orders(table);
}

/// A held in `hold` while B is taken; B held while A is wanted in `want`.
fn modes(table: &mut Table) {
    for hold in ALL {
        for want in ALL {
            let name = format!("A {hold}, B; B, A {want}");
            table.reported_if(blocks(hold, want), &name, CircularDependency, || {
                steps(&[(hold, Exclusive), (Exclusive, want)], "AB BA");
            });
        }
    }
}

/// A is upgraded while B is held, after A was held in `hold` around B.
fn upgrade_under(hold: Mode, attempt: Attempt, first: &str) {
    let (a, b) = (Lock::instance(), Lock::instance());
    nest_modes(&a, hold, &b, Exclusive);
    let take_b = || b.try_in(Exclusive);
    let before = (first == "B").then(take_b);
    let mut held = a.try_in(UpgradableRecursive);
    let held_b = before.unwrap_or_else(take_b);
    a.0.upgrade(&mut held, attempt);
    b.unlock(held_b);
    a.unlock(held);
}

fn upgrades(table: &mut Table) {
    for first in ["A", "B"] {
        for hold in ALL {
            let name = format!("upgrade of A under B, {first} first; A {hold} around B");
            let reader = matches!(hold, Shared | SharedRecursive);
            table.reported_if(reader, &name, CircularDependency, || {
                upgrade_under(hold, Attempt::Block, first);
            });
        }
        let name = format!("tried upgrade, {first} first");
        table.silent(&name, || upgrade_under(Shared, Attempt::Try, first));
    }
    let upgrade_in_read = |read: bool| {
        let lock = Lock::instance();
        let reading = read.then(|| lock.read());
        let mut held = lock.wait(UpgradableRecursive);
        lock.0.upgrade(&mut held, Attempt::Block);
        lock.unlock(held);
        reading.into_iter().for_each(|held| lock.unlock(held));
    };
    table.reported("upgrade inside an own read", RecursiveLocking, || {
        upgrade_in_read(true);
    });
    table.silent("upgrade of the only hold", || upgrade_in_read(false));
}

/// B inside A, which is downgraded first or not; then A under B.
fn downgrades(table: &mut Table) {
    for (name, to) in [
        ("to shared", Some(SharedRecursive)),
        ("to upgradable", Some(UpgradableRecursive)),
        ("not", None),
    ] {
        for want in [SharedRecursive, UpgradableRecursive, Exclusive] {
            let held_as = to.unwrap_or(Exclusive);
            let name = format!("A downgraded {name} before B; then A {want} under B");
            table.reported_if(blocks(held_as, want), &name, CircularDependency, || {
                let (a, b) = (Lock::instance(), Lock::instance());
                let mut held = a.lock();
                match to {
                    Some(SharedRecursive) => a.0.downgrade(&mut held),
                    Some(mode) => a.0.set_mode(&mut held, mode),
                    None => {}
                }
                nest(&[&b]);
                a.unlock(held);
                nest_modes(&b, Exclusive, &a, want);
            });
        }
    }
}

/// A then B, then B then A, each of the four by an attempt.
fn tries(table: &mut Table) {
    use Attempt::{Block, Timed, Try};
    for (inner, back) in [Block, Timed, Try]
        .into_iter()
        .flat_map(|inner| [Block, Timed, Try].map(|back| (inner, back)))
    {
        for outer in [Block, Timed, Try] {
            // What is tried is held all the same: only the two inner ones count.
            let both_wait = inner != Try && back != Try;
            let name = format!("A {outer:?}, B {inner:?}; B {outer:?}, A {back:?}");
            table.reported_if(both_wait, &name, CircularDependency, || {
                let (a, b) = (Lock::instance(), Lock::instance());
                for (first, second, attempt) in [(&a, &b, inner), (&b, &a, back)] {
                    let held = first.0.acquire(Exclusive, outer);
                    let wanted = second.0.acquire(Exclusive, attempt);
                    second.unlock(wanted);
                    first.unlock(held);
                }
            });
        }
    }
}

/// B is waited for inside A with a timeout, and the wait may fail; then C.
fn timed(table: &mut Table) {
    for fails in [false, true] {
        let name = format!("after a timed wait for B, failed: {fails}: C, then B under C");
        table.reported_if(!fails, &name, CircularDependency, || {
            let [a, b, c] = [(); 3].map(|()| Lock::instance());
            let held = a.lock();
            let wanted = b.0.acquire(Exclusive, Attempt::Timed);
            if fails {
                b.0.abandon(wanted);
                nest(&[&c]);
            } else {
                nest(&[&c]);
                b.unlock(wanted);
            }
            a.unlock(held);
            nest(&[&c, &b]);
        });
    }
}

/// A, B taken; one of them released, here or on another thread; then C, and the
/// other order.
fn releases(table: &mut Table) {
    for elsewhere in [false, true] {
        for released_first in [true, false] {
            let name = format!("A released before C: {released_first}, elsewhere: {elsewhere}");
            table.reported_if(!released_first, &name, CircularDependency, || {
                let [a, b, c] = [(); 3].map(|()| Lock::instance());
                // Tried, so that there is no A > B > C.
                let (held_a, held_b) = (a.lock(), b.try_in(Exclusive));
                let release_a = || match elsewhere {
                    false => a.unlock(held_a),
                    true => std::thread::scope(|scope| {
                        scope.spawn(|| a.unlock(held_a));
                    }),
                };
                if released_first {
                    release_a();
                    nest(&[&c]);
                } else {
                    nest(&[&c]);
                    release_a();
                }
                b.unlock(held_b);
                nest(&[&c, &a]);
            });
        }
    }
}

fn detached(table: &mut Table) {
    for detaches in [false, true] {
        let name = format!("B inside A, then A under B; A detached: {detaches}");
        table.reported_if(!detaches, &name, CircularDependency, || {
            let (a, b) = (Lock::instance(), Lock::instance());
            let held = a.lock();
            if detaches {
                detach(&a.0);
            }
            nest(&[&b]);
            std::thread::scope(|scope| {
                scope.spawn(|| a.unlock(held));
            });
            nest(&[&b, &a]);
        });
    }
}

fn classes(table: &mut Table) {
    let key = || {
        let (x, y) = (class("x"), class("y"));
        [Lock::of(x), Lock::of(y), Lock::of(x), Lock::of(y)]
    };
    let site = || {
        let x = || Lock(LockMap::at_site());
        let y = || Lock(LockMap::at_site());
        [x(), y(), x(), y()]
    };
    let instances = || [(); 4].map(|()| Lock::instance());
    let invert = |[x1, y1, x2, y2]: [Lock; 4]| {
        nest(&[&x1, &y1]);
        nest(&[&y2, &x2]);
    };
    table.reported("other locks of two keys", CircularDependency, || {
        invert(key())
    });
    table.reported("other locks of two sites", CircularDependency, || {
        invert(site())
    });
    table.silent("other locks, lone", || invert(instances()));

    for held_through in [false, true] {
        let name = format!("C under A after B is gone; A held with C: {held_through}");
        table.reported_if(held_through, &name, CircularDependency, || {
            let [a, b, c, _] = instances();
            nest(&[&a, &b]);
            nest(&[&b, &c]);
            if held_through {
                nest(&[&a, &b, &c]);
            }
            drop(b);
            nest(&[&c, &a]);
        });
    }
}

fn subclasses(table: &mut Table) {
    for (outer, inner) in [(0, 0), (0, 1), (1, 1), (6, 7)] {
        let name = format!("subclass {inner} inside {outer}");
        table.reported_if(outer == inner, &name, RecursiveLocking, || {
            let key = class("level");
            let (a, b) = (Lock::of(key), Lock::of(key));
            let held = nested(outer, || a.lock());
            let wanted = nested(inner, || b.lock());
            b.unlock(wanted);
            a.unlock(held);
        });
    }
    let both_orders = |second: [u8; 2]| {
        let key = class("level");
        let (a, b) = (Lock::of(key), Lock::of(key));
        for [outer, inner] in [[1, 2], second] {
            let held = nested(outer, || a.lock());
            let wanted = nested(inner, || b.lock());
            b.unlock(wanted);
            a.unlock(held);
        }
    };
    table.reported("1 > 2, then 2 > 1", CircularDependency, || {
        both_orders([2, 1])
    });
    table.silent("1 > 2, then 2 > 3", || both_orders([2, 3]));
    table.reported("one lock in two subclasses", RecursiveLocking, || {
        let lock = Lock::of(class("level"));
        let held = lock.lock();
        let wanted = nested(1, || lock.lock());
        lock.unlock(wanted);
        lock.unlock(held);
    });
}

fn by_number(held: OrderKey, wanted: OrderKey) -> std::cmp::Ordering {
    held.order.cmp(&wanted.order)
}

fn orders(table: &mut Table) {
    let leaked = |key| &*Box::leak(Box::new(key));
    let named = || lockdep::LockClassKey::new("account");
    for (first, second) in [(1, 2), (2, 2), (2, 1)] {
        let name = format!("ordered by number: {first}, {second}");
        table.reported_if(first >= second, &name, RecursiveLocking, || {
            let key = leaked(named().order_by(by_number));
            let numbered = |number| Lock(LockMap::with_class(key).with_order(number));
            nest(&[&numbered(first), &numbered(second)]);
        });
    }
    for backwards in [false, true] {
        let name = format!("ordered by address, backwards: {backwards}");
        table.reported_if(backwards, &name, RecursiveLocking, || {
            let key = leaked(named().order_by(|held, wanted| held.address.cmp(&wanted.address)));
            let [first, second] = [(); 2].map(|()| Lock::of(key));
            let pair = [first, second];
            match backwards {
                false => nest(&[&pair[0], &pair[1]]),
                true => nest(&[&pair[1], &pair[0]]),
            }
        });
    }
    for declared in [false, true] {
        let name = format!("queued readers nest, no blocking writers: {declared}");
        table.reported_if(!declared, &name, RecursiveLocking, || {
            let key = match declared {
                false => leaked(named()),
                true => leaked(named().no_blocking_writers()),
            };
            nest_modes(&Lock::of(key), Shared, &Lock::of(key), Shared);
        });
    }
}
