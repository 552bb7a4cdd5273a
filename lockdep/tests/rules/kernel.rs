//! The cases of the kernel's self-tests. Source of what is taken in which order
//! and of what must fail: `lib/locking-selftest.c` of Linux 6.

use lockdep::Mode::{Exclusive, Shared, SharedRecursive};
use lockdep::ReportKind::{
    BadUnlock, CircularDependency, HeldLockFreed, InvalidWaitContext, RecursiveLocking,
};
use lockdep::WaitType::{self, Bounded, Free, Sleep, Spin};
use lockdep::{Attempt, LockMap, Mode, atomic, nested};

use super::support::{Lock, nest_modes};
use super::{ALL, Table, blocks, class, steps};

pub(super) fn cases(table: &mut Table) {
    same_lock(table);
    same_class(table);
    cycles(table);
    read_abba(table);
    read_chains(table);
    double_unlock(table);
    init_held(table);
    wait_contexts(table);
    blocks_and_tries(table);
    subclass_name(table);
}

fn same_lock(table: &mut Table) {
    for hold in ALL {
        for want in ALL {
            let name = format!("same lock, {hold}, {want}");
            table.reported_if(blocks(hold, want), &name, RecursiveLocking, || {
                let lock = Lock::instance();
                nest_modes(&lock, hold, &lock, want);
            });
        }
    }
}

fn same_class(table: &mut Table) {
    for hold in ALL {
        for want in ALL {
            let name = format!("AA {hold}, {want}");
            table.reported_if(blocks(hold, want), &name, RecursiveLocking, || {
                let key = class("x");
                nest_modes(&Lock::of(key), hold, &Lock::of(key), want);
            });
        }
    }
}

/// Each order in every mode, and the same with its last step the other way round.
fn cycles(table: &mut Table) {
    for (wrong, right) in [
        ("AB BA", "AB AB"),
        ("AB BC CA", "AB BC AC"),
        ("AB CA BC", "AB CA CB"),
        ("AB BC CD DA", "AB BC CD AD"),
        ("AB CD BD DA", "AB CD BD AD"),
        ("AB CD BC DA", "AB CD BC AD"),
    ] {
        for mode in ALL {
            let name = format!("{wrong} {mode}");
            table.reported_if(blocks(mode, mode), &name, CircularDependency, || {
                steps(&[(mode, mode)], wrong);
            });
            table.silent(&format!("{right} {mode}"), || steps(&[(mode, mode)], right));
        }
    }
}

/// A is an rwlock or an rwsem, B a mutex.
fn read_abba(table: &mut Table) {
    for read in [Shared, SharedRecursive] {
        for (hold, want) in [(read, Exclusive), (read, read), (Exclusive, Exclusive)] {
            let name = format!("ABBA, A {hold} and {want}");
            table.reported_if(blocks(hold, want), &name, CircularDependency, || {
                steps(&[(hold, Exclusive), (Exclusive, want)], "AB BA");
            });
        }
    }
}

/// Three rwlocks in a ring, taken for writing (W) and reading (R), whichever of
/// the three steps comes last.
fn read_chains(table: &mut Table) {
    const ORDERS: [[usize; 3]; 6] = [
        [0, 1, 2],
        [0, 2, 1],
        [1, 0, 2],
        [1, 2, 0],
        [2, 0, 1],
        [2, 1, 0],
    ];
    const W: Mode = Exclusive;
    const R: Mode = SharedRecursive;
    for (name, deadlock, modes) in [
        ("WR WR WR", true, [(W, R), (W, R), (W, R)]),
        ("WW RR WR", true, [(W, W), (R, R), (W, R)]),
        ("WW RR RW", false, [(W, W), (R, R), (R, W)]),
        ("WR RR WW", false, [(W, R), (R, R), (W, W)]),
    ] {
        for order in ORDERS {
            let name = format!("{name}, order {order:?}");
            let modes = order.map(|step| modes[step]);
            let ring = order.map(|step| ["AB", "BC", "CA"][step]).join(" ");
            table.reported_if(deadlock, &name, CircularDependency, || {
                steps(&modes, &ring);
            });
        }
    }
}

