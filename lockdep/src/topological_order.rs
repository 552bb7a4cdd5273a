//! A topological order of the dependency graph, kept up edge by edge, that
//! answers "can this edge close a cycle?" without a search.
//!
//! Every node with an edge has a number. An edge *ascends* if the number of its
//! target is the greater one.
//!
//! Invariant: an edge that does not ascend is listed in `back`; an edge that
//! ascends keeps ascending until one of its nodes goes.
//!
//! A new edge that descends is made to ascend by moving the nodes between its
//! ends (`make_room`), unless its target reaches its source over ascending edges:
//! then it closes a cycle and is listed in `back`. `make_room` is the algorithm
//! of D. J. Pearce and P. H. J. Kelly, "A dynamic topological sort algorithm for
//! directed acyclic graphs", ACM Journal of Experimental Algorithmics 11 (2006).
//! It permutes numbers such that all edges which ascend still do: which of them
//! are thought of as the acyclic part makes no difference to its proof.
//!
//! Claim: if `u -> v` ascends, a walk from `v` to `u` exists only if some edge
//! `x -> y` in `back` has a source at or above `v`, and some one a target at or
//! below `u`. Proof: `u` is below `v`, so the walk does not only ascend. Up to
//! its first descending edge it ascends from `v`, so the source of that edge is
//! at or above `v`; from its last one it ascends to `u`, so the target of that
//! edge is at or below `u`. Both edges are in `back`.
//!
//! Labels are ignored here: fewer cycles can deadlock than there are cycles, so
//! "no cycle" is the stronger answer.

use crate::graph::NodeId;
use crate::search::Step;

/// The edges, as the order looks at them.
pub(crate) trait Adjacency {
    fn successors(&self, node: NodeId) -> impl Iterator<Item = NodeId>;
    fn predecessors(&self, node: NodeId) -> impl Iterator<Item = NodeId>;
}

#[derive(Debug)]
pub(crate) struct TopologicalOrder {
    /// By node; `UNPLACED` while the node has had no edge.
    numbers: Vec<i64>,
    lowest: i64,
    highest: i64,
    back: Vec<(NodeId, NodeId)>,
    /// Working memory of `make_room`, kept between calls; all `false`.
    marked: Vec<bool>,
    above: Vec<NodeId>,
    below: Vec<NodeId>,
}

const UNPLACED: i64 = 0;

impl TopologicalOrder {
    pub(crate) const fn new() -> TopologicalOrder {
        TopologicalOrder {
            numbers: Vec::new(),
            lowest: UNPLACED,
            highest: UNPLACED,
            back: Vec::new(),
            marked: Vec::new(),
            above: Vec::new(),
            below: Vec::new(),
        }
    }

    /// The number of a node that has an edge.
    pub(crate) fn number(&self, node: NodeId) -> i64 {
        self.numbers[node as usize]
    }

    /// Takes up a new edge; `edges` may have it already.
    pub(crate) fn add_edge(&mut self, from: NodeId, to: NodeId, edges: &impl Adjacency) {
        let slots = from.max(to) as usize + 1;
        if self.numbers.len() < slots {
            self.numbers.resize(slots, UNPLACED);
            self.marked.resize(slots, false);
        }
        // A first edge always ascends: its new end goes above or below all.
        if self.number(to) == UNPLACED {
            self.highest += 1;
            self.numbers[to as usize] = self.highest;
        }
        if self.number(from) == UNPLACED {
            self.lowest -= 1;
            self.numbers[from as usize] = self.lowest;
        }
        if self.number(from) > self.number(to) && !self.make_room(from, to, edges) {
            self.back.push((from, to));
        }
    }

    /// Forgets a node and its edges.
    pub(crate) fn remove(&mut self, node: NodeId) {
        if let Some(number) = self.numbers.get_mut(node as usize) {
            *number = UNPLACED;
            self.back.retain(|(from, to)| *from != node && *to != node);
        }
    }

