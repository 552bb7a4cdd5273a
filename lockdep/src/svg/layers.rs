//! Where the boxes and arrows of a layered drawing go.
//!
//! The method is that of Sugiyama, Tagawa and Toda ("Methods for Visual
//! Understanding of Hierarchical System Structures", 1981): turn arrows round
//! until there is no cycle, give each box a layer by the longest path to it, put
//! a bend on every layer that an arrow crosses, order each layer by the
//! barycenters of its neighbours, then choose coordinates.

mod order;
mod place;

/// The size of a box.
#[derive(Clone, Copy, Debug)]
pub(super) struct Size {
    pub(super) width: f64,
    pub(super) height: f64,
}

/// A place in the drawing; `y` grows downwards.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Point {
    pub(super) x: f64,
    pub(super) y: f64,
}

/// A drawing.
#[derive(Debug)]
pub(super) struct Layout {
    /// The centre of each box.
    pub(super) boxes: Vec<Point>,
    /// The points of each arrow, from its start to its tip. Between two points
    /// on one vertical line it is straight, else it is curved.
    pub(super) routes: Vec<Vec<Point>>,
    pub(super) size: Size,
}

/// A box or a bend, on its layer.
#[derive(Debug)]
struct Vertex {
    layer: usize,
    size: Size,
    /// Neighbours on the layer above and on the layer below.
    above: Vec<usize>,
    below: Vec<usize>,
    x: f64,
}

/// Boxes and bends by layer, each layer from left to right.
#[derive(Debug)]
struct Layers {
    /// The boxes first, then the bends.
    vertices: Vec<Vertex>,
    rows: Vec<Vec<usize>>,
    /// The vertices of each arrow from the higher to the lower end.
    chains: Vec<Vec<usize>>,
}

/// The room that an arrow takes where it passes between boxes.
const BEND: Size = Size {
    width: 2.0,
    height: 0.0,
};

/// Lays boxes out so that as many as possible of the `arrows` (from, to) point
/// downwards.
pub(super) fn layout(boxes: &[Size], arrows: &[(usize, usize)]) -> Layout {
    let upward = upward(boxes.len(), arrows);
    let down: Vec<_> = arrows
        .iter()
        .zip(&upward)
        .map(|(&(from, to), up)| if *up { (to, from) } else { (from, to) })
        .collect();
    let mut layers = Layers::new(boxes, &down);
    layers.sort();
    layers.place();
    layers.layout(boxes.len(), &upward)
}

/// The arrows that close a cycle: those that lead back to a box from which a
/// depth-first search is not yet done. It begins at the boxes without an arrow to
/// them, then goes in the order of the boxes.
fn upward(boxes: usize, arrows: &[(usize, usize)]) -> Vec<bool> {
    let mut out = vec![Vec::new(); boxes];
    let mut sources = vec![true; boxes];
    for (arrow, &(from, to)) in arrows.iter().enumerate() {
        out[from].push((arrow, to));
        sources[to] = false;
    }
    let mut upward = vec![false; arrows.len()];
    let (mut begun, mut done) = (vec![false; boxes], vec![false; boxes]);
    let (first, later): (Vec<_>, Vec<_>) = (0..boxes).partition(|at| sources[*at]);
    for root in first.into_iter().chain(later) {
        let mut path = vec![(root, 0)];
        while let Some((at, next)) = path.last_mut() {
            begun[*at] = true;
            let Some(&(arrow, to)) = out[*at].get(*next) else {
                done[*at] = true;
                path.pop();
                continue;
            };
            *next += 1;
            if !begun[to] {
                path.push((to, 0));
            } else if !done[to] {
                upward[arrow] = true;
            }
        }
    }
    upward
}

/// The layer of each box: below all that have an arrow to it, and no more than
/// `widest` boxes to a layer.
fn rank(boxes: usize, down: &[(usize, usize)], widest: usize) -> Vec<usize> {
    let mut out = vec![Vec::new(); boxes];
    let mut waits_for = vec![0_usize; boxes];
    for &(from, to) in down {
        out[from].push(to);
        waits_for[to] += 1;
    }
    let mut ready: std::collections::VecDeque<_> =
        (0..boxes).filter(|at| waits_for[*at] == 0).collect();
    let mut layer = vec![0; boxes];
    let mut filled: Vec<usize> = Vec::new();
    while let Some(at) = ready.pop_front() {
        while filled.get(layer[at]).is_some_and(|n| *n >= widest) {
            layer[at] += 1;
        }
        filled.resize(filled.len().max(layer[at] + 1), 0);
        filled[layer[at]] += 1;
        for &to in &out[at] {
            layer[to] = layer[to].max(layer[at] + 1);
            waits_for[to] -= 1;
            if waits_for[to] == 0 {
                ready.push_back(to);
            }
        }
    }
    layer
}

impl Layers {
    fn new(boxes: &[Size], down: &[(usize, usize)]) -> Layers {
        // About as many columns as rows, for boxes three times as wide as high.
        let widest = (boxes.len() as f64).sqrt().ceil().max(5.0) as usize;
        let vertex = |layer, size| Vertex {
            layer,
            size,
            above: Vec::new(),
            below: Vec::new(),
            x: 0.0,
        };
        let ranks = rank(boxes.len(), down, widest);
        let mut vertices: Vec<_> = ranks
            .iter()
            .zip(boxes)
            .map(|(layer, size)| vertex(*layer, *size))
            .collect();
        let mut chains = Vec::new();
        for &(from, to) in down {
            let mut chain = vec![from];
            for layer in ranks[from] + 1..ranks[to] {
                chain.push(vertices.len());
                vertices.push(vertex(layer, BEND));
            }
            chain.push(to);
            for pair in chain.windows(2) {
                vertices[pair[0]].below.push(pair[1]);
                vertices[pair[1]].above.push(pair[0]);
            }
            chains.push(chain);
        }
        let depth = ranks.iter().max().map_or(0, |deepest| deepest + 1);
        let mut rows = vec![Vec::new(); depth];
        for (at, vertex) in vertices.iter().enumerate() {
            rows[vertex.layer].push(at);
        }
        Layers {
            vertices,
            rows,
            chains,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOX: Size = Size {
        width: 80.0,
        height: 26.0,
    };

    #[test]
    fn one_arrow_of_a_cycle_points_upwards() {
        let arrows = [(0, 1), (1, 2), (2, 0), (0, 2)];
        assert_eq!(upward(3, &arrows), [false, false, true, false]);
    }

    #[test]
    fn boxes_of_a_layer_do_not_overlap_and_arrows_point_downwards() {
        let arrows: Vec<_> = (1..30).map(|to| (to / 3, to)).chain([(0, 29)]).collect();
        let drawn = layout(&[BOX; 30], &arrows);
        for (at, a) in drawn.boxes.iter().enumerate() {
            for b in &drawn.boxes[..at] {
                let apart = (a.x - b.x).abs() >= BOX.width || (a.y - b.y).abs() >= BOX.height;
                assert!(apart, "{a:?} {b:?}");
            }
        }
        for (route, (from, to)) in drawn.routes.iter().zip(arrows) {
            assert!(drawn.boxes[from].y < drawn.boxes[to].y);
            assert!(route.windows(2).all(|pair| pair[0].y <= pair[1].y));
        }
    }
}