fn double_unlock(table: &mut Table) {
    for mode in ALL {
        let unlock = |times: usize| {
            let lock = Lock::instance();
            let _token = lock.wait(mode);
            (0..times).for_each(|_| lock.0.force_release());
        };
        table.silent(&format!("one unlock, {mode}"), || unlock(1));
        table.reported(&format!("double unlock, {mode}"), BadUnlock, || unlock(2));
    }
}

fn init_held(table: &mut Table) {
    for mode in ALL {
        table.reported(&format!("init held, {mode}"), HeldLockFreed, || {
            let mut lock = Lock::instance();
            let held = lock.wait(mode);
            lock.0 = LockMap::instance();
            lock.unlock(held);
        });
        table.silent(&format!("init free, {mode}"), || {
            let mut lock = Lock::instance();
            lock.unlock(lock.wait(mode));
            lock.0 = LockMap::instance();
            lock.unlock(lock.wait(mode));
        });
    }
}

/// A kind of lock, by what waiting for it and holding it means.
struct Context {
    name: &'static str,
    mode: Mode,
    outer: WaitType,
    inner: WaitType,
}

impl Context {
    const fn new(name: &'static str, mode: Mode, outer: WaitType, inner: WaitType) -> Context {
        Context {
            name,
            mode,
            outer,
            inner,
        }
    }

    fn lock(&self) -> Lock {
        Lock(LockMap::instance().wait(self.outer, self.inner))
    }
}

const RCU: Context = Context::new("rcu", SharedRecursive, Free, Bounded);
const RCU_SCHED: Context = Context::new("rcu-sched", SharedRecursive, Free, Spin);
const RAW_SPIN: Context = Context::new("raw-spin", Exclusive, Spin, Spin);
const SPIN: Context = Context::new("spin", Exclusive, Bounded, Bounded);
const MUTEX: Context = Context::new("mutex", Exclusive, Sleep, Sleep);

fn wait_contexts(table: &mut Table) {
    let inners = [&RCU, &RAW_SPIN, &SPIN, &MUTEX];
    for (outer, allowed) in [
        (&RCU, [true, true, true, false]),
        (&RCU_SCHED, [true, true, false, false]),
        (&RAW_SPIN, [true, true, false, false]),
        (&SPIN, [true, true, true, false]),
        (&MUTEX, [true, true, true, true]),
    ] {
        for (inner, allowed) in inners.iter().zip(allowed) {
            let name = format!("{} in {}", inner.name, outer.name);
            table.reported_if(!allowed, &name, InvalidWaitContext, || {
                nest_modes(&outer.lock(), outer.mode, &inner.lock(), inner.mode);
            });
        }
    }
    // What an interrupt is to the kernel: a section without a lock.
    for (inner, allowed) in inners.iter().zip([true, true, true, false]) {
        let name = format!("{} in an atomic scope", inner.name);
        table.reported_if(!allowed, &name, InvalidWaitContext, || {
            let lock = inner.lock();
            atomic(|| lock.unlock(lock.wait(inner.mode)));
        });
    }
}

/// Two locks of a class, each waited for or tried.
fn blocks_and_tries(table: &mut Table) {
    let attempts = [Attempt::Block, Attempt::Try];
    for (first, second) in attempts.iter().flat_map(|a| attempts.map(|b| (*a, b))) {
        let name = format!("AA, {first:?} then {second:?}");
        table.reported_if(second == Attempt::Block, &name, RecursiveLocking, || {
            let key = class("object");
            let (a, b) = (Lock::of(key), Lock::of(key));
            let outer = a.0.acquire(Exclusive, first);
            let inner = b.0.acquire(Exclusive, second);
            b.unlock(inner);
            a.unlock(outer);
        });
    }
}

fn subclass_name(table: &mut Table) {
    table.silent("a subclass keeps the class's name", || {
        let (outer, x) = (Lock::instance(), Lock::of(class("kept name")));
        let held = outer.lock();
        x.unlock(nested(1, || x.lock()));
        outer.unlock(held);
        let seen = lockdep::graph().dependencies;
        assert!(seen.iter().any(|edge| edge.wanted == "kept name/1"));
    });
}