    /// Whether this edge can be part of a cycle; `false` is certain.
    pub(crate) fn may_close_cycle(&mut self, from: NodeId, to: NodeId) -> bool {
        let numbers = &self.numbers;
        let number = |node: NodeId| numbers[node as usize];
        // Nodes moved since an edge was listed: it may ascend by now, and then
        // keeps to that.
        self.back.retain(|(x, y)| number(*x) > number(*y));
        let leaves = || self.back.iter().any(|(x, _)| number(*x) >= number(to));
        let arrives = || self.back.iter().any(|(_, y)| number(*y) <= number(from));
        number(from) > number(to) || leaves() && arrives()
    }

    /// No walk that ends at the source of one of these edges meets a greater number
    /// than this: it would have to descend from there, over an edge of `back`.
    pub(crate) fn highest_on_walks_to(&self, edges: &[Step]) -> i64 {
        let ends = edges.iter().map(|edge| edge.from);
        let sources = self.back.iter().map(|(from, _)| *from);
        let numbers = ends.chain(sources).map(|node| self.number(node));
        numbers.max().unwrap_or(self.highest)
    }

    /// Moves nodes such that `from -> to`, which descends, ascends; `false` if
    /// that cannot be.
    fn make_room(&mut self, from: NodeId, to: NodeId, edges: &impl Adjacency) -> bool {
        let possible = self.collect_above(from, to, edges);
        if possible {
            self.collect_below(from, to, edges);
            self.renumber();
        }
        for node in self.above.drain(..).chain(self.below.drain(..)) {
            self.marked[node as usize] = false;
        }
        possible
    }

    /// Collects what `to` reaches below `from`; `false` if that is `from` itself.
    fn collect_above(&mut self, from: NodeId, to: NodeId, edges: &impl Adjacency) -> bool {
        self.marked[to as usize] = true;
        self.above.push(to);
        let limit = self.number(from);
        let mut next = 0;
        while let Some(&node) = self.above.get(next) {
            next += 1;
            let here = self.number(node);
            for successor in edges.successors(node) {
                if successor == from {
                    return false;
                }
                let there = self.number(successor);
                let follow = here < there && there < limit;
                if follow && !std::mem::replace(&mut self.marked[successor as usize], true) {
                    self.above.push(successor);
                }
            }
        }
        true
    }

    /// Collects what reaches `from` from above `to`.
    fn collect_below(&mut self, from: NodeId, to: NodeId, edges: &impl Adjacency) {
        self.marked[from as usize] = true;
        self.below.push(from);
        let limit = self.number(to);
        let mut next = 0;
        while let Some(&node) = self.below.get(next) {
            next += 1;
            let here = self.number(node);
            for predecessor in edges.predecessors(node) {
                let there = self.number(predecessor);
                let follow = limit < there && there < here;
                if follow && !std::mem::replace(&mut self.marked[predecessor as usize], true) {
                    self.below.push(predecessor);
                }
            }
        }
    }

