//! Reports, of which there are none.

use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

/// What kind of bug a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportKind {
    /// The acquisition closes a cycle of dependencies that can deadlock.
    CircularDependency,
    /// The thread already holds a lock of this class in a way that can block the acquisition.
    RecursiveLocking,
    /// A wait that is longer than the section it happens in allows.
    InvalidWaitContext,
    /// A release of something that is not held, or of another lock's hold.
    BadUnlock,
    /// A lock was dropped while it was held.
    HeldLockFreed,
    /// An assertion about held locks does not hold.
    AssertionFailed,
    /// A thread ended while it held a lock whose guard cannot be elsewhere.
    HeldAtThreadExit,
}

/// What happens when something is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Policy {
    /// Tell subscribers and handler, and go on.
    Log,
    /// Panic with the report as the message.
    Panic,
    /// Abort the process.
    Abort,
}

/// A report. Without the validator no value of it exists.
#[derive(Clone, Debug)]
pub struct Report(Infallible);

impl Report {
    /// What kind of bug it is about.
    #[must_use]
    pub fn kind(&self) -> ReportKind {
        match self.0 {}
    }
}

impl fmt::Display for Report {
    fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {}
    }
}

/// One lock that a thread holds. Without the validator no value of it exists.
#[derive(Clone, Debug)]
pub struct HeldInfo(#[allow(dead_code, reason = "makes the type uninhabited")] Infallible);

/// The dependency graph: empty.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Graph {
    /// The names of the classes in use: none.
    pub classes: Vec<String>,
    /// The dependencies seen: none.
    pub dependencies: Vec<Infallible>,
}

impl Graph {
    /// In the language of Graphviz: an empty graph.
    #[must_use]
    pub fn to_dot(&self) -> String {
        String::from("digraph lockdep {\n}\n")
    }

    /// As JSON: an empty graph.
    #[must_use]
    pub fn to_json(&self) -> String {
        String::from("{\"classes\": [], \"dependencies\": []}\n")
    }
}

/// The validator's counts: all zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Classes in use.
    pub classes: usize,
    /// Pairs of classes with a dependency.
    pub dependencies: usize,
    /// How often a validation took the graph's lock.
    pub graph_lock_acquisitions: u64,
}

/// Would say what happens when something is reported.
#[inline(always)]
pub fn set_policy(policy: Policy) {
    let _ = policy;
}

/// Would be told of every report.
#[inline(always)]
pub fn on_report(handler: impl Fn(&Report) + Send + Sync + 'static) {
    let _ = handler;
}

/// Runs `f` and returns its result, and no reports.
#[inline(always)]
pub fn collect<R>(f: impl FnOnce() -> R) -> (R, Vec<Report>) {
    (f(), Vec::new())
}

/// The locks that this thread is known to hold: none.
#[inline(always)]
#[must_use]
pub fn held() -> Vec<HeldInfo> {
    Vec::new()
}

/// The dependency graph: empty.
#[must_use]
pub fn graph() -> Graph {
    Graph::default()
}

/// The validator's counts: all zero.
#[must_use]
pub fn stats() -> Stats {
    Stats::default()
}
