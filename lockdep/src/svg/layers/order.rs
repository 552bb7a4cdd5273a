//! The order within the layers: few crossings.

use super::Layers;

/// How often the layers are gone through; more helps little.
const SWEEPS: usize = 16;

impl Layers {
    /// Goes down and up the layers and sorts each by the barycenters of the
    /// neighbours on the layer before; keeps the best order that was met.
    pub(super) fn sort(&mut self) {
        let mut position = vec![0; self.vertices.len()];
        self.number(&mut position);
        let mut best = (self.crossings(&position), self.rows.clone());
        for sweep in 0..SWEEPS {
            let down = sweep % 2 == 0;
            for step in 1..self.rows.len() {
                let layer = if down {
                    step
                } else {
                    self.rows.len() - 1 - step
                };
                self.sort_row(layer, down, &mut position);
            }
            let crossings = self.crossings(&position);
            if crossings < best.0 {
                best = (crossings, self.rows.clone());
            }
        }
        self.rows = best.1;
    }

    fn number(&self, position: &mut [usize]) {
        for row in &self.rows {
            for (at, vertex) in row.iter().enumerate() {
                position[*vertex] = at;
            }
        }
    }

    fn sort_row(&mut self, layer: usize, by_above: bool, position: &mut [usize]) {
        let mut keyed: Vec<(f64, usize)> = self.rows[layer]
            .iter()
            .map(|vertex| {
                let ends = &self.vertices[*vertex];
                let ends = if by_above { &ends.above } else { &ends.below };
                let sum: usize = ends.iter().map(|end| position[*end]).sum();
                let key = match ends.len() {
                    0 => position[*vertex] as f64,
                    n => sum as f64 / n as f64,
                };
                (key, *vertex)
            })
            .collect();
        keyed.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.rows[layer] = keyed.into_iter().map(|(_, vertex)| vertex).collect();
        for (at, vertex) in self.rows[layer].iter().enumerate() {
            position[*vertex] = at;
        }
    }

    /// Crossings between neighbouring layers: pairs of arrows whose upper ends
    /// are in the other order than their lower ends.
    fn crossings(&self, position: &[usize]) -> usize {
        let mut crossings = 0;
        for row in &self.rows {
            // Lower ends in the order of the upper ends; `seen` is a Fenwick tree.
            let mut seen = vec![0_usize; position.len() + 1];
            let mut total = 0;
            for vertex in row {
                let mut ends: Vec<_> = self.vertices[*vertex]
                    .below
                    .iter()
                    .map(|end| position[*end] + 1)
                    .collect();
                ends.sort_unstable();
                for end in &ends {
                    crossings += total - count_up_to(&seen, *end);
                }
                for end in ends {
                    total += 1;
                    add(&mut seen, end);
                }
            }
        }
        crossings
    }
}

fn count_up_to(tree: &[usize], mut at: usize) -> usize {
    let mut count = 0;
    while at > 0 {
        count += tree[at];
        at &= at - 1;
    }
    count
}

fn add(tree: &mut [usize], mut at: usize) {
    while at < tree.len() {
        tree[at] += 1;
        at += at & at.wrapping_neg();
    }
}
