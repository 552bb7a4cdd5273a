//! Reports: what the validator found, as plain data.

use std::fmt;
use std::panic::Location;

use rustc_hash::{FxHashMap, FxHashSet};

use crate::backtrace;
use crate::block::Owner;
use crate::class::{ClassName, NodeKey, Origin};
use crate::closed_walk::{LabelledEdge, on_closed_walks};
use crate::dot::Graph;
use crate::graph::{DependencyGraph, Node, Provenance};
use crate::held::Held;
use crate::mode::{Attempt, Mode};
use crate::search::Step;

/// What kind of bug a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub enum ReportKind {
    /// The acquisition closes a cycle of dependencies that can deadlock.
    CircularDependency,
    /// The thread already holds a lock of this class in a way that can block
    /// the acquisition.
    RecursiveLocking,
    /// A wait that is longer than the section it happens in allows.
    InvalidWaitContext,
    /// A `force_release` of a lock that is not held, or a release through another lock.
    BadUnlock,
    /// A lock was dropped while it was held.
    HeldLockFreed,
    /// An assertion about held locks does not hold.
    AssertionFailed,
    /// A thread ended while it held a lock whose guard cannot be elsewhere. A
    /// guard in a thread-local variable is reported too when the validator's own
    /// thread-local variable happens to be dropped first, although it is
    /// released after that.
    HeldAtThreadExit,
}

impl ReportKind {
    /// One line that says what was found.
    pub(crate) const fn headline(self) -> &'static str {
        match self {
            ReportKind::CircularDependency => "possible deadlock: circular lock dependency",
            ReportKind::RecursiveLocking => "possible deadlock: recursive locking",
            ReportKind::InvalidWaitContext => "invalid wait context",
            ReportKind::BadUnlock => "bad unlock",
            ReportKind::HeldLockFreed => "held lock freed",
            ReportKind::AssertionFailed => "lock assertion failed",
            ReportKind::HeldAtThreadExit => "lock held at thread exit",
        }
    }

    pub(crate) const fn name(self) -> &'static str {
        match self {
            ReportKind::CircularDependency => "CircularDependency",
            ReportKind::RecursiveLocking => "RecursiveLocking",
            ReportKind::InvalidWaitContext => "InvalidWaitContext",
            ReportKind::BadUnlock => "BadUnlock",
            ReportKind::HeldLockFreed => "HeldLockFreed",
            ReportKind::AssertionFailed => "AssertionFailed",
            ReportKind::HeldAtThreadExit => "HeldAtThreadExit",
        }
    }
}

/// A place in the source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub struct SourceLocation {
    /// The file, as the compiler names it.
    pub file: &'static str,
    /// The line, from 1.
    pub line: u32,
    /// The column, from 1.
    pub column: u32,
}

impl From<&Location<'static>> for SourceLocation {
    fn from(location: &Location<'static>) -> SourceLocation {
        SourceLocation {
            file: location.file(),
            line: location.line(),
            column: location.column(),
        }
    }
}

impl fmt::Display for SourceLocation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

/// As `file:line:column`.
#[cfg(feature = "serde")]
impl serde::Serialize for SourceLocation {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// One lock that a thread holds.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct HeldInfo {
    /// The name of its class.
    pub class: String,
    /// How it is held.
    pub mode: Mode,
    /// How it was acquired.
    pub attempt: Attempt,
    /// Where it was acquired.
    pub location: SourceLocation,
    /// The address of its map when it was acquired.
    pub address: usize,
}

impl fmt::Display for HeldInfo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}), at {}", self.class, self.mode, self.location)
    }
}

/// One acquisition: what was wanted, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Acquisition {
    /// The name of the lock's class.
    pub class: String,
    /// The wanted mode.
    pub mode: Mode,
    /// The thread holds the lock upgradably and wants it exclusively.
    pub upgrade: bool,
    /// Whether it waits.
    pub attempt: Attempt,
    /// Where.
    pub location: SourceLocation,
    /// The address of the lock's map.
    pub address: usize,
}

impl fmt::Display for Acquisition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let upgrade = if self.upgrade { "upgrade to " } else { "" };
        let (class, mode, at) = (&self.class, self.mode, &self.location);
        write!(f, "{class} ({upgrade}{mode}), at {at}")
    }
}

/// One edge of the dependency graph: while `held` was held, `wanted` was
/// waited for.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Dependency {
    /// The class that was held.
    pub held: String,
    /// How it was held.
    pub held_mode: Mode,
    /// Where it had been acquired.
    pub held_at: SourceLocation,
    /// The class that was waited for.
    pub wanted: String,
    /// The mode it was wanted in.
    pub wanted_mode: Mode,
    /// It was held upgradably already, and wanted exclusively.
    pub upgrade: bool,
    /// The wait was bounded by a timeout.
    pub timed: bool,
    /// Where it was waited for.
    pub wanted_at: SourceLocation,
    /// The thread that was first seen doing it.
    pub thread: String,
    /// The calls that led to the wait, when `LOCKDEP_BACKTRACE=1`.
    pub backtrace: Option<String>,
}

