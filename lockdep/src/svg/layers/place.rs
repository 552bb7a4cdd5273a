//! The coordinates: short, straight arrows.

use super::{Layers, Layout, Point, Size, Vertex};

/// Between two boxes of a layer.
const GAP: f64 = 28.0;
/// Between two bends, or a bend and a box.
const LANE: f64 = 16.0;
/// How often the layers are gone through.
const SWEEPS: usize = 24;
/// Arrows leave a box this far apart, if it is wide enough.
const PORT: f64 = 16.0;
/// A tip ends this far from its box.
const TIP: f64 = 2.0;

impl Layers {
    /// Moves every vertex towards its neighbours, as far as the order and the
    /// distances within its layer allow.
    pub(super) fn place(&mut self) {
        for layer in 0..self.rows.len() {
            let row = self.rows[layer].clone();
            let wish = vec![(0.0, 1.0); row.len()];
            self.settle(&row, &wish);
        }
        for sweep in 0..SWEEPS {
            for step in 0..self.rows.len() {
                let down = sweep % 2 == 0;
                let layer = if down {
                    step
                } else {
                    self.rows.len() - 1 - step
                };
                let row = self.rows[layer].clone();
                // At first the neighbours that were just placed; at last both.
                let both = sweep + 4 >= SWEEPS;
                let wish: Vec<_> = row.iter().map(|at| self.wish(*at, down, both)).collect();
                self.settle(&row, &wish);
            }
        }
        let left = |v: &Vertex| v.x - v.size.width / 2.0;
        let least = self.vertices.iter().map(left).fold(f64::INFINITY, f64::min);
        for vertex in &mut self.vertices {
            vertex.x -= least;
        }
    }

    /// Where a vertex wants to be, and how much.
    fn wish(&self, at: usize, down: bool, both: bool) -> (f64, f64) {
        let vertex = &self.vertices[at];
        let (above, below) = match (both, down) {
            (true, _) => (&vertex.above[..], &vertex.below[..]),
            (false, true) => (&vertex.above[..], &[][..]),
            (false, false) => (&[][..], &vertex.below[..]),
        };
        let ends = || above.iter().chain(below).map(|end| self.vertices[*end].x);
        match ends().count() {
            0 => (vertex.x, 0.1),
            // Bends want it more: a long arrow should be straight.
            n if vertex.size.height == 0.0 => (ends().sum::<f64>() / n as f64, 4.0),
            n => (ends().sum::<f64>() / n as f64, 1.0),
        }
    }

    /// The least sum of squares of the distances from the wishes: neighbours
    /// that would come too near form a group, which goes where it wants to be on
    /// average (pool adjacent violators).
    fn settle(&mut self, row: &[usize], wish: &[(f64, f64)]) {
        let mut offsets = Vec::new();
        let mut offset = 0.0;
        for (at, vertex) in row.iter().enumerate() {
            if at > 0 {
                offset += self.distance(row[at - 1], *vertex);
            }
            offsets.push(offset);
        }
        // (where, weight, how many vertices)
        let mut groups: Vec<(f64, f64, usize)> = Vec::new();
        for ((x, weight), offset) in wish.iter().zip(&offsets) {
            let mut group = (x - offset, *weight, 1);
            while let Some(before) = groups.pop_if(|before| before.0 >= group.0) {
                let weight = before.1 + group.1;
                let x = (before.0 * before.1 + group.0 * group.1) / weight;
                group = (x, weight, before.2 + group.2);
            }
            groups.push(group);
        }
        let places = groups
            .iter()
            .flat_map(|(x, _, n)| std::iter::repeat_n(*x, *n));
        for ((vertex, place), offset) in row.iter().zip(places).zip(offsets) {
            self.vertices[*vertex].x = place + offset;
        }
    }

