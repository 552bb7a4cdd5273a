//! The dependency graph: "while A was held, B was waited for", for all threads
//! and for all time.
//!
//! A node is a class with a subclass. An edge keeps one provenance for each
//! [`Label`], that is for each combination of how the earlier lock was held and
//! what could block the later request; the first occurrence is the one kept.
//!
//! Invariants: `index` maps exactly the keys of the nodes that are in use;
//! `b` is in `nodes[a].out` if and only if `a` is in `nodes[b].inbound`; no node
//! has an edge to itself.

use std::panic::Location;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use crate::class::{NodeKey, Origin, Serial, first_wins, next_serial};
use crate::key::LockClassKey;
use crate::mode::{Label, Mode};
use crate::search::Scratch;

/// Index of a node; reused after the node's class is gone.
pub(crate) type NodeId = u32;

/// Where and how an edge was first seen.
#[derive(Clone, Debug)]
pub(crate) struct Provenance {
    pub(crate) held_mode: Mode,
    pub(crate) held_at: &'static Location<'static>,
    pub(crate) wanted_mode: Mode,
    pub(crate) upgrade: bool,
    pub(crate) timed: bool,
    pub(crate) wanted_at: &'static Location<'static>,
    pub(crate) thread: Arc<str>,
}

#[derive(Debug, Default)]
pub(crate) struct Edge {
    pub(crate) seen: Vec<(Label, Provenance)>,
}

impl Edge {
    pub(crate) fn provenance(&self, label: Label) -> Option<&Provenance> {
        let (_, provenance) = self.seen.iter().find(|(seen, _)| *seen == label)?;
        Some(provenance)
    }
}

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: NodeKey,
    pub(crate) origin: Origin,
    pub(crate) out: FxHashMap<NodeId, Edge>,
    inbound: FxHashSet<NodeId>,
}

#[derive(Debug)]
pub(crate) struct DependencyGraph {
    /// `None` is a free slot, listed in `free`.
    nodes: Vec<Option<Node>>,
    free: Vec<NodeId>,
    index: FxHashMap<NodeKey, NodeId>,
    /// Classes by key or site; they stay. Lone instances are not listed.
    pub(crate) classes: Vec<(Serial, Origin)>,
    /// Creation sites by value: one line may have several `Location`s.
    sites: FxHashMap<(&'static str, u32, u32), Serial>,
    /// What was reported, as canonical class cycles (one class: recursion).
    pub(crate) reported: FxHashSet<Box<[NodeKey]>>,
    /// Reported wait-context violations: the section's class, and the place of
    /// the wait.
    pub(crate) reported_waits: FxHashSet<(NodeKey, &'static Location<'static>)>,
    pub(crate) scratch: Scratch,
    pub(crate) edges: usize,
    pub(crate) acquisitions: u64,
}

static GRAPH: Mutex<DependencyGraph> = Mutex::new(DependencyGraph::new());

pub(crate) type GraphGuard = MutexGuard<'static, DependencyGraph>;

/// The graph, to validate with: counted in [`Stats`](crate::Stats).
pub(crate) fn lock() -> GraphGuard {
    let mut graph = peek();
    graph.acquisitions += 1;
    graph
}

/// The graph, to look at.
pub(crate) fn peek() -> GraphGuard {
    // A panic under this lock can only be ours; the graph is still the best
    // knowledge there is.
    GRAPH.lock().unwrap_or_else(PoisonError::into_inner)
}

impl DependencyGraph {
    pub(crate) const fn new() -> DependencyGraph {
        DependencyGraph {
            nodes: Vec::new(),
            free: Vec::new(),
            index: FxHashMap::with_hasher(FxBuildHasher),
            classes: Vec::new(),
            sites: FxHashMap::with_hasher(FxBuildHasher),
            reported: FxHashSet::with_hasher(FxBuildHasher),
            reported_waits: FxHashSet::with_hasher(FxBuildHasher),
            scratch: Scratch::new(),
            edges: 0,
            acquisitions: 0,
        }
    }

    /// The serial of the class of `key`.
    pub(crate) fn register_key(&mut self, key: &'static LockClassKey) -> Serial {
        let mine = next_serial();
        let serial = first_wins(&key.serial, mine);
        if serial == mine {
            self.classes.push((serial, Origin::Key(key)));
        }
        serial
    }

    /// The serial of the class of all locks created at `site`.
    pub(crate) fn register_site(&mut self, site: &'static Location<'static>) -> Serial {
        let place = (site.file(), site.line(), site.column());
        if let Some(serial) = self.sites.get(&place) {
            return *serial;
        }
        let serial = next_serial();
        self.sites.insert(place, serial);
        self.classes.push((serial, Origin::Site(site)));
        serial
    }

