//! Reports, of which there are none.

use alloc::string::String;
use alloc::vec::Vec;
use core::convert::Infallible;
use core::fmt;

use super::{Attempt, Mode};

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
    /// A `force_release` of a lock that is not held, or a release through another lock.
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

/// Defines a type of which there is no value, with the fields that code for the validator may look at.
macro_rules! never {
    ($(#[$doc:meta])* $name:ident { $($(#[$field_doc:meta])* $field:ident: $type:ty,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        #[non_exhaustive]
        pub struct $name {
            $($(#[$field_doc])* pub $field: $type,)*
            never: Infallible,
        }

        impl fmt::Display for $name {
            fn fmt(&self, _: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self.never {}
            }
        }
    };
}

never! {
    /// A place in the source.
    SourceLocation {
        /// The file, as the compiler names it.
        file: &'static str,
        /// The line, from 1.
        line: u32,
        /// The column, from 1.
        column: u32,
    }
}

never! {
    /// One lock that a thread holds.
    HeldInfo {
        /// The name of its class.
        class: String,
        /// How it is held.
        mode: Mode,
        /// How it was acquired.
        attempt: Attempt,
        /// Where it was acquired.
        location: SourceLocation,
        /// The address of its map.
        address: usize,
    }
}

never! {
    /// One acquisition: what was wanted, and where.
    Acquisition {
        /// The name of the lock's class.
        class: String,
        /// The wanted mode.
        mode: Mode,
        /// The thread holds the lock upgradably and wants it exclusively.
        upgrade: bool,
        /// Whether it waits.
        attempt: Attempt,
        /// Where.
        location: SourceLocation,
        /// The address of the lock's map.
        address: usize,
    }
}

never! {
    /// One edge of the dependency graph: while `held` was held, `wanted` was waited for.
    Dependency {
        /// The class that was held.
        held: String,
        /// How it was held.
        held_mode: Mode,
        /// Where it had been acquired.
        held_at: SourceLocation,
        /// The class that was waited for.
        wanted: String,
        /// The mode it was wanted in.
        wanted_mode: Mode,
        /// It was held upgradably already, and wanted exclusively.
        upgrade: bool,
        /// The wait was bounded by a timeout.
        timed: bool,
        /// Where it was waited for.
        wanted_at: SourceLocation,
        /// The thread that was first seen doing it.
        thread: String,
        /// The stack when it was first seen, if it was asked for.
        backtrace: Option<String>,
    }
}

never! {
    /// A report. Without the validator there is none.
    Report {
        /// What kind of bug it is.
        kind: ReportKind,
        /// The thread that ran into it.
        thread: String,
        /// Where it was noticed.
        location: SourceLocation,
        /// What is wrong, in one sentence.
        detail: String,
        /// The acquisition that was reported, if it is about one.
        acquisition: Option<Acquisition>,
        /// The hold of this thread that it conflicts with, if there is one.
        conflict: Option<HeldInfo>,
        /// The cycle, beginning with the new dependency.
        cycle: Vec<Dependency>,
        /// A deadlock would end by a timeout.
        recovers: bool,
        /// All locks that the thread holds, oldest first.
        held: Vec<HeldInfo>,
        /// The class of a lock that was held around every dependency of the cycle so far.
        guard: Option<String>,
        /// The stack of the acquisition, if it was asked for.
        backtrace: Option<String>,
    }
}

impl Report {
    /// What kind of bug it is.
    #[must_use]
    pub fn kind(&self) -> ReportKind {
        self.kind
    }

    /// As JSON.
    #[must_use]
    pub fn to_json(&self) -> String {
        match self.never {}
    }
}

/// The dependency graph: empty.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Graph {
    /// The names of the classes in use: none.
    pub classes: Vec<String>,
    /// The dependencies seen: none.
    pub dependencies: Vec<Dependency>,
    /// Which of them are part of a possible deadlock: none.
    pub unsafe_dependencies: Vec<usize>,
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

    /// As a picture: an empty one.
    #[must_use]
    pub fn to_svg(&self) -> String {
        String::from("<svg xmlns=\"http://www.w3.org/2000/svg\"/>\n")
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
    /// The most threads followed at the same time.
    pub threads: usize,
    /// How often a validation took the graph's lock.
    pub graph_lock_acquisitions: u64,
    /// How often new dependencies had to be searched from for cycles.
    pub searches: u64,
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
