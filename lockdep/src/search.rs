//! The search for a cycle that can deadlock.
//!
//! A closed walk of edges is a deadlock only if at *every joint* the hold can
//! block the request: some thread waits for the class (the edge that comes in),
//! another holds it (the edge that goes out) in a way that makes the first wait.
//!
//! Most new edges cannot close any cycle, which the topological order knows: then
//! there is no search.
//!
//! The search is breadth-first over pairs (class, what can block the request
//! that led here). Visiting each class only once, as the kernel's
//! `__bfs` does, lets a path that ends in a weak request hide one that ends in a
//! strong request to the same class, and misses deadlocks.
//!
//! Source of the joint rule: "Recursive read locks" in
//! `Documentation/locking/lockdep-design.rst` of the Linux kernel, where it is
//! the notion of a strong path.

use crate::class::NodeKey;
use crate::graph::{DependencyGraph, NodeId};
use crate::mode::{HoldKind, Label, Request};
use crate::mutation;

/// One edge of a walk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Step {
    pub(crate) from: NodeId,
    pub(crate) to: NodeId,
    pub(crate) label: Label,
}

/// Working memory of the search, kept between searches. A state is
/// `node * Request::COUNT + request`.
#[derive(Debug)]
pub(crate) struct Scratch {
    /// State `s` was reached in this search if `stamp[s] == now`.
    stamp: Vec<u32>,
    now: u32,
    /// The step that reached the state, and the state before it.
    reached_by: Vec<(Step, usize)>,
    queue: Vec<usize>,
}

impl Scratch {
    pub(crate) const fn new() -> Scratch {
        Scratch {
            stamp: Vec::new(),
            now: 0,
            reached_by: Vec::new(),
            queue: Vec::new(),
        }
    }

    fn start(&mut self, slots: usize) {
        if self.now == u32::MAX {
            self.stamp.clear();
            self.now = 0;
        }
        self.now += 1;
        self.queue.clear();
        let states = slots * Request::COUNT;
        if self.stamp.len() < states {
            let unused = Step {
                from: 0,
                to: 0,
                label: Label::new(HoldKind::Shared, Request::Any),
            };
            self.stamp.resize(states, 0);
            self.reached_by.resize(states, (unused, 0));
        }
    }

    /// Whether the state was reached in this search.
    fn reached(&self, state: usize) -> bool {
        if mutation::is_broken(mutation::SINGLE_VISIT) {
            let first = state - state % Request::COUNT;
            return self.stamp[first..][..Request::COUNT].contains(&self.now);
        }
        self.stamp[state] == self.now
    }
}

/// Bounds of the search for a second cycle; see [`DependencyGraph::simple_cycle`].
const BUDGET: usize = 100_000;
const LONGEST: usize = 256;

const REQUESTS: [Request; Request::COUNT] = [
    Request::Any,
    Request::PastReaders,
    Request::PastSharers,
    Request::Upgrade,
];
const HOLDS: [HoldKind; 3] = [HoldKind::Shared, HoldKind::Upgradable, HoldKind::Exclusive];

const fn state(node: NodeId, request: Request) -> usize {
    node as usize * Request::COUNT + request as usize
}

impl DependencyGraph {
    /// Explores what waits, possibly over others, for a holder of what the edges,
    /// which lead to the same request, were requested for; until a walk back to the
    /// source of each edge is found.
    fn explore(&mut self, edges: &[Step]) {
        self.searches += 1;
        let mut open = edges.to_vec();
        let highest = self.order.highest_on_walks_to(edges);
        let mut scratch = std::mem::replace(&mut self.scratch, Scratch::new());
        scratch.start(self.slots());
        let start = state(edges[0].to, edges[0].label.request());
        scratch.stamp[start] = scratch.now;
        scratch.queue.push(start);
        let mut next = 0;
        while let Some(&here) = scratch.queue.get(next) {
            next += 1;
            let from = (here / Request::COUNT) as NodeId;
            let incoming = Request::from_bits((here % Request::COUNT) as u8);
            open.retain(|edge| from != edge.from || !incoming.blocked_by(edge.label.hold()));
            if open.is_empty() {
                break;
            }
            for (&to, edge) in &self.node(from).out {
                if self.order.number(to) > highest {
                    continue;
                }
                for &(label, _) in &edge.seen {
                    let joins = incoming.blocked_by(label.hold());
                    if !joins && !mutation::is_broken(mutation::JOINT_IGNORED) {
                        continue;
                    }
                    let there = state(to, label.request());
                    if !scratch.reached(there) {
                        scratch.stamp[there] = scratch.now;
                        scratch.reached_by[there] = (Step { from, to, label }, here);
                        scratch.queue.push(there);
                    }
                }
            }
        }
        self.scratch = scratch;
    }