    pub(crate) fn node(&self, id: NodeId) -> &Node {
        self.nodes[id as usize]
            .as_ref()
            .expect("an edge leads to a node in use")
    }

    fn node_mut(&mut self, id: NodeId) -> &mut Node {
        self.nodes[id as usize]
            .as_mut()
            .expect("an edge leads to a node in use")
    }

    /// The nodes in use.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.iter().flatten()
    }

    /// Number of node slots, in use or not.
    pub(crate) fn slots(&self) -> usize {
        self.nodes.len()
    }

    pub(crate) fn node_of(&mut self, key: NodeKey, origin: Origin) -> NodeId {
        if let Some(id) = self.index.get(&key) {
            return *id;
        }
        let node = Node {
            key,
            origin,
            out: FxHashMap::default(),
            inbound: FxHashSet::default(),
        };
        let id = match self.free.pop() {
            Some(id) => id,
            None => {
                self.nodes.push(None);
                NodeId::try_from(self.nodes.len() - 1).expect("2^32 lock classes in use")
            }
        };
        self.nodes[id as usize] = Some(node);
        self.index.insert(key, id);
        id
    }

    /// Records an edge; `true` when nothing with this label was known.
    pub(crate) fn add_edge(
        &mut self,
        from: NodeId,
        to: NodeId,
        label: Label,
        provenance: impl FnOnce() -> Provenance,
    ) -> bool {
        debug_assert_ne!(from, to, "an edge to itself is recursion, not order");
        let edge = self.node_mut(from).out.entry(to).or_default();
        if edge.provenance(label).is_some() {
            return false;
        }
        let first = edge.seen.is_empty();
        edge.seen.push((label, provenance()));
        if first {
            self.node_mut(to).inbound.insert(from);
            self.edges += 1;
        }
        true
    }

    /// Forgets the class of a lock that is gone: its nodes and their edges, and
    /// nothing else. No edges are drawn around it: an order that was only seen
    /// through this lock can no longer happen.
    pub(crate) fn remove_class(&mut self, class: Serial) {
        let mut found = false;
        for subclass in 0..=crate::nested::MAX_SUBCLASS {
            let Some(id) = self.index.remove(&NodeKey { class, subclass }) else {
                continue;
            };
            found = true;
            let node = self.nodes[id as usize]
                .take()
                .expect("the index names nodes in use");
            for to in node.out.keys() {
                self.node_mut(*to).inbound.remove(&id);
            }
            for from in &node.inbound {
                self.node_mut(*from).out.remove(&id);
            }
            self.edges -= node.out.len() + node.inbound.len();
            self.free.push(id);
        }
        if found {
            // Its serial never comes back, so neither does its cycle.
            self.reported
                .retain(|cycle| cycle.iter().all(|node| node.class != class));
        }
        self.reported_waits
            .retain(|(section, _)| section.class != class);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::{HoldKind, Request};

    fn provenance() -> Provenance {
        Provenance {
            held_mode: Mode::Exclusive,
            held_at: Location::caller(),
            wanted_mode: Mode::Exclusive,
            upgrade: false,
            timed: false,
            wanted_at: Location::caller(),
            thread: Arc::from("test"),
        }
    }

    #[test]
    fn removing_a_class_removes_its_edges_both_ways_and_contracts_nothing() {
        let mut graph = DependencyGraph::new();
        let label = Label::new(HoldKind::Exclusive, Request::Any);
        let [a, b, c] =
            [1, 2, 3].map(|class| graph.node_of(NodeKey { class, subclass: 0 }, Origin::Instance));
        assert!(graph.add_edge(a, b, label, provenance));
        assert!(!graph.add_edge(a, b, label, provenance));
        assert!(graph.add_edge(b, c, label, provenance));
        assert_eq!(graph.edges, 2);
        graph.remove_class(2);
        assert_eq!(graph.edges, 0);
        assert!(graph.node(a).out.is_empty());
        assert!(graph.node(c).inbound.is_empty());
        assert_eq!(graph.nodes().count(), 2);
        // The slot is used again, for another class and without its edges.
        let d = graph.node_of(
            NodeKey {
                class: 4,
                subclass: 0,
            },
            Origin::Instance,
        );
        assert_eq!(d, b);
        assert!(graph.node(d).out.is_empty() && graph.node(d).inbound.is_empty());
    }
}
