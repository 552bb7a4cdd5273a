//! What is timed.

use super::contender::Contender;

/// A row of the tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Row {
    /// A random object is copied to a buffer.
    Copy,
    /// The same object is mapped and unmapped again and again.
    Hot,
    /// All objects are stored in an empty store.
    Grow,
    /// Objects are stored where random ones were just freed.
    Refill,
    /// Random objects of a full store are freed, few at a time.
    Free,
    /// All objects are freed, in random order, one by one.
    FreeAll,
    /// The same, many with each call.
    FreeMany,
    /// A random half was freed; the rest is compacted. The unit is a page given back.
    Compact,
    /// Two threads do this at the same time.
    Two(Mix, Stores),
}

/// What two threads do, each with objects of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mix {
    /// Map random objects and unmap them.
    Reads,
    /// Free a random object and store another: compressed pages, thus of many classes.
    Churn,
    /// The same, but all objects are of one class.
    OneClass,
}

impl Mix {
    /// All.
    pub const ALL: [Self; 3] = [Self::Reads, Self::Churn, Self::OneClass];
}

/// On how many stores two threads work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stores {
    /// On one that both share.
    One,
    /// On one each.
    Two,
}

impl Row {
    /// All, in the order of the report.
    pub const ALL: [Self; 14] = [
        Self::Copy,
        Self::Hot,
        Self::Grow,
        Self::Refill,
        Self::Free,
        Self::FreeAll,
        Self::FreeMany,
        Self::Compact,
        Self::Two(Mix::Reads, Stores::One),
        Self::Two(Mix::Reads, Stores::Two),
        Self::Two(Mix::Churn, Stores::One),
        Self::Two(Mix::Churn, Stores::Two),
        Self::Two(Mix::OneClass, Stores::One),
        Self::Two(Mix::OneClass, Stores::Two),
    ];

    /// Those that repeat one operation as often as wanted, and thus can be counted.
    pub const LOOPS: [Self; 4] = [Self::Copy, Self::Hot, Self::Refill, Self::Free];

    /// For files and arguments.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Copy => "copy",
            Self::Hot => "hot",
            Self::Grow => "grow",
            Self::Refill => "refill",
            Self::Free => "free",
            Self::FreeAll => "free-all",
            Self::FreeMany => "free-many",
            Self::Compact => "compact",
            Self::Two(Mix::Reads, Stores::One) => "two-reads-shared",
            Self::Two(Mix::Reads, Stores::Two) => "two-reads-apart",
            Self::Two(Mix::Churn, Stores::One) => "two-churn-shared",
            Self::Two(Mix::Churn, Stores::Two) => "two-churn-apart",
            Self::Two(Mix::OneClass, Stores::One) => "two-one-class-shared",
            Self::Two(Mix::OneClass, Stores::Two) => "two-one-class-apart",
        }
    }

    /// For people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Copy => "read + copy, random objects",
            Self::Hot => "read + drop, one object",
            Self::Grow => "insert into an empty store",
            Self::Refill => "insert into a full store",
            Self::Free => "free of some, random",
            Self::FreeAll => "free of all, random",
            Self::FreeMany => "free of all, 256 a call",
            Self::Compact => "compaction, a page gained",
            Self::Two(Mix::Reads, Stores::One) => "2 threads read + drop, one store",
            Self::Two(Mix::Reads, Stores::Two) => "2 threads read + drop, own stores",
            Self::Two(Mix::Churn, Stores::One) => "2 threads free + insert, one store",
            Self::Two(Mix::Churn, Stores::Two) => "2 threads free + insert, own stores",
            Self::Two(Mix::OneClass, Stores::One) => "2 threads, one class, one store",
            Self::Two(Mix::OneClass, Stores::Two) => "2 threads, one class, own stores",
        }
    }

    /// Whether `contender` has anything to show here.
    #[must_use]
    pub const fn is_for(self, contender: Contender) -> bool {
        match self {
            Self::Hot => {
                !contender.differs_in_pages_only() && !matches!(contender, Contender::Locked)
            }
            Self::Copy => {
                !contender.differs_in_pages_only()
                    && !matches!(contender, Contender::Pinned | Contender::Pair)
            }
            Self::Two(Mix::Reads, _) if matches!(contender, Contender::Locked) => true,
            Self::Two(Mix::Churn, _) if matches!(contender, Contender::Retaining) => true,
            _ if contender.is_floor() => false,
            Self::Grow | Self::Refill | Self::Free | Self::FreeAll | Self::FreeMany => true,
            Self::Compact => !matches!(contender, Contender::Glibc),
            Self::Two(..) => !contender.differs_in_pages_only(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_unique_and_need_no_quotes() {
        let mut words = Row::ALL.map(Row::word).to_vec();
        assert!(words.iter().all(|word| !word.contains([',', ' ', '"'])));
        words.sort();
        words.dedup();
        assert_eq!(words.len(), Row::ALL.len());
    }

    #[test]
    fn malloc_takes_part_in_all_but_compaction() {
        for row in Row::ALL {
            assert_eq!(row.is_for(Contender::Glibc), row != Row::Compact);
        }
    }
}
