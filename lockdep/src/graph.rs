//! The dependency graph: "while A was held, B was waited for", for all threads
//! and for all time.
//!
//! A node is a class with a subclass.
//!
//! Invariants: `index` maps exactly the keys of the nodes that are in use;
//! `b` is in `nodes[a].out` if and only if `a` is in `nodes[b].inbound`; no node
//! has an edge to itself; `order` has taken up every edge.

use std::backtrace::Backtrace;
use std::panic::Location;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use rustc_hash::{FxBuildHasher, FxHashMap, FxHashSet};

use crate::class::{NodeKey, Origin, Serial, first_wins, next_serial};
pub(crate) use crate::edge::{Edge, Provenance};
use crate::edge_cache::{self, EdgeKey};
use crate::guard_set::{Guard, GuardSet};
use crate::key::LockClassKey;
use crate::mode::Label;
use crate::mutation;
use crate::search::{Scratch, Step};
use crate::topological_order::{Adjacency, TopologicalOrder};

/// Index of a node; reused after the node's class is gone.
pub(crate) type NodeId = u32;

#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) key: NodeKey,
    pub(crate) origin: Origin,
    pub(crate) out: FxHashMap<NodeId, Edge>,
    inbound: FxHashSet<NodeId>,
    /// The reported cycles through this node, canonical (one class: recursion).
    /// Each is listed at all its nodes and goes with any of them.
    reported: FxHashSet<Arc<[NodeKey]>>,
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
    pub(crate) order: TopologicalOrder,
    cached: edge_cache::Writer,
    pub(crate) scratch: Scratch,
    pub(crate) edges: usize,
    pub(crate) acquisitions: u64,
    /// How often new edges had to be searched from.
    pub(crate) searches: u64,
}

impl Adjacency for Vec<Option<Node>> {
    fn successors(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let node = self[node as usize].iter();
        node.flat_map(|node| node.out.keys().copied())
    }

    fn predecessors(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
        let node = self[node as usize].iter();
        node.flat_map(|node| node.inbound.iter().copied())
    }
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

/// How many nodes there are, by the lower bits of their class.
fn nodes_near(class: Serial) -> &'static AtomicU32 {
    static NODES: [AtomicU32; 4096] = [const { AtomicU32::new(0) }; 4096];
    &NODES[class as usize % NODES.len()]
}

/// Whether the graph may have a node of this class: a lock for which it has
/// none, as most locks that are never nested, can be dropped without the graph's
/// lock. The caller drops the class's only lock.
pub(crate) fn may_know(class: Serial) -> bool {
    // Relaxed: who drops a lock has exclusive access to it, so every acquisition
    // that made a node of it happened before and is seen.
    nodes_near(class).load(Ordering::Relaxed) != 0
}