    /// Deals the numbers of all collected nodes out again: the lower ones to
    /// `below`, the others to `above`, each in the order they had.
    fn renumber(&mut self) {
        let numbers = &mut self.numbers;
        self.below
            .sort_unstable_by_key(|node| numbers[*node as usize]);
        self.above
            .sort_unstable_by_key(|node| numbers[*node as usize]);
        let nodes = || self.below.iter().chain(&self.above);
        let mut pool: Vec<i64> = nodes().map(|node| numbers[*node as usize]).collect();
        pool.sort_unstable();
        for (node, number) in nodes().zip(pool) {
            numbers[*node as usize] = number;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::{HoldKind, Label, Request};
    use proptest::prelude::*;

    /// Edges as pairs, nothing clever.
    #[derive(Default)]
    struct Pairs(Vec<(NodeId, NodeId)>);

    impl Adjacency for Pairs {
        fn successors(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
            let out = self.0.iter().filter(move |edge| edge.0 == node);
            out.map(|edge| edge.1)
        }

        fn predecessors(&self, node: NodeId) -> impl Iterator<Item = NodeId> {
            let inbound = self.0.iter().filter(move |edge| edge.1 == node);
            inbound.map(|edge| edge.0)
        }
    }

    impl Pairs {
        fn reaches(&self, from: NodeId, to: NodeId) -> bool {
            let mut seen = vec![from];
            let mut next = 0;
            while let Some(&node) = seen.get(next) {
                next += 1;
                for successor in self.successors(node) {
                    if !seen.contains(&successor) {
                        seen.push(successor);
                    }
                }
            }
            seen.contains(&to)
        }
    }

    const NODES: NodeId = 9;

    fn wait(from: NodeId, to: NodeId) -> Step {
        let label = Label::new(HoldKind::Exclusive, Request::Any);
        Step { from, to, label }
    }

    #[derive(Clone, Debug)]
    enum Change {
        Add(NodeId, NodeId),
        Remove(NodeId),
    }

    fn step() -> impl Strategy<Value = Change> {
        prop_oneof![
            8 => (0..NODES, 0..NODES).prop_map(|(from, to)| Change::Add(from, to)),
            1 => (0..NODES).prop_map(Change::Remove),
        ]
    }

    /// The order, and its own invariants.
    fn apply(order: &mut TopologicalOrder, edges: &mut Pairs, step: &Change) {
        match *step {
            Change::Add(from, to) if from == to || edges.0.contains(&(from, to)) => {}
            Change::Add(from, to) => {
                edges.0.push((from, to));
                order.add_edge(from, to, edges);
            }
            Change::Remove(node) => {
                edges.0.retain(|(from, to)| *from != node && *to != node);
                order.remove(node);
            }
        }
        for &(from, to) in &edges.0 {
            let ascends = order.number(from) < order.number(to);
            assert!(ascends || order.back.contains(&(from, to)));
        }
        assert!(order.back.iter().all(|edge| edges.0.contains(edge)));
        assert!(order.marked.iter().all(|marked| !marked));
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2000))]

        #[test]
        fn an_edge_on_a_cycle_is_never_called_safe(steps in prop::collection::vec(step(), 1..60)) {
            let (mut order, mut edges) = (TopologicalOrder::new(), Pairs::default());
            for step in &steps {
                apply(&mut order, &mut edges, step);
                for &(from, to) in &edges.0 {
                    if edges.reaches(to, from) {
                        prop_assert!(order.may_close_cycle(from, to), "{from} -> {to}");
                    }
                    let highest = order.highest_on_walks_to(&[wait(from, to)]);
                    for &(node, _) in &edges.0 {
                        let below = order.number(node) <= highest;
                        prop_assert!(below || !edges.reaches(node, from), "{node} ~> {from}");
                    }
                }
            }
        }

        #[test]
        fn without_a_cycle_every_edge_is_called_safe(steps in prop::collection::vec(step(), 1..60)) {
            let (mut order, mut edges) = (TopologicalOrder::new(), Pairs::default());
            for step in &steps {
                // Only what keeps the graph without cycles.
                if let Change::Add(from, to) = *step && edges.reaches(to, from) {
                    continue;
                }
                apply(&mut order, &mut edges, step);
                prop_assert!(order.back.is_empty());
                for &(from, to) in &edges.0 {
                    prop_assert!(!order.may_close_cycle(from, to), "{from} -> {to}");
                }
            }
        }
    }

    #[test]
    fn a_cycle_taken_apart_is_forgotten_with_its_back_edge() {
        let (mut order, mut edges) = (TopologicalOrder::new(), Pairs::default());
        for (from, to) in [(0, 1), (1, 2), (2, 0), (3, 4)] {
            apply(&mut order, &mut edges, &Change::Add(from, to));
        }
        assert!(order.may_close_cycle(2, 0) && order.may_close_cycle(0, 1));
        apply(&mut order, &mut edges, &Change::Remove(2));
        assert!(order.back.is_empty());
        assert!(!order.may_close_cycle(0, 1) && !order.may_close_cycle(3, 4));
    }
}