    fn distance(&self, left: usize, right: usize) -> f64 {
        let (left, right) = (self.vertices[left].size, self.vertices[right].size);
        let bend = left.height == 0.0 || right.height == 0.0;
        (left.width + right.width) / 2.0 + if bend { LANE } else { GAP }
    }

    /// The drawing; `upward` arrows begin at their lower end.
    pub(super) fn layout(&self, boxes: usize, upward: &[bool]) -> Layout {
        let rows = self.row_extents();
        let centre = |at: usize| {
            let (top, bottom) = rows[self.vertices[at].layer];
            let x = self.vertices[at].x;
            let y = (top + bottom) / 2.0;
            Point { x, y }
        };
        let right = |v: &Vertex| v.x + v.size.width / 2.0;
        let size = Size {
            width: self.vertices.iter().map(right).fold(0.0, f64::max),
            height: rows.last().map_or(0.0, |row| row.1),
        };
        let ports = self.ports();
        let route = |arrow: usize| {
            let chain = &self.chains[arrow];
            let (from, to) = (chain[0], chain[chain.len() - 1]);
            let half = |at: usize| self.vertices[at].size.height / 2.0;
            let (start_gap, end_gap) = if upward[arrow] {
                (TIP, 0.0)
            } else {
                (0.0, TIP)
            };
            let mut points = vec![Point {
                x: ports[arrow].0,
                y: centre(from).y + half(from) + start_gap,
            }];
            for bend in &chain[1..chain.len() - 1] {
                let (top, bottom) = rows[self.vertices[*bend].layer];
                let x = self.vertices[*bend].x;
                points.extend([Point { x, y: top }, Point { x, y: bottom }]);
            }
            points.push(Point {
                x: ports[arrow].1,
                y: centre(to).y - half(to) - end_gap,
            });
            if upward[arrow] {
                points.reverse();
            }
            points
        };
        Layout {
            boxes: (0..boxes).map(centre).collect(),
            routes: (0..self.chains.len()).map(route).collect(),
            size,
        }
    }

    /// Top and bottom of each layer. Where many arrows pass there is more room.
    fn row_extents(&self) -> Vec<(f64, f64)> {
        let mut extents = Vec::new();
        let mut top = 0.0;
        for row in &self.rows {
            let height = row.iter().map(|at| self.vertices[*at].size.height);
            let bottom = top + height.fold(0.0, f64::max);
            extents.push((top, bottom));
            let passing: usize = row.iter().map(|at| self.vertices[*at].below.len()).sum();
            top = bottom + 44.0 + (passing as f64 * 3.0).min(56.0);
        }
        extents
    }

    /// Where each arrow leaves its upper box and where it meets its lower one:
    /// side by side, in the order of the places that they come from or go to.
    fn ports(&self) -> Vec<(f64, f64)> {
        let mut ports = vec![(0.0, 0.0); self.chains.len()];
        let mut sides: Vec<[Vec<(f64, usize)>; 2]> = Vec::new();
        sides.resize_with(self.vertices.len(), Default::default);
        for (arrow, chain) in self.chains.iter().enumerate() {
            let (from, to) = (chain[0], chain[chain.len() - 1]);
            let (second, before) = (chain[1], chain[chain.len() - 2]);
            sides[from][0].push((self.vertices[second].x, arrow));
            sides[to][1].push((self.vertices[before].x, arrow));
        }
        for (vertex, sides) in self.vertices.iter().zip(&mut sides) {
            for (side, arrows) in sides.iter_mut().enumerate() {
                arrows.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
                let gaps = (arrows.len().max(2) - 1) as f64;
                let step = ((vertex.size.width - 24.0) / gaps).min(PORT);
                for (at, (_, arrow)) in arrows.iter().enumerate() {
                    let x = vertex.x + (at as f64 - (arrows.len() - 1) as f64 / 2.0) * step;
                    match side {
                        0 => ports[*arrow].0 = x,
                        _ => ports[*arrow].1 = x,
                    }
                }
            }
        }
        ports
    }
}