    /// For each of the new edges, all of which lead to the same request: a class
    /// cycle through it that can deadlock and was not reported before; preferably
    /// one that was not possible before. What is returned counts as reported.
    pub(crate) fn new_cycles(&mut self, edges: &[Step]) -> Vec<Vec<Step>> {
        let inverted = mutation::is_broken(mutation::FILTER_INVERTED);
        let may_close = |edge: &&Step| self.order.may_close_cycle(edge.from, edge.to) != inverted;
        let suspects: Vec<_> = edges.iter().filter(may_close).copied().collect();
        if suspects.is_empty() {
            return Vec::new();
        }
        self.explore(&suspects);
        let walks: Vec<_> = suspects
            .iter()
            .filter_map(|edge| self.walk(*edge))
            .collect();
        let mut found = Vec::new();
        for walk in walks {
            let edge = walk[0];
            let mut cycle = reduce(walk);
            let made_by_edge = cycle.contains(&edge)
                && is_simple(&cycle)
                && !self.is_reported(&self.canonical(&cycle))
                && !self.possible_without(&cycle, edges);
            if !made_by_edge
                && !self.implied(edge, edges)
                && let Some(longer) = self.simple_cycle(edges, edge)
            {
                cycle = longer;
            }
            let canonical = self.canonical(&cycle);
            if self.report(&canonical) {
                found.push(cycle);
            }
        }
        found
    }

    /// Whether an older label of the same edge makes every cycle possible that
    /// `edge`, which is one of `new`, does.
    fn implied(&self, edge: Step, new: &[Step]) -> bool {
        let stronger = |label: Label| {
            let blocks = |label: Label, request: Request| request.blocked_by(label.hold());
            let waits = |label: Label, hold: HoldKind| label.request().blocked_by(hold);
            REQUESTS
                .iter()
                .all(|&r| blocks(label, r) || !blocks(edge.label, r))
                && HOLDS
                    .iter()
                    .all(|&h| waits(label, h) || !waits(edge.label, h))
        };
        let seen = self.node(edge.from).out.get(&edge.to);
        let labels = seen.into_iter().flat_map(|edge| &edge.seen);
        labels
            .map(|(label, _)| *label)
            .any(|label| stronger(label) && !new.contains(&Step { label, ..edge }))
    }

    /// The shortest closed walk that begins with `edge`, after `explore` from
    /// the end of that edge.
    fn walk(&self, edge: Step) -> Option<Vec<Step>> {
        let scratch = &self.scratch;
        let start = state(edge.to, edge.label.request());
        let mut last = scratch.queue.iter().copied().find(|reached| {
            let request = Request::from_bits((reached % Request::COUNT) as u8);
            reached / Request::COUNT == edge.from as usize && request.blocked_by(edge.label.hold())
        })?;
        let mut walk = Vec::new();
        while last != start {
            let (step, before) = scratch.reached_by[last];
            walk.push(step);
            last = before;
        }
        walk.push(edge);
        walk.reverse();
        Some(walk)
    }

    /// The classes of a cycle, beginning such that every rotation of the cycle
    /// gives the same list.
    fn canonical(&self, cycle: &[Step]) -> Box<[NodeKey]> {
        let keys: Vec<_> = cycle.iter().map(|step| self.node(step.from).key).collect();
        let rotation = |by: usize| keys[by..].iter().chain(&keys[..by]).copied();
        let least = (0..keys.len())
            .min_by(|a, b| rotation(*a).cmp(rotation(*b)))
            .unwrap_or(0);
        rotation(least).collect()
    }