impl DependencyGraph {
    pub(crate) const fn new() -> DependencyGraph {
        DependencyGraph {
            nodes: Vec::new(),
            free: Vec::new(),
            index: FxHashMap::with_hasher(FxBuildHasher),
            classes: Vec::new(),
            sites: FxHashMap::with_hasher(FxBuildHasher),
            order: TopologicalOrder::new(),
            cached: edge_cache::Writer::new(),
            scratch: Scratch::new(),
            edges: 0,
            acquisitions: 0,
            searches: 0,
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
            reported: FxHashSet::default(),
        };
        // Relaxed: see `may_know`.
        nodes_near(key.class).fetch_add(1, Ordering::Relaxed);
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

    /// Records an edge; `true` when nothing with this label was known. Else what
    /// guarded it this time narrows its guard set.
    pub(crate) fn add_edge(
        &mut self,
        from: NodeId,
        to: NodeId,
        label: Label,
        guards: GuardSet,
        provenance: impl FnOnce(GuardSet) -> Provenance,
    ) -> bool {
        debug_assert_ne!(from, to, "an edge to itself is recursion, not order");
        let edge = self.node_mut(from).out.entry(to).or_default();
        if let Some(known) = edge.provenance_mut(label) {
            if !mutation::is_broken(mutation::GUARDS_NOT_NARROWED) {
                known.guards.narrow(&guards);
            }
            return false;
        }
        let first = edge.seen.is_empty();
        edge.seen.push((label, provenance(guards)));
        if first {
            self.node_mut(to).inbound.insert(from);
            self.edges += 1;
            self.order.add_edge(from, to, &self.nodes);
        }
        true
    }

    /// Lets other threads know of an edge whose cycles were searched for.
    pub(crate) fn cache(&mut self, step: Step) {
        let edge = EdgeKey {
            from: self.node(step.from).key,
            to: self.node(step.to).key,
            label: step.label,
        };
        let seen = self.provenance(step).map(|seen| seen.guards.clone());
        if let Some(guards) = seen {
            self.cached.insert(&edge_cache::CACHE, &edge, &guards);
        }
    }

    fn provenance(&self, step: Step) -> Option<&Provenance> {
        let edge = self.node(step.from).out.get(&step.to)?;
        edge.provenance(step.label)
    }

    /// The backtraces of a cycle's edges.
    pub(crate) fn backtraces(&self, cycle: &[Step]) -> Vec<Option<Arc<Backtrace>>> {
        let known = cycle.iter().filter_map(|step| self.provenance(*step));
        known.map(|seen| seen.backtrace.clone()).collect()
    }

    /// A guard of all edges between the classes of a cycle, whatever their labels:
    /// another label may close the same cycle.
    pub(crate) fn guard_of(&self, cycle: &[Step]) -> Option<Guard> {
        let edges = cycle
            .iter()
            .filter_map(|step| self.node(step.from).out.get(&step.to));
        let seen = edges.flat_map(|edge| &edge.seen);
        GuardSet::common(seen.map(|(_, seen)| &seen.guards))
    }

    /// Forgets the class of a lock that is gone: its nodes and their edges, and
    /// nothing else. No edges are drawn around it: an order that was only seen
    /// through this lock can no longer happen.
    ///
    /// Its serial never comes back, so neither do the cycles through it.
    pub(crate) fn remove_class(&mut self, class: Serial) {
        for subclass in 0..=crate::nested::MAX_SUBCLASS {
            let Some(id) = self.index.remove(&NodeKey { class, subclass }) else {
                continue;
            };
            let node = self.nodes[id as usize]
                .take()
                .expect("the index names nodes in use");
            self.order.remove(id);
            for to in node.out.keys() {
                self.node_mut(*to).inbound.remove(&id);
            }
            for from in &node.inbound {
                if !mutation::is_broken(mutation::REMOVAL_KEEPS_EDGES) {
                    self.node_mut(*from).out.remove(&id);
                }
            }
            for cycle in &node.reported {
                for key in cycle.iter() {
                    if let Some(other) = self.index.get(key).copied() {
                        self.node_mut(other).reported.remove(cycle);
                    }
                }
            }
            self.edges -= node.out.len() + node.inbound.len();
            self.free.push(id);
            // Relaxed: see `may_know`.
            nodes_near(class).fetch_sub(1, Ordering::Relaxed);
        }
    }

    /// Whether this canonical cycle was reported.
    pub(crate) fn is_reported(&self, cycle: &[NodeKey]) -> bool {
        let first = cycle.first().and_then(|key| self.index.get(key));
        first.is_some_and(|id| self.node(*id).reported.contains(cycle))
    }

    /// Notes that this canonical cycle, of nodes in use, is reported; `true`
    /// the first time.
    pub(crate) fn report(&mut self, cycle: &[NodeKey]) -> bool {
        if self.is_reported(cycle) && !mutation::is_broken(mutation::CYCLE_REPORTED_TWICE) {
            return false;
        }
        let cycle: Arc<[NodeKey]> = Arc::from(cycle);
        for key in cycle.iter() {
            if let Some(id) = self.index.get(key).copied() {
                self.node_mut(id).reported.insert(Arc::clone(&cycle));
            }
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::{HoldKind, Mode, Request};

    fn provenance(guards: GuardSet) -> Provenance {
        Provenance {
            held_mode: Mode::Exclusive,
            held_at: Location::caller(),
            wanted_mode: Mode::Exclusive,
            upgrade: false,
            timed: false,
            wanted_at: Location::caller(),
            thread: Arc::from("test"),
            backtrace: None,
            guards,
        }
    }

    #[test]
    fn removing_a_class_removes_its_edges_both_ways_and_contracts_nothing() {
        let mut graph = DependencyGraph::new();
        let add = |graph: &mut DependencyGraph, from, to| {
            let label = Label::new(HoldKind::Exclusive, Request::Any);
            graph.add_edge(from, to, label, GuardSet::default(), provenance)
        };
        let [a, b, c] =
            [1, 2, 3].map(|class| graph.node_of(NodeKey { class, subclass: 0 }, Origin::Instance));
        assert!(add(&mut graph, a, b));
        assert!(!add(&mut graph, a, b));
        assert!(add(&mut graph, b, c));
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

    #[test]
    fn a_reported_cycle_is_known_until_one_of_its_classes_goes() {
        let mut graph = DependencyGraph::new();
        let [a, b, c] = [1, 2, 3].map(|class| NodeKey { class, subclass: 0 });
        let ids = [a, b, c].map(|key| graph.node_of(key, Origin::Instance));
        assert!(graph.report(&[a, b]));
        assert!(!graph.report(&[a, b]));
        assert!(graph.report(&[a, c]) && graph.report(&[a]));
        assert!(graph.is_reported(&[a, c]) && !graph.is_reported(&[b, c]));
        graph.remove_class(b.class);
        let left = graph.node(ids[0]).reported.len();
        assert_eq!(left, 2, "the cycles without it stay");
        graph.remove_class(a.class);
        assert!(graph.node(ids[2]).reported.is_empty());
    }
}
