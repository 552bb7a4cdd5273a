//! Guard locks: what was held exclusively around a dependency each time it was
//! seen.
//!
//! When one lock guards all dependencies of a cycle, at most one of them can be
//! under way at a time, so the cycle cannot deadlock while that remains so
//! ("gate lock": K. Havelund, "Using runtime analysis to guide model checking of
//! Java programs", SPIN 2000). It is told in the report and no more: the next
//! caller may not take that lock.
//!
//! A guard of "`held` was held while `wanted` was waited for" must have been taken
//! before `held`: a guard taken after it is just one more lock of the chain.

use crate::class::{NodeKey, Origin};
use crate::held::Held;
use crate::mode::HoldKind;

/// The guards common to all times that a dependency was seen. It only shrinks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct GuardSet(Vec<Guard>);

/// The class of a guard lock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Guard {
    pub(crate) node: NodeKey,
    pub(crate) origin: Origin,
}

impl PartialEq for Guard {
    fn eq(&self, other: &Guard) -> bool {
        self.node == other.node
    }
}

impl Eq for Guard {}

/// Whether a hold guards what is taken after it.
///
/// A class of the cycle itself is never a guard of the whole cycle: the first hold
/// of that class was not taken under another one.
pub(crate) fn guards(before: &Held) -> bool {
    before.mode.hold_kind() == HoldKind::Exclusive
}

impl FromIterator<Guard> for GuardSet {
    fn from_iter<I: IntoIterator<Item = Guard>>(guards: I) -> GuardSet {
        let mut set = Vec::new();
        for guard in guards {
            if !set.contains(&guard) {
                set.push(guard);
            }
        }
        GuardSet(set)
    }
}

impl GuardSet {
    /// The guards; the oldest hold of the first time comes first.
    pub(crate) fn as_slice(&self) -> &[Guard] {
        &self.0
    }

    /// Keeps what guards in `other`, too.
    pub(crate) fn narrow(&mut self, other: &GuardSet) {
        self.0.retain(|guard| other.0.contains(guard));
    }

    /// A guard that is in every set.
    pub(crate) fn common<'a>(mut sets: impl Iterator<Item = &'a GuardSet>) -> Option<Guard> {
        let mut common = sets.next()?.clone();
        for set in sets {
            common.narrow(set);
        }
        common.0.first().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(classes: &[u64]) -> GuardSet {
        let guard = |class: &u64| Guard {
            node: NodeKey {
                class: *class,
                subclass: 0,
            },
            origin: Origin::Instance,
        };
        classes.iter().map(guard).collect()
    }

    #[test]
    fn what_is_common_is_in_every_set() {
        let common = |sets: &[&[u64]]| {
            let sets: Vec<_> = sets.iter().map(|classes| set(classes)).collect();
            GuardSet::common(sets.iter()).map(|guard| guard.node.class)
        };
        assert_eq!(common(&[&[1, 2, 3], &[3, 2], &[4, 3]]), Some(3));
        assert_eq!(common(&[&[1, 2], &[2, 1]]), Some(1));
        assert_eq!(common(&[&[1], &[2]]), None);
        assert_eq!(common(&[&[1], &[1], &[]]), None);
        assert_eq!(common(&[]), None);
    }

    #[test]
    fn a_set_only_shrinks() {
        let mut guards = set(&[1, 1, 2]);
        assert_eq!(guards, set(&[1, 2]));
        guards.narrow(&set(&[2, 3]));
        assert_eq!(guards, set(&[2]));
    }
}
