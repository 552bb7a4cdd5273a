//! Who is compared: a family, the environment of its process, and the build that it needs.

use clap::ValueEnum;

/// One column of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Contender {
    /// parking_lot 0.13, the lock under lockdep.
    ParkingLot,
    /// parking_lot 0.12, the lock under the others.
    ParkingLot012,
    /// lockdep as it comes.
    Lockdep,
    /// `LOCKDEP=off`.
    LockdepOff,
    /// `LOCKDEP=stat`.
    LockdepStat,
    /// `LOCKDEP=trace`, and no subscriber.
    LockdepTrace,
    /// tracing-mutex 0.3.
    TracingMutex,
    /// deloxide 1.1.
    Deloxide,
    /// parking_lot 0.12 with `deadlock_detection`, in a build of its own.
    DeadlockDetection,
}

impl Contender {
    /// All, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::Lockdep,
        Self::LockdepOff,
        Self::LockdepStat,
        Self::LockdepTrace,
        Self::TracingMutex,
        Self::Deloxide,
        Self::DeadlockDetection,
        Self::ParkingLot,
        Self::ParkingLot012,
    ];

    /// How the report calls it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::ParkingLot => "parking_lot 0.13",
            Self::ParkingLot012 => "parking_lot 0.12",
            Self::Lockdep => "lockdep",
            Self::LockdepOff => "lockdep off",
            Self::LockdepStat => "lockdep stat",
            Self::LockdepTrace => "lockdep trace",
            Self::TracingMutex => "tracing-mutex 0.3",
            Self::Deloxide => "deloxide 1.1",
            Self::DeadlockDetection => "parking_lot 0.12 deadlock_detection",
        }
    }

    /// The same lock untracked; `None` for those that are.
    #[must_use]
    pub const fn untracked(self) -> Option<Self> {
        match self {
            Self::ParkingLot | Self::ParkingLot012 => None,
            Self::Lockdep | Self::LockdepOff | Self::LockdepStat | Self::LockdepTrace => {
                Some(Self::ParkingLot)
            }
            Self::TracingMutex | Self::Deloxide | Self::DeadlockDetection => {
                Some(Self::ParkingLot012)
            }
        }
    }

    /// What the environment variable `LOCKDEP` is for it. Nothing is inherited.
    #[must_use]
    pub const fn environment(self) -> Option<&'static str> {
        match self {
            Self::LockdepOff => Some("off"),
            Self::LockdepStat => Some("stat"),
            Self::LockdepTrace => Some("trace"),
            _ => None,
        }
    }

    /// Whether it needs the build with the feature `deadlock-detection`, in which nothing else is measured.
    #[must_use]
    pub const fn needs_detection(self) -> bool {
        matches!(self, Self::DeadlockDetection)
    }

    /// Whether it learns the order of locks, so that a new dependency costs something and something is kept.
    #[must_use]
    pub const fn learns(self) -> bool {
        matches!(self, Self::Lockdep | Self::TracingMutex | Self::Deloxide)
    }

    /// The word for it on a command line.
    #[must_use]
    pub fn word(self) -> String {
        let value = self.to_possible_value().expect("no contender is hidden");
        value.get_name().to_owned()
    }
}

/// Calls a function for the [`Family`](super::family::Family) of a contender.
macro_rules! with_family {
    ($contender:expr, $family:ident => $call:expr) => {{
        use $crate::validator::contender::Contender;
        use $crate::validator::family;
        match $contender {
            Contender::ParkingLot => {
                type $family = family::ParkingLot;
                $call
            }
            Contender::ParkingLot012 | Contender::DeadlockDetection => {
                type $family = family::ParkingLot012;
                $call
            }
            Contender::Lockdep
            | Contender::LockdepOff
            | Contender::LockdepStat
            | Contender::LockdepTrace => {
                type $family = family::Lockdep;
                $call
            }
            Contender::TracingMutex => {
                type $family = family::TracingMutex;
                $call
            }
            Contender::Deloxide => {
                type $family = family::Deloxide;
                $call
            }
        }
    }};
}
pub(super) use with_family;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_ratio_is_to_a_contender_that_is_untracked_itself() {
        for contender in Contender::ALL {
            let untracked = contender.untracked().unwrap_or(contender);
            assert_eq!(untracked.untracked(), None, "{contender:?}");
            assert!(!untracked.needs_detection() && !untracked.learns());
        }
    }

    #[test]
    fn words_are_understood() {
        for contender in Contender::ALL {
            let parsed = Contender::from_str(&contender.word(), false);
            assert_eq!(parsed, Ok(contender));
            assert!(!contender.name().contains(','), "a field of the CSV file");
        }
    }
}
