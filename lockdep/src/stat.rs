//! Counts of the validator itself.

use crate::{block, graph, thread};

/// How much the validator knows and what it did, process-wide.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Classes in use: those by key and by site that were ever acquired, and
    /// lone locks that have a dependency or were reported.
    pub classes: usize,
    /// Pairs of classes with a dependency, in one direction.
    pub dependencies: usize,
    /// The most threads that were followed at the same time; what is kept for
    /// each is used again by later ones.
    pub threads: usize,
    /// How often a validation took the graph's lock; in steady state, never.
    pub graph_lock_acquisitions: u64,
    /// How often new dependencies had to be searched from for cycles; never as
    /// long as all locks are taken in one order.
    pub searches: u64,
}

/// The counts as they are now.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "parking_lot")] {
/// let lock = lockdep::Mutex::new(1);
/// drop(lock.lock());
/// let before = lockdep::stats().graph_lock_acquisitions;
/// drop(lock.lock());
/// assert_eq!(lockdep::stats().graph_lock_acquisitions, before);
/// # }
/// ```
#[must_use]
pub fn stats() -> Stats {
    thread::untracked(|| {
        let graph = graph::peek();
        Stats {
            classes: graph.class_count(),
            dependencies: graph.edges,
            threads: block::all().count(),
            graph_lock_acquisitions: graph.acquisitions,
            searches: graph.searches,
        }
    })
}