    /// Whether the classes of `cycle` could deadlock in this order without any
    /// of the edges `new`.
    fn possible_without(&self, cycle: &[Step], new: &[Step]) -> bool {
        let labels = |step: &Step| {
            let (from, to) = (step.from, step.to);
            let edge = self.node(from).out.get(&to);
            let seen = edge.into_iter().flat_map(|edge| &edge.seen);
            let known = seen.map(move |(label, _)| Step {
                from,
                to,
                label: *label,
            });
            known
                .filter(|step| !new.contains(step))
                .map(|step| step.label)
        };
        labels(&cycle[0]).any(|first| {
            let mut requests = vec![first.request()];
            for step in &cycle[1..] {
                let joins = |label: &Label| requests.iter().any(|r| r.blocked_by(label.hold()));
                requests = labels(step).filter(joins).map(Label::request).collect();
            }
            requests.iter().any(|r| r.blocked_by(first.hold()))
        })
    }

    /// A cycle through `edge` that visits no class twice, was not reported, and
    /// was not possible before the edges `new`.
    ///
    /// Needed only when the shortest walk leads to a cycle that is no news:
    /// then a longer one may be. There can be exponentially many, so the search
    /// gives up after `BUDGET` steps, of which a cycle that it looks at costs as
    /// many as it has, and on cycles of more than `LONGEST` classes.
    fn simple_cycle(&self, new: &[Step], edge: Step) -> Option<Vec<Step>> {
        let mut budget = BUDGET;
        let mut path = vec![edge];
        self.extend(new, &mut path, &mut budget).then_some(path)
    }

    fn extend(&self, new: &[Step], path: &mut Vec<Step>, budget: &mut usize) -> bool {
        let (first, last) = (path[0], path[path.len() - 1]);
        if last.to == first.from {
            *budget = budget.saturating_sub(path.len());
            return last.label.request().blocked_by(first.label.hold())
                && !self.is_reported(&self.canonical(path))
                && !self.possible_without(path, new);
        }
        if path.len() >= LONGEST {
            return false;
        }
        for (&to, edge) in &self.node(last.to).out {
            if path.iter().skip(1).any(|step| step.from == to) || to == last.to {
                continue;
            }
            for &(label, _) in &edge.seen {
                if *budget == 0 {
                    return false;
                }
                *budget -= 1;
                if !last.label.request().blocked_by(label.hold()) {
                    continue;
                }
                path.push(Step {
                    from: last.to,
                    to,
                    label,
                });
                if self.extend(new, path, budget) {
                    return true;
                }
                path.pop();
            }
        }
        false
    }
}

/// Whether a cycle meets no class twice.
fn is_simple(cycle: &[Step]) -> bool {
    let met = |(at, step): (usize, &Step)| cycle[..at].iter().any(|other| other.from == step.from);
    !cycle.iter().enumerate().any(met)
}

/// Cuts detours off a closed walk: where it meets a class twice and one of the
/// two halves is closed by the joint rule, that half is enough. The half with
/// the new edge (the first) is preferred.
fn reduce(mut walk: Vec<Step>) -> Vec<Step> {
    let joint = |before: Step, after: Step| before.label.request().blocked_by(after.label.hold());
    'again: loop {
        for i in 0..walk.len() {
            for j in i + 1..walk.len() {
                if walk[i].from != walk[j].from {
                    continue;
                }
                let before_i = walk[(i + walk.len() - 1) % walk.len()];
                let outer = joint(before_i, walk[j]);
                let inner = joint(walk[j - 1], walk[i]);
                if inner && (i == 0 || !outer) {
                    walk = walk[i..j].to_vec();
                    continue 'again;
                }
                if outer {
                    walk.drain(i..j);
                    continue 'again;
                }
            }
        }
        return walk;
    }
}
