//! What the pool should reach.

use super::bound::Floor;
use super::contender::Contender;
use super::ratio::Windows;
use super::row::{Mix, Row};
use crate::goal::Bound;
use crate::stats::Figure;

/// What a goal is about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Subject {
    /// The time of one by the time of the other, in the same row.
    Ratio(Row, Contender, Contender),
    /// Microseconds of an operation.
    Microseconds(Row, Contender),
    /// The throughput of two threads on one store by that on two.
    Shared(Mix, Contender),
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
    /// Every goal of speed.
    pub const ALL: [Self; 14] = {
        use Bound::{AtLeast, AtMost};
        use Contender::{Glibc, Keeping, Pair, Retaining, Zslock};
        use Subject::{Microseconds, Ratio, Shared};
        [
            Self::new(Ratio(Row::Copy, Zslock, Glibc), AtMost(1.25)),
            Self::new(Ratio(Row::Hot, Zslock, Pair), AtMost(2.5)),
            Self::new(Ratio(Row::Grow, Zslock, Glibc), AtMost(1.2)),
            Self::new(Ratio(Row::Refill, Zslock, Glibc), AtMost(1.35)),
            Self::new(Ratio(Row::Refill, Retaining, Glibc), AtMost(1.35)),
            Self::new(Ratio(Row::FreeAll, Keeping, Glibc), AtMost(1.0)),
            Self::new(Ratio(Row::FreeAll, Retaining, Glibc), AtMost(1.0)),
            Self::new(Ratio(Row::FreeAll, Zslock, Glibc), AtMost(1.6)),
            Self::new(Ratio(Row::FreeMany, Zslock, Glibc), AtMost(1.6)),
            Self::new(Microseconds(Row::Compact, Keeping), AtMost(0.8)),
            Self::new(Microseconds(Row::Compact, Zslock), AtMost(1.5)),
            Self::new(Shared(Mix::Reads, Zslock), AtLeast(0.95)),
            Self::new(Shared(Mix::Churn, Zslock), AtLeast(0.95)),
            Self::new(Shared(Mix::OneClass, Zslock), AtLeast(0.95)),
        ]
    };

    const fn new(subject: Subject, bound: Bound) -> Self {
        Self { subject, bound }
    }

    /// What nobody can be better than who has the pages of a pool, and stores and frees objects in them as fast as malloc in
    /// its own; who does nothing but copy the objects that move; who counts readers in words beside malloc's boxes. `None`
    /// where that is not known.
    #[must_use]
    pub fn limit(&self, windows: Windows<'_>, floor: &Floor) -> Option<f64> {
        match self.subject {
            Subject::Ratio(row @ (Row::FreeAll | Row::FreeMany), of, by) => {
                let malloc = windows.nanoseconds((row, by))?.median;
                let pages = match (row, of) {
                    (_, Contender::Keeping) => 0.0,
                    (_, Contender::Retaining) => floor.beyond * floor.many,
                    (Row::FreeMany, _) => floor.many,
                    _ => floor.one,
                };
                Some((malloc + pages) / malloc)
            }
            Subject::Ratio(Row::Grow, _, by) => {
                let full = windows.nanoseconds((Row::Refill, by))?.median;
                let malloc = windows.nanoseconds((Row::Grow, by))?.median;
                Some((full + floor.fault) / malloc)
            }
            Subject::Ratio(Row::Copy, _, by) => {
                let counted = windows.ratio((Row::Copy, Contender::Locked), (Row::Copy, by))?;
                Some(counted.median)
            }
            Subject::Microseconds(_, Contender::Keeping) => Some(floor.copy / 1e3),
            Subject::Microseconds(..) => Some((floor.copy + floor.gained) / 1e3),
            Subject::Shared(Mix::Reads, _) => {
                let shared = windows.shared(Mix::Reads, Contender::Locked)?;
                Some(shared.median)
            }
            Subject::Ratio(..) | Subject::Shared(..) => None,
        }
    }

    /// What was measured.
    #[must_use]
    pub fn measured(&self, windows: Windows<'_>) -> Option<Figure> {
        match self.subject {
            Subject::Ratio(row, of, by) => windows.ratio((row, of), (row, by)),
            Subject::Microseconds(row, of) => {
                let figure = windows.nanoseconds((row, of))?;
                Some(Figure {
                    count: figure.count,
                    median: figure.median / 1e3,
                    fastest: figure.fastest / 1e3,
                })
            }
            Subject::Shared(mix, contender) => windows.shared(mix, contender),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::ratio::tests::sample;
    use crate::allocator::row::Stores;
    use crate::goal::Verdict;

    #[test]
    fn every_goal_is_of_contenders_that_take_part_in_its_rows() {
        for goal in Goal::ALL {
            let timed = match goal.subject {
                Subject::Ratio(row, of, by) => [(row, of), (row, by)],
                Subject::Microseconds(row, of) => [(row, of); 2],
                Subject::Shared(mix, of) => {
                    [Stores::One, Stores::Two].map(|stores| (Row::Two(mix, stores), of))
                }
            };
            assert!(timed.iter().all(|(row, contender)| row.is_for(*contender)));
            let samples: Vec<_> = (0..3)
                .flat_map(|round| timed.map(|timed| sample(round, timed, 10_000_000, 0.0)))
                .collect();
            let measured = goal.measured(Windows(&samples));
            let expected = match goal.subject {
                Subject::Microseconds(..) => Verdict::Missed,
                _ => Verdict::Met,
            };
            assert_eq!(goal.bound.verdict(measured), expected, "{goal:?}");
        }
    }

    #[test]
    fn compaction_is_judged_in_microseconds_a_page() {
        let samples: Vec<_> = (0..3)
            .map(|round| sample(round, (Row::Compact, Contender::Keeping), 700, 0.0))
            .collect();
        let goal = Goal::new(
            Subject::Microseconds(Row::Compact, Contender::Keeping),
            Bound::AtMost(0.8),
        );
        let measured = goal.measured(Windows(&samples));
        assert!((measured.unwrap().median - 0.7).abs() < 1e-6);
        assert_eq!(goal.bound.verdict(measured), Verdict::Met);
    }

    #[test]
    fn a_limit_is_what_is_left_with_the_time_of_the_system() {
        let floor = Floor {
            pages: 0.5,
            zspages: 0.25,
            fault: 600.0,
            one: 300.0,
            many: 100.0,
            all: 80.0,
            beyond: 0.5,
            copy: 400.0,
            gained: 300.0,
        };
        let (malloc, pair) = (Contender::Glibc, Contender::Locked);
        let samples: Vec<_> = [
            ((Row::FreeAll, malloc), 100),
            ((Row::FreeMany, malloc), 200),
            ((Row::Refill, malloc), 400),
            ((Row::Grow, malloc), 2000),
            ((Row::Copy, malloc), 100),
            ((Row::Copy, pair), 150),
            // The unit is time: half of the throughput.
            ((Row::Two(Mix::Reads, Stores::One), pair), 40),
            ((Row::Two(Mix::Reads, Stores::Two), pair), 20),
        ]
        .into_iter()
        .flat_map(|(timed, ns)| (0..3).map(move |round| sample(round, timed, ns, 0.0)))
        .collect();
        let limits: Vec<_> = Goal::ALL
            .iter()
            .filter_map(|goal| goal.limit(Windows(&samples), &floor))
            .map(|limit| format!("{limit:.2}"))
            .collect();
        // Copy, growing, free: keeping, retaining, returning one by one and many; moving, with the return; two threads.
        let expected = [
            "1.50", "0.50", "1.00", "1.50", "4.00", "1.50", "0.40", "0.70", "0.50",
        ];
        assert_eq!(limits, expected);
    }
}
