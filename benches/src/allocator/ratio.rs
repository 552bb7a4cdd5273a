//! Medians, fastest deciles and ratios of a run. Only undisturbed windows count.

use super::contender::Contender;
use super::row::{Mix, Row, Stores};
use super::run::Sample;
use crate::cell::Unit;
use crate::stats::{Figure, fastest_decile, median};

/// A row and whose.
pub type Timed = (Row, Contender);

/// The windows of a run, asked about.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a>(pub &'a [Sample]);

impl Windows<'_> {
    fn of(&self, timed: Timed) -> impl Iterator<Item = &Sample> {
        self.0
            .iter()
            .filter(move |sample| (sample.row, sample.contender) == timed)
    }

    /// Windows, and how many of them were disturbed.
    #[must_use]
    pub fn count(&self, timed: Timed) -> (usize, usize) {
        let disturbed = self.of(timed).filter(|sample| sample.window.is_disturbed());
        (self.of(timed).count(), disturbed.count())
    }

    fn undisturbed(&self, timed: Timed) -> impl Iterator<Item = (u32, f64)> {
        self.of(timed)
            .filter(|sample| !sample.window.is_disturbed())
            .map(|sample| (sample.round, sample.window.nanoseconds()))
    }

    /// Nanoseconds of an operation.
    #[must_use]
    pub fn nanoseconds(&self, timed: Timed) -> Option<Figure> {
        figure(self.undisturbed(timed).map(|(_, figure)| figure).collect())
    }

    /// The median over rounds of the ratio within the round, and the ratio of the fastest deciles. Rounds in which either
    /// window was disturbed do not count.
    #[must_use]
    pub fn ratio(&self, of: Timed, by: Timed) -> Option<Figure> {
        let ratios: Vec<f64> = self
            .undisturbed(of)
            .filter_map(|(round, figure)| {
                let (_, base) = self.undisturbed(by).find(|(other, _)| *other == round)?;
                Some(figure / base)
            })
            .collect();
        Some(Figure {
            count: ratios.len(),
            fastest: self.nanoseconds(of)?.fastest / self.nanoseconds(by)?.fastest,
            median: median(ratios)?,
        })
    }

    /// The throughput of two threads on one store by that on two.
    #[must_use]
    pub fn shared(&self, mix: Mix, contender: Contender) -> Option<Figure> {
        self.ratio(
            (Row::Two(mix, Stores::Two), contender),
            (Row::Two(mix, Stores::One), contender),
        )
    }
}

fn figure(values: Vec<f64>) -> Option<Figure> {
    Some(Figure {
        count: values.len(),
        fastest: fastest_decile(values.clone(), Unit::Nanoseconds)?,
        median: median(values)?,
    })
}

#[cfg(test)]
pub(crate) mod tests {
    use std::time::Duration;

    use super::*;
    use crate::validator::launch::Window;

    /// A window with that many nanoseconds an operation, of which others had `foreign`.
    pub(crate) fn sample(round: u32, timed: Timed, nanoseconds: u64, foreign: f64) -> Sample {
        let elapsed = Duration::from_nanos(nanoseconds * 1000);
        Sample {
            round,
            row: timed.0,
            contender: timed.1,
            window: Window {
                operations: 1000,
                elapsed,
                delay: elapsed.mul_f64(foreign),
            },
        }
    }

    const POOL: Timed = (Row::Copy, Contender::Zslock);
    const MALLOC: Timed = (Row::Copy, Contender::Glibc);

    #[test]
    fn ratios_are_taken_within_a_round_and_without_disturbed_windows() {
        let samples = [
            sample(0, MALLOC, 100, 0.0),
            sample(0, POOL, 120, 0.0),
            sample(1, POOL, 240, 0.0),
            sample(1, MALLOC, 200, 0.0),
            sample(2, POOL, 900, 0.2),
            sample(2, MALLOC, 100, 0.0),
        ];
        let windows = Windows(&samples);
        let ratio = windows.ratio(POOL, MALLOC).unwrap();
        assert_eq!(ratio.count, 2);
        assert!((ratio.median - 1.2).abs() < 1e-6);
        assert!((ratio.fastest - 1.2).abs() < 1e-6);
        assert_eq!(windows.count(POOL), (3, 1));
    }

    #[test]
    fn a_shared_store_at_half_the_speed_is_one_half() {
        let samples = [
            sample(
                0,
                (Row::Two(Mix::Churn, Stores::One), Contender::Gated),
                200,
                0.0,
            ),
            sample(
                0,
                (Row::Two(Mix::Churn, Stores::Two), Contender::Gated),
                100,
                0.0,
            ),
        ];
        let shared = Windows(&samples).shared(Mix::Churn, Contender::Gated);
        assert!((shared.unwrap().median - 0.5).abs() < 1e-6);
    }
}
