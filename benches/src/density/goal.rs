//! What the pool should reach.

use super::blobs::Codec;
use super::contender::Contender;
use super::run::Sights;
use super::scenario::Phase;
use crate::goal::Bound;

/// The most objects that automatic compaction may move for each replacement.
pub const MOST_MOVES: Bound = Bound::AtMost(0.5);

/// One line of the goals: resident bytes per live byte.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goal {
    /// When.
    pub phase: Phase,
    /// Who.
    pub contender: Contender,
    /// With which compression.
    pub codec: Codec,
    /// What it should reach.
    pub bound: Bound,
}

/// The phases with goals, and the goals of LZ4 and zstd.
const GOALS: [(Phase, Contender, f64, f64); 9] = {
    use Contender::{Adaptive, Automatic, Zsmalloc};
    [
        (Phase::Stored, Zsmalloc, 1.035, 1.04),
        (Phase::Stored, Adaptive, 1.03, 1.035),
        (Phase::HalfCompacted, Zsmalloc, 1.065, 1.085),
        (Phase::HalfCompacted, Adaptive, 1.04, 1.045),
        (Phase::MostCompacted, Zsmalloc, 1.12, 1.15),
        (Phase::MostCompacted, Adaptive, 1.06, 1.07),
        (Phase::Churned, Zsmalloc, 1.09, 1.12),
        (Phase::Churned, Adaptive, 1.11, 1.13),
        (Phase::Churned, Automatic, 1.06, 1.065),
    ]
};

impl Goal {
    /// All for which this build has a codec.
    pub fn all() -> impl Iterator<Item = Self> {
        GOALS.into_iter().flat_map(|(phase, contender, lz4, zstd)| {
            let bound = move |codec| match codec {
                Codec::Lz4 => lz4,
                #[cfg(feature = "allocators")]
                Codec::Zstd => zstd,
            };
            #[cfg(not(feature = "allocators"))]
            let _ = zstd;
            Codec::ALL.iter().map(move |&codec| Self {
                phase,
                contender,
                codec,
                bound: Bound::AtMost(bound(codec)),
            })
        })
    }

    /// What was measured.
    #[must_use]
    pub fn measured(&self, sights: Sights<'_>) -> Option<f64> {
        sights.ratio(self.contender, self.codec, self.phase)
    }

    /// Whether that is enough.
    #[must_use]
    pub fn verdict(&self, sights: Sights<'_>) -> &'static str {
        match self.measured(sights) {
            None => "not measured",
            Some(measured) => verdict(self.bound, measured),
        }
    }
}

/// Whether a figure is enough. (Unlike time it hardly varies, so one round has a verdict.)
#[must_use]
pub fn verdict(bound: Bound, measured: f64) -> &'static str {
    if bound.admits(measured) {
        "reached"
    } else {
        "missed"
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::density::breakdown::Breakdown;
    use crate::density::run::tests::sample;

    #[test]
    fn the_verdict_is_by_the_median() {
        let goal = Goal::all().next().unwrap();
        assert_eq!(goal.bound, Bound::AtMost(1.035));
        let verdict = |grown: u64| {
            let none = Breakdown::default();
            let samples = [sample(0, Contender::Zsmalloc, Phase::Stored, grown, none)];
            goal.verdict(Sights(&samples))
        };
        assert_eq!(verdict(1_035_000), "reached");
        assert_eq!(verdict(1_036_000), "missed");
        assert_eq!(goal.verdict(Sights(&[])), "not measured");
    }
}
