//! Medians, fastest deciles and ratios. Only undisturbed windows count.

use crate::cell::{Cell, Unit};
use crate::run::Sample;

/// The middle value, or the mean of the middle two. `None` if there is none.
#[must_use]
pub fn median(mut values: Vec<f64>) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.len() {
        0 => None,
        odd if odd % 2 == 1 => Some(values[middle]),
        _ => Some(f64::midpoint(values[middle - 1], values[middle])),
    }
}

/// The mean of the best tenth, at least one. `None` if there is none.
///
/// A processor with two clock states shows its fast one here.
#[must_use]
pub fn fastest_decile(mut values: Vec<f64>, unit: Unit) -> Option<f64> {
    values.sort_by(f64::total_cmp);
    if unit == Unit::MillionPerSecond {
        values.reverse();
    }
    let tenth = values.len().div_ceil(10);
    let best = values.get(..tenth).filter(|best| !best.is_empty())?;
    Some(best.iter().sum::<f64>() / best.len() as f64)
}

/// A contender's figures of one cell: how many, the median and the fastest decile.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Figure {
    /// Undisturbed windows (or rounds, for a ratio) that it rests on.
    pub count: usize,
    /// The median of these.
    pub median: f64,
    /// The mean of the best tenth of these; for a ratio, the ratio of the two means.
    pub fastest: f64,
}

/// The samples of a run, asked about.
#[derive(Clone, Copy, Debug)]
pub struct Stats<'a>(pub &'a [Sample]);

impl Stats<'_> {
    fn of(&self, cell: Cell, peer: &str) -> impl Iterator<Item = &Sample> {
        self.0
            .iter()
            .filter(move |sample| sample.cell == cell && sample.peer == peer)
    }

    fn undisturbed(&self, cell: Cell, peer: &str) -> impl Iterator<Item = (u32, f64)> {
        self.of(cell, peer)
            .filter(|sample| !sample.window.is_disturbed())
            .map(move |sample| (sample.round, sample.window.figure(cell.unit())))
    }

    /// Windows of this cell and contender, and how many of them were disturbed.
    #[must_use]
    pub fn windows(&self, cell: Cell, peer: &str) -> (usize, usize) {
        let all = self.of(cell, peer).count();
        (all, all - self.undisturbed(cell, peer).count())
    }

    /// The figure of the cell, in its unit.
    #[must_use]
    pub fn figure(&self, cell: Cell, peer: &str) -> Option<Figure> {
        let values: Vec<f64> = self
            .undisturbed(cell, peer)
            .map(|(_, figure)| figure)
            .collect();
        Some(Figure {
            count: values.len(),
            fastest: fastest_decile(values.clone(), cell.unit())?,
            median: median(values)?,
        })
    }

    /// `peer` by `reference`: the median over rounds of the ratio within the round, and the ratio of the fastest
    /// deciles. Rounds in which either window was disturbed do not count.
    #[must_use]
    pub fn ratio(&self, cell: Cell, peer: &str, reference: &str) -> Option<Figure> {
        let ratios: Vec<f64> = self
            .undisturbed(cell, peer)
            .filter_map(|(round, figure)| {
                let (_, base) = self
                    .undisturbed(cell, reference)
                    .find(|(other, _)| *other == round)?;
                Some(figure / base)
            })
            .collect();
        Some(Figure {
            count: ratios.len(),
            fastest: self.figure(cell, peer)?.fastest / self.figure(cell, reference)?.fastest,
            median: median(ratios)?,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::window::Window;

    /// A sample whose figure is `figure` in a cell of nanoseconds or of milliseconds: one million operations that took
    /// so many nanoseconds each, and a longest wait of so many milliseconds.
    pub(crate) fn sample(
        round: u32,
        cell: Cell,
        peer: &'static str,
        figure: f64,
        foreign: f64,
    ) -> Sample {
        let operations = 1_000_000;
        Sample {
            round,
            cell,
            peer,
            window: Window {
                operations,
                elapsed: Duration::from_secs_f64(figure * operations as f64 / 1e9),
                longest_wait: Duration::from_secs_f64(figure / 1e3),
                foreign,
            },
        }
    }

    fn close(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() < 1e-6,
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn medians() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![3.0]), Some(3.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(vec![9.0, 1.0, 2.0, 4.0]), Some(3.0));
    }

    #[test]
    fn the_best_tenth_is_the_least_time_and_the_most_throughput() {
        let values: Vec<f64> = (1..=20).map(f64::from).collect();
        assert_eq!(fastest_decile(values.clone(), Unit::Nanoseconds), Some(1.5));
        assert_eq!(fastest_decile(values, Unit::MillionPerSecond), Some(19.5));
        assert_eq!(
            fastest_decile(vec![7.0, 8.0], Unit::Milliseconds),
            Some(7.0)
        );
        assert_eq!(fastest_decile(vec![], Unit::Nanoseconds), None);
    }

    #[test]
    fn ratios_are_taken_within_a_round() {
        // The clock halves in the second round; both suffer, and the ratio stays.
        let samples = [
            sample(0, Cell::Read, "a", 2.0, 0.0),
            sample(0, Cell::Read, "b", 4.0, 0.0),
            sample(1, Cell::Read, "a", 4.0, 0.0),
            sample(1, Cell::Read, "b", 8.0, 0.0),
            sample(1, Cell::Write, "b", 800.0, 0.0),
        ];
        let ratio = Stats(&samples).ratio(Cell::Read, "a", "b").unwrap();
        assert_eq!(ratio.count, 2);
        close(ratio.median, 0.5);
        close(ratio.fastest, 0.5);
    }

    #[test]
    fn disturbed_windows_are_dropped_and_counted() {
        let samples = [
            sample(0, Cell::Read, "a", 2.0, 0.0),
            sample(0, Cell::Read, "b", 400.0, 0.2),
            sample(1, Cell::Read, "a", 3.0, 0.05),
            sample(1, Cell::Read, "b", 4.0, 0.1),
            sample(2, Cell::Read, "a", 100.0, 0.11),
            sample(2, Cell::Read, "b", 4.0, 0.0),
        ];
        let stats = Stats(&samples);
        assert_eq!(stats.windows(Cell::Read, "a"), (3, 1));
        let ratio = stats.ratio(Cell::Read, "a", "b").unwrap();
        assert_eq!(ratio.count, 1, "only round 1 has both");
        close(ratio.median, 0.75);
        close(ratio.fastest, 0.5);
        assert_eq!(stats.ratio(Cell::Read, "a", "nobody"), None);
        assert_eq!(stats.figure(Cell::Write, "a"), None);
    }
}
