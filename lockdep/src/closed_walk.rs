//! Which of many dependencies are part of a possible deadlock.

use crate::mode::{Label, Request};

/// An edge between two classes, by their indices.
#[derive(Clone, Copy, Debug)]
pub(crate) struct LabelledEdge {
    pub(crate) from: usize,
    pub(crate) to: usize,
    pub(crate) label: Label,
}

/// For each edge: whether it lies on a closed walk at every joint of which the
/// hold can block the request.
///
/// Such a walk is a cycle of edges, each of which the next one can block; so the
/// edge is in a strongly connected component with others. The components are
/// those of the states (class, request) that [`search`](crate::search) goes
/// through, by the algorithm of Kosaraju and Sharir.
pub(crate) fn on_closed_walks(classes: usize, edges: &[LabelledEdge]) -> Vec<bool> {
    let states = classes * Request::COUNT;
    let mut from_class = vec![Vec::new(); classes];
    for edge in edges {
        from_class[edge.from].push(edge);
    }
    let mut out = vec![Vec::new(); states];
    let mut inbound = vec![Vec::new(); states];
    for (here, out) in out.iter_mut().enumerate() {
        let request = Request::from_bits((here % Request::COUNT) as u8);
        for edge in &from_class[here / Request::COUNT] {
            if request.blocked_by(edge.label.hold()) {
                let there = reached(edge);
                out.push(there);
                inbound[there].push(here);
            }
        }
    }
    let order = finished(&out, 0..states, &mut vec![false; states]);
    let mut component = vec![0; states];
    let mut done = vec![false; states];
    for (number, root) in order.into_iter().rev().enumerate() {
        for state in finished(&inbound, std::iter::once(root), &mut done) {
            component[state] = number;
        }
    }
    let closed = |edge: &LabelledEdge| {
        let there = reached(edge);
        (0..Request::COUNT).any(|bits| {
            Request::from_bits(bits as u8).blocked_by(edge.label.hold())
                && component[edge.from * Request::COUNT + bits] == component[there]
        })
    };
    edges.iter().map(closed).collect()
}

/// The state that an edge leads to.
fn reached(edge: &LabelledEdge) -> usize {
    edge.to * Request::COUNT + edge.label.request() as usize
}

/// What a depth-first search from `roots` finds that is not `done` yet, in the
/// order in which it is done with it.
fn finished(
    out: &[Vec<usize>],
    roots: impl Iterator<Item = usize>,
    done: &mut [bool],
) -> Vec<usize> {
    let mut finished = Vec::new();
    for root in roots {
        if std::mem::replace(&mut done[root], true) {
            continue;
        }
        let mut path = vec![(root, 0)];
        while let Some((at, next)) = path.last_mut() {
            match out[*at].get(*next) {
                None => {
                    finished.push(*at);
                    path.pop();
                }
                Some(&to) => {
                    *next += 1;
                    if !std::mem::replace(&mut done[to], true) {
                        path.push((to, 0));
                    }
                }
            }
        }
    }
    finished
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::mode::HoldKind::{self, Exclusive, Shared};
    use crate::mode::Request::{Any, PastReaders};

    fn closed(edges: &[(usize, usize, HoldKind, Request)]) -> Vec<bool> {
        let edge = |&(from, to, hold, request)| LabelledEdge {
            from,
            to,
            label: Label::new(hold, request),
        };
        let edges: Vec<_> = edges.iter().map(edge).collect();
        on_closed_walks(8, &edges)
    }

    #[test]
    fn what_leads_to_a_cycle_or_away_from_it_is_not_part_of_it() {
        let edges = [(0, 1), (1, 2), (2, 1), (2, 3), (3, 4)];
        let edges = edges.map(|(from, to)| (from, to, Exclusive, Any));
        assert_eq!(closed(&edges), [false, true, true, false, false]);
    }

    #[test]
    fn a_cycle_that_recursive_readers_open_is_none() {
        let edges = [(0, 1, Exclusive, PastReaders), (1, 0, Shared, Any)];
        assert_eq!(closed(&edges), [false, false]);
        // The same classes also by holds that block: only those edges count.
        let edges = [
            (0, 1, Exclusive, PastReaders),
            (1, 0, Shared, Any),
            (0, 1, Exclusive, Any),
        ];
        assert_eq!(closed(&edges), [false, true, true]);
    }
}
