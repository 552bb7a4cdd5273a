//! What the samples say: ratios within a round, and goals. Only undisturbed windows count.

use super::contender::Contender;
use super::fresh::Case;
use super::run::{FreshSample, Sample};
use super::workload::Workload;
use crate::cell::Unit;
use crate::goal::Bound;
use crate::stats::{Figure, fastest_decile, median};

/// A workload with a contender.
pub type Timed = (Workload, Contender);

/// What a goal is one for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Subject {
    /// The time of one by the time of the other.
    Ratio(Timed, Timed),
    /// Microseconds for a new dependency, the median.
    Fresh(Case),
}

/// One line of the goals.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// What for.
    pub subject: Subject,
    /// What it should reach.
    pub bound: Bound,
}

impl Goal {
    /// Every goal of lockdep's cost.
    pub const ALL: [Self; 9] = [
        Self::ratio(Workload::Single, Contender::Lockdep, 1.5),
        Self::ratio(Workload::Nested, Contender::Lockdep, 1.5),
        Self::ratio(Workload::Read, Contender::Lockdep, 1.2),
        Self::ratio(Workload::OneClass, Contender::Lockdep, 1.4),
        Self::ratio(Workload::Instances, Contender::Lockdep, 8.0),
        Self::ratio(Workload::Pairs, Contender::Lockdep, 3.5),
        Self::ratio(Workload::Single, Contender::LockdepOff, 1.15),
        Self {
            subject: Subject::Ratio(
                (Workload::TwoThreads, Contender::Lockdep),
                (Workload::TwoProcesses, Contender::Lockdep),
            ),
            bound: Bound::AtMost(1.15),
        },
        Self {
            subject: Subject::Fresh(Case::Ordered),
            bound: Bound::AtMost(3.0),
        },
    ];

    const fn ratio(workload: Workload, contender: Contender, bound: f64) -> Self {
        Self {
            subject: Subject::Ratio((workload, contender), (workload, Contender::ParkingLot)),
            bound: Bound::AtMost(bound),
        }
    }
}

/// The windows of a run, asked about.
#[derive(Clone, Copy, Debug)]
pub struct Windows<'a>(pub &'a [Sample]);

impl Windows<'_> {
    fn of(&self, timed: Timed) -> impl Iterator<Item = &Sample> {
        self.0
            .iter()
            .filter(move |sample| (sample.workload, sample.contender) == timed)
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

    /// The median over rounds of the ratio within the round, and the ratio of the fastest deciles. Rounds in which
    /// either window was disturbed do not count.
    #[must_use]
    pub fn ratio(&self, of: Timed, by: Timed) -> Option<Figure> {
        let ratios: Vec<f64> = self
            .undisturbed(of)
            .filter_map(|(round, figure)| {
                let mut base = self.undisturbed(by);
                let (_, base) = base.find(|(other, _)| *other == round)?;
                Some(figure / base)
            })
            .collect();
        Some(Figure {
            count: ratios.len(),
            fastest: self.nanoseconds(of)?.fastest / self.nanoseconds(by)?.fastest,
            median: median(ratios)?,
        })
    }

    /// What the column and the row of the table of ratios have in common. Two threads are compared with two processes,
    /// which makes their row one; everything else with the same lock untracked.
    #[must_use]
    pub fn cell(&self, workload: Workload, contender: Contender) -> Option<Figure> {
        let of = (workload, contender);
        match workload {
            Workload::TwoThreads => self.ratio(of, (Workload::TwoProcesses, contender)),
            _ => self.ratio(of, (workload, contender.untracked()?)),
        }
    }
}

/// Microseconds of the middle new dependency, over the processes.
#[must_use]
pub fn microseconds(samples: &[FreshSample], case: Case, contender: Contender) -> Option<Figure> {
    let of = samples
        .iter()
        .filter(|sample| sample.case == case && sample.contender == contender);
    figure(of.map(|sample| sample.cost.median / 1e3).collect())
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
    use crate::goal::Verdict;
    use crate::validator::fresh::Cost;
    use crate::validator::launch::Window;

    /// A window of one thread with that many nanoseconds an operation, of which others had `foreign`.
    pub(crate) fn sample(round: u32, timed: Timed, nanoseconds: u64, foreign: f64) -> Sample {
        let elapsed = Duration::from_nanos(nanoseconds * 1000);
        Sample {
            round,
            workload: timed.0,
            contender: timed.1,
            window: Window {
                operations: 1000,
                elapsed,
                delay: elapsed.mul_f64(foreign),
            },
        }
    }

    const PLAIN: Timed = (Workload::Single, Contender::ParkingLot);
    const LOCKDEP: Timed = (Workload::Single, Contender::Lockdep);

    fn close(actual: f64, expected: f64) {
        assert!(
            (actual - expected).abs() < 1e-6,
            "{actual} is not {expected}"
        );
    }

    #[test]
    fn ratios_are_taken_within_a_round_and_without_disturbed_windows() {
        // The clock halves in the second round; both suffer, and the ratio stays.
        let samples = [
            sample(0, PLAIN, 10, 0.0),
            sample(0, LOCKDEP, 15, 0.0),
            sample(1, LOCKDEP, 30, 0.1),
            sample(1, PLAIN, 20, 0.0),
            sample(2, PLAIN, 20, 0.0),
            sample(2, LOCKDEP, 900, 0.2),
        ];
        let windows = Windows(&samples);
        let ratio = windows.cell(LOCKDEP.0, LOCKDEP.1).unwrap();
        assert_eq!(ratio.count, 2);
        close(ratio.median, 1.5);
        close(ratio.fastest, 1.5);
        assert_eq!(windows.count(LOCKDEP), (3, 1));
        assert_eq!(windows.cell(PLAIN.0, PLAIN.1), None, "it is the reference");
    }

    #[test]
    fn two_threads_are_compared_with_two_processes() {
        let samples = [
            sample(0, (Workload::TwoThreads, Contender::Lockdep), 22, 0.0),
            sample(0, (Workload::TwoProcesses, Contender::Lockdep), 20, 0.0),
        ];
        let ratio = Windows(&samples).cell(Workload::TwoThreads, Contender::Lockdep);
        close(ratio.unwrap().median, 1.1);
    }

    #[test]
    fn a_new_dependency_costs_the_median_of_medians() {
        let samples: Vec<FreshSample> = [4000.0, 2000.0, 9000.0]
            .into_iter()
            .map(|median| FreshSample {
                round: 0,
                case: Case::Ordered,
                contender: Contender::Lockdep,
                cost: Cost {
                    median,
                    percentile_99: 0.0,
                    worst: 0.0,
                },
            })
            .collect();
        let figure = microseconds(&samples, Case::Ordered, Contender::Lockdep);
        close(figure.unwrap().median, 4.0);
        assert_eq!(
            microseconds(&samples, Case::Search, Contender::Lockdep),
            None
        );
        assert_eq!(Bound::AtMost(3.0).verdict(figure), Verdict::MetByFastest);
    }

    #[test]
    fn every_goal_compares_with_what_the_table_compares_with() {
        for goal in Goal::ALL {
            if let Subject::Ratio(of, by) = goal.subject {
                let samples = [sample(0, of, 30, 0.0), sample(0, by, 10, 0.0)];
                let cell = Windows(&samples).cell(of.0, of.1);
                close(cell.expect("the same pair").median, 3.0);
            }
        }
    }
}
