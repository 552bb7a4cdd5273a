//! What zslock should reach, and whether it did.

use std::fmt;

use crate::cell::Cell;
use crate::contender::Contender;
use crate::peers::{Gated, ParkingLot, Plain, Spin, Std};
use crate::stats::{Figure, Stats};

/// Verdicts on fewer rounds than this would be dice.
const FEWEST: usize = 3;

/// Which side of the bound is good.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Bound {
    /// This or less.
    AtMost(f64),
    /// This or more.
    AtLeast(f64),
}

impl Bound {
    pub(crate) fn admits(self, figure: f64) -> bool {
        match self {
            Self::AtMost(bound) => figure <= bound,
            Self::AtLeast(bound) => figure >= bound,
        }
    }

    /// Whether what was measured is enough, by the median and by the fastest deciles.
    #[must_use]
    pub fn verdict(self, measured: Option<Figure>) -> Verdict {
        let Some(figure) = measured.filter(|figure| figure.count >= FEWEST) else {
            return Verdict::Unknown;
        };
        match (self.admits(figure.median), self.admits(figure.fastest)) {
            (true, true) => Verdict::Met,
            (true, false) => Verdict::MetByMedian,
            (false, true) => Verdict::MetByFastest,
            (false, false) => Verdict::Missed,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::AtMost(bound) => write!(f, "<= {bound}"),
            Self::AtLeast(bound) => write!(f, ">= {bound}"),
        }
    }
}

/// One line of the goals.
#[derive(Clone, Copy, Debug)]
pub struct Goal {
    /// The row.
    pub cell: Cell,
    /// Whose goal: a contender's name.
    pub peer: &'static str,
    /// What it is compared with: a contender's name, or nothing for a goal in the cell's own unit.
    pub against: Option<&'static str>,
    /// What it should reach.
    pub bound: Bound,
}

/// Whether a goal was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// By the median and by the fastest deciles.
    Met,
    /// By the median only.
    MetByMedian,
    /// By the fastest deciles only.
    MetByFastest,
    /// By neither.
    Missed,
    /// Too few undisturbed rounds to tell.
    Unknown,
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Met => "met",
            Self::MetByMedian => "met (the median only)",
            Self::MetByFastest => "missed (met by the fastest)",
            Self::Missed => "missed",
            Self::Unknown => "too few windows",
        })
    }
}

impl Goal {
    /// Every goal of the performance table, but for those that are counted and not timed.
    pub const ALL: [Self; 15] = {
        use Bound::{AtLeast, AtMost};
        let reference = ParkingLot::NAME;
        [
            Self::ratio::<Plain>(Cell::Read, reference, AtMost(0.78)),
            Self::ratio::<Plain>(Cell::Read, Spin::NAME, AtMost(1.03)),
            Self::ratio::<Gated>(Cell::Read, reference, AtMost(0.78)),
            Self::ratio::<Plain>(Cell::Write, reference, AtMost(0.93)),
            Self::ratio::<Gated>(Cell::Write, reference, AtMost(1.08)),
            Self::ratio::<Plain>(Cell::TryWrite, reference, AtMost(0.90)),
            Self::ratio::<Plain>(Cell::FailingTryWrite, reference, AtMost(0.25)),
            Self::ratio::<Gated>(Cell::FailingTryWrite, reference, AtMost(0.25)),
            Self::ratio::<Plain>(Cell::TwoReaders, reference, AtLeast(1.4)),
            Self::ratio::<Plain>(Cell::Mixed, reference, AtLeast(1.5)),
            Self::ratio::<Plain>(Cell::Oversubscribed, reference, AtLeast(1.35)),
            Self::ratio::<Plain>(Cell::Oversubscribed, Std::NAME, AtLeast(0.95)),
            Self::ratio::<Gated>(Cell::Oversubscribed, reference, AtLeast(0.95)),
            Self::longest_wait::<Plain>(),
            Self::longest_wait::<Gated>(),
        ]
    };

    const fn ratio<C: Contender>(cell: Cell, against: &'static str, bound: Bound) -> Self {
        Self {
            cell,
            peer: C::NAME,
            against: Some(against),
            bound,
        }
    }

    const fn longest_wait<C: Contender>() -> Self {
        Self {
            cell: Cell::LongestWait,
            peer: C::NAME,
            against: None,
            bound: Bound::AtMost(10.0),
        }
    }

    /// What was measured.
    #[must_use]
    pub fn measured(&self, stats: Stats<'_>) -> Option<Figure> {
        match self.against {
            Some(reference) => stats.ratio(self.cell, self.peer, reference),
            None => stats.figure(self.cell, self.peer),
        }
    }

    /// Whether that is enough. A goal in a unit of time is one for the median: the best wait proves nothing.
    #[must_use]
    pub fn verdict(&self, measured: Option<Figure>) -> Verdict {
        let measured = measured.map(|figure| match self.against {
            Some(_) => figure,
            None => Figure {
                fastest: figure.median,
                ..figure
            },
        });
        self.bound.verdict(measured)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::run::{Peer, Sample};
    use crate::stats::tests::sample;

    fn figure(count: usize, median: f64, fastest: f64) -> Option<Figure> {
        Some(Figure {
            count,
            median,
            fastest,
        })
    }

    #[test]
    fn both_the_median_and_the_fastest_count() {
        let goal = Goal::ratio::<Plain>(Cell::Read, "b", Bound::AtMost(0.78));
        assert_eq!(goal.verdict(figure(9, 0.78, 0.7)), Verdict::Met);
        assert_eq!(goal.verdict(figure(9, 0.7, 0.79)), Verdict::MetByMedian);
        assert_eq!(goal.verdict(figure(9, 0.79, 0.7)), Verdict::MetByFastest);
        assert_eq!(goal.verdict(figure(9, 0.79, 0.79)), Verdict::Missed);
        assert_eq!(goal.verdict(figure(2, 0.1, 0.1)), Verdict::Unknown);
        assert_eq!(goal.verdict(None), Verdict::Unknown);
    }

    #[test]
    fn more_throughput_is_better() {
        let goal = Goal::ratio::<Plain>(Cell::Mixed, "b", Bound::AtLeast(1.5));
        assert_eq!(goal.verdict(figure(9, 1.6, 1.5)), Verdict::Met);
        assert_eq!(goal.verdict(figure(9, 1.4, 1.4)), Verdict::Missed);
    }

    #[test]
    fn a_goal_without_reference_is_in_the_unit_of_the_cell() {
        let goal = Goal::longest_wait::<Plain>();
        let measured = |milliseconds: [f64; 3]| {
            let samples: Vec<Sample> = milliseconds
                .into_iter()
                .zip(0..)
                .map(|(wait, round)| sample(round, Cell::LongestWait, Plain::NAME, wait, 0.0))
                .collect();
            goal.measured(Stats(&samples))
        };
        let nine = measured([4.0, 9.0, 30.0]);
        assert!((nine.unwrap().median - 9.0).abs() < 1e-6);
        assert_eq!(goal.verdict(nine), Verdict::Met);
        assert_eq!(goal.verdict(measured([4.0, 11.0, 30.0])), Verdict::Missed);
    }

    #[test]
    fn every_goal_is_of_a_peer_that_takes_part() {
        for goal in Goal::ALL {
            for name in [Some(goal.peer), goal.against].into_iter().flatten() {
                let peer = Peer::ALL.into_iter().find(|peer| peer.name == name);
                assert!(
                    peer.is_some_and(|peer| peer.takes_part_in(goal.cell)),
                    "{goal:?}"
                );
            }
        }
    }
}