/// Something the validator found.
///
/// Plain data; [`Display`](fmt::Display) is the splat, in the order of the
/// kernel's lockdep.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Report {
    /// What kind of bug it is.
    pub kind: ReportKind,
    /// The thread that ran into it.
    pub thread: String,
    /// Where it was noticed.
    pub location: SourceLocation,
    /// What is wrong, in one sentence.
    pub detail: String,
    /// The acquisition that was reported, if it is about one.
    pub acquisition: Option<Acquisition>,
    /// The hold of this thread that it conflicts with, if there is one.
    pub conflict: Option<HeldInfo>,
    /// The cycle, beginning with the new dependency; empty for other kinds.
    pub cycle: Vec<Dependency>,
    /// A deadlock would end by a timeout: a wait that is part of it is timed.
    pub recovers: bool,
    /// All locks that the thread holds, oldest first.
    pub held: Vec<HeldInfo>,
    /// The class of a lock that was held exclusively around every dependency of
    /// the cycle so far: as long as that holds, the cycle cannot deadlock.
    pub guard: Option<String>,
    /// The calls that led here, when `LOCKDEP_BACKTRACE=1`.
    pub backtrace: Option<String>,
}

impl Report {
    /// What kind of bug it is.
    #[must_use]
    pub fn kind(&self) -> ReportKind {
        self.kind
    }

    pub(crate) fn new(
        kind: ReportKind,
        owner: &Owner,
        site: &Location<'static>,
        detail: String,
    ) -> Report {
        Report {
            kind,
            thread: owner.name.to_string(),
            location: site.into(),
            detail,
            acquisition: None,
            conflict: None,
            cycle: Vec::new(),
            recovers: false,
            held: owner
                .held
                .iter()
                .map(|held| HeldInfo::from(&held))
                .collect(),
            guard: None,
            backtrace: backtrace::text(),
        }
    }
}

fn class_name(origin: Origin, node: NodeKey) -> String {
    ClassName { origin, node }.to_string()
}

impl From<&Held> for HeldInfo {
    fn from(held: &Held) -> HeldInfo {
        HeldInfo {
            class: class_name(held.origin, held.node),
            mode: held.mode,
            attempt: held.attempt,
            location: held.site.into(),
            address: held.address,
        }
    }
}

impl DependencyGraph {
    /// The edges of a found cycle, as data.
    pub(crate) fn describe(&self, cycle: &[Step]) -> Vec<Dependency> {
        let known = |step: &Step| {
            let from = self.node(step.from);
            let provenance = from.out.get(&step.to)?.provenance(step.label)?;
            Some(provenance.describe(from.name(), self.node(step.to).name()))
        };
        cycle.iter().filter_map(known).collect()
    }

    /// Nodes that are not implied by the list of classes: lone instances and
    /// subclasses.
    fn other_nodes(&self) -> impl Iterator<Item = &Node> {
        let alone = |node: &&Node| matches!(node.origin, Origin::Instance) || node.key.subclass > 0;
        self.nodes().filter(alone)
    }

    pub(crate) fn class_count(&self) -> usize {
        self.classes.len() + self.other_nodes().count()
    }

    /// The classes in use, each with a name that no other has.
    fn labels(&self) -> Vec<(NodeKey, String)> {
        let registered = self.classes.iter().map(|&(class, origin)| {
            let node = NodeKey { class, subclass: 0 };
            (node, class_name(origin, node))
        });
        let others = self.other_nodes().map(|node| (node.key, node.name()));
        let mut used = FxHashSet::default();
        let distinct = |(key, name): (NodeKey, String)| {
            let numbered = (2..).map(|number| format!("{name}#{number}"));
            let mut names = std::iter::once(name.clone()).chain(numbered);
            let label = names.find(|name| used.insert(name.clone()));
            (key, label.unwrap_or(name))
        };
        registered.chain(others).map(distinct).collect()
    }

    /// Everything, as data, in the order of the classes.
    pub(crate) fn snapshot(&self) -> Graph {
        let labels = self.labels();
        let numbers = labels.iter().zip(0..).map(|((key, _), at)| (*key, at));
        let numbers: FxHashMap<NodeKey, usize> = numbers.collect();
        let mut seen = Vec::new();
        for node in self.nodes() {
            for (to, edge) in &node.out {
                // Every node is a class in use and has a label.
                let ends = (numbers.get(&node.key), numbers.get(&self.node(*to).key));
                let (Some(&from), Some(&to)) = ends else {
                    continue;
                };
                seen.extend(edge.seen.iter().map(|(label, provenance)| {
                    let label = *label;
                    (LabelledEdge { from, to, label }, provenance)
                }));
            }
        }
        seen.sort_by_key(|(edge, _)| {
            let label = (edge.label.hold() as u8, edge.label.request() as u8);
            (edge.from, edge.to, label)
        });
        let (edges, provenances): (Vec<_>, Vec<_>) = seen.into_iter().unzip();
        let describe = |(edge, provenance): (&LabelledEdge, &Provenance)| {
            provenance.describe(labels[edge.from].1.clone(), labels[edge.to].1.clone())
        };
        let closed = on_closed_walks(labels.len(), &edges);
        Graph {
            dependencies: edges.iter().zip(provenances).map(describe).collect(),
            unsafe_dependencies: (0..edges.len()).filter(|at| closed[*at]).collect(),
            classes: labels.into_iter().map(|(_, label)| label).collect(),
        }
    }
}

impl Node {
    fn name(&self) -> String {
        class_name(self.origin, self.key)
    }
}

impl Provenance {
    pub(crate) fn describe(&self, held: String, wanted: String) -> Dependency {
        Dependency {
            held,
            held_mode: self.held_mode,
            held_at: self.held_at.into(),
            wanted,
            wanted_mode: self.wanted_mode,
            upgrade: self.upgrade,
            timed: self.timed,
            wanted_at: self.wanted_at.into(),
            thread: self.thread.to_string(),
            backtrace: None,
        }
    }
}
