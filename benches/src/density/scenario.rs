//! What happens to a store, and when its memory is looked at.

/// How many objects a place of the store sees in the long scenarios.
pub const TURNS: usize = 10;

/// What one process does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scenario {
    /// All pages are stored, half of them go at random, then half of the rest; then two threads fill the store to a half
    /// again and replace objects at random.
    Random,
    /// Two threads fill a new store to a half and replace objects at random.
    Churn,
    /// All pages are stored; then the oldest object makes room for a new one, again and again.
    Fifo,
}

/// A moment at which the memory is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Before the store exists.
    Baseline,
    /// All pages are stored.
    Stored,
    /// A random half of them was freed.
    HalfFreed,
    /// And memory was given back.
    HalfCompacted,
    /// A random three quarters of them were freed.
    MostFreed,
    /// And memory was given back.
    MostCompacted,
    /// Two threads replaced objects of a store that was full once.
    Churned,
    /// Two threads replaced objects of a store that was never more than half full.
    NewChurned,
    /// Objects went in the order in which they came.
    FirstInFirstOut,
}

impl Scenario {
    /// All.
    pub const ALL: [Self; 3] = [Self::Random, Self::Churn, Self::Fifo];

    /// For arguments.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Random => "random",
            Self::Churn => "churn",
            Self::Fifo => "fifo",
        }
    }

    /// The scenario of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }

    /// Its moments after the baseline, in order.
    #[must_use]
    pub const fn phases(self) -> &'static [Phase] {
        match self {
            Self::Random => &[
                Phase::Stored,
                Phase::HalfFreed,
                Phase::HalfCompacted,
                Phase::MostFreed,
                Phase::MostCompacted,
                Phase::Churned,
            ],
            Self::Churn => &[Phase::NewChurned],
            Self::Fifo => &[Phase::FirstInFirstOut],
        }
    }
}

impl Phase {
    /// All, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::Baseline,
        Self::Stored,
        Self::HalfFreed,
        Self::HalfCompacted,
        Self::MostFreed,
        Self::MostCompacted,
        Self::Churned,
        Self::NewChurned,
        Self::FirstInFirstOut,
    ];

    /// All that have a figure.
    pub fn measured() -> impl Iterator<Item = Self> {
        Self::ALL
            .into_iter()
            .filter(|phase| *phase != Self::Baseline)
    }

    /// For files and pipes.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Baseline => "baseline",
            Self::Stored => "stored",
            Self::HalfFreed => "50-freed",
            Self::HalfCompacted => "50-compacted",
            Self::MostFreed => "75-freed",
            Self::MostCompacted => "75-compacted",
            Self::Churned => "churned",
            Self::NewChurned => "churned-new",
            Self::FirstInFirstOut => "fifo",
        }
    }

    /// For tables.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Baseline => "before",
            Self::Stored => "all pages stored",
            Self::HalfFreed => "random 50 % freed",
            Self::HalfCompacted => "random 50 % freed, then compacted",
            Self::MostFreed => "random 75 % freed",
            Self::MostCompacted => "random 75 % freed, then compacted",
            Self::Churned => "churn on 2 threads",
            Self::NewChurned => "churn on 2 threads, new store",
            Self::FirstInFirstOut => "first in, first out",
        }
    }

    /// The phase of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_name_one_thing_and_every_phase_is_reached_once() {
        for phase in Phase::ALL {
            assert_eq!(Phase::of_word(phase.word()), Some(phase));
        }
        for scenario in Scenario::ALL {
            assert_eq!(Scenario::of_word(scenario.word()), Some(scenario));
        }
        let reached = Scenario::ALL.iter().flat_map(|one| one.phases()).copied();
        assert!(Phase::measured().eq(reached));
    }
}
