//! Breaking the validator on purpose, one thing at a time, to see whether a test
//! notices. Without `--cfg lockdep_mutants` nothing here leaves a trace.
//!
//! `LOCKDEP_MUTANT` names what is broken. What each mutant does and which test
//! notices is in `docs/mutants.md`; `ci/lockdep-mutants.sh` runs that table.

use crate::graph::DependencyGraph;
use crate::search::Step;

/// Something that can be broken, by name.
#[derive(Clone, Copy, Debug)]
#[cfg_attr(not(lockdep_mutants), allow(dead_code, reason = "its name has no use"))]
pub(crate) struct Mutant(&'static str);

pub(crate) const TRY_BIT_LOST: Mutant = Mutant("try bit lost");
pub(crate) const MODE_LOST: Mutant = Mutant("mode lost");
pub(crate) const DOWNGRADE_NOT_RECOMPUTED: Mutant = Mutant("downgrade not recomputed");
pub(crate) const CHAIN_NOT_REBUILT: Mutant = Mutant("chain not rebuilt after out-of-order release");
pub(crate) const NEAREST_ONLY: Mutant = Mutant("nearest-held edges only");
pub(crate) const SINGLE_VISIT: Mutant = Mutant("single visit per class");
#[cfg(lockdep_mutants)]
pub(crate) const SERIAL_REUSE: Mutant = Mutant("serial reuse");
#[cfg(lockdep_mutants)]
pub(crate) const CLOSING_EDGE_DROPPED: Mutant = Mutant("edge dropped when it closes a cycle");
pub(crate) const SELF_EDGES: Mutant = Mutant("self-edges recorded");
pub(crate) const UPGRADE_EDGES_FORGOTTEN: Mutant = Mutant("upgrade edges forgotten");
pub(crate) const ORDER_CACHED: Mutant = Mutant("order_by cached");
pub(crate) const ORDER_ALLOWS_EQUALS: Mutant = Mutant("order_by allows equals");
pub(crate) const SUBCLASS_IGNORED: Mutant = Mutant("subclass ignored");
pub(crate) const WRITERS_ALWAYS_BLOCK: Mutant = Mutant("no_blocking_writers ignored");
pub(crate) const TIMED_IS_A_TRY: Mutant = Mutant("timed wait taken for a try");
pub(crate) const RELEASE_NOTE_LOST: Mutant = Mutant("release note lost");
pub(crate) const REMOVAL_KEEPS_EDGES: Mutant = Mutant("node removal keeps edges");
pub(crate) const CYCLE_REPORTED_TWICE: Mutant = Mutant("cycle reported twice");
pub(crate) const OUTER_LIMIT_IGNORED: Mutant = Mutant("wait limit of outer sections ignored");
pub(crate) const FILTER_INVERTED: Mutant = Mutant("topological filter inverted");
pub(crate) const GUARDS_NOT_NARROWED: Mutant = Mutant("guard intersection ignored");
pub(crate) const JOINT_IGNORED: Mutant = Mutant("joint rule ignored");
pub(crate) const HASH_TRUSTED: Mutant = Mutant("edge cache trusts the hash");

/// Whether `mutant` is what is broken in this process.
#[cfg(not(lockdep_mutants))]
#[inline]
pub(crate) const fn is_broken(_: Mutant) -> bool {
    false
}

#[cfg(lockdep_mutants)]
pub(crate) fn is_broken(mutant: Mutant) -> bool {
    use std::sync::OnceLock;

    static BROKEN: OnceLock<Option<String>> = OnceLock::new();
    let broken = BROKEN.get_or_init(|| std::env::var("LOCKDEP_MUTANT").ok());
    broken.as_deref() == Some(mutant.0)
}

/// The serial `fresh` of a lock at `address`; under "serial reuse" that of the
/// first lock which was there.
#[cfg(not(lockdep_mutants))]
#[inline]
pub(crate) const fn serial(_address: usize, fresh: u64) -> u64 {
    fresh
}

#[cfg(lockdep_mutants)]
pub(crate) fn serial(address: usize, fresh: u64) -> u64 {
    use std::collections::HashMap;
    use std::sync::{LazyLock, Mutex, PoisonError};

    static FIRST: LazyLock<Mutex<HashMap<usize, u64>>> = LazyLock::new(Mutex::default);
    if !is_broken(SERIAL_REUSE) {
        return fresh;
    }
    let mut first = FIRST.lock().unwrap_or_else(PoisonError::into_inner);
    *first.entry(address).or_insert(fresh)
}

/// Whether the edge is not to be recorded: under "edge dropped when it closes a
/// cycle" one whose end reaches its beginning, as in the kernel.
#[cfg(not(lockdep_mutants))]
#[inline]
pub(crate) const fn drops(_: &DependencyGraph, _: Step) -> bool {
    false
}

#[cfg(lockdep_mutants)]
pub(crate) fn drops(graph: &DependencyGraph, step: Step) -> bool {
    let mut reached = vec![step.to];
    let mut next = 0;
    while let Some(&node) = reached.get(next) {
        next += 1;
        for to in graph.node(node).out.keys() {
            if !reached.contains(to) {
                reached.push(*to);
            }
        }
    }
    is_broken(CLOSING_EDGE_DROPPED) && reached.contains(&step.from)
}
