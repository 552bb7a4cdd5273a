//! What a validator keeps for locks: the growth of the process's resident memory over many of them, by their number.

use std::fs;
use std::hint::black_box;

use clap::ValueEnum;

use super::family::Family;
use super::workload::new_class;

/// The locks of a measurement.
pub const LOCKS: usize = 1_000_000;
/// So many before, so that tables of bounded size and the allocator have what they need.
pub const BEFORE: usize = 1_000_000;

/// Which locks, each taken once while another lock is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Kept {
    /// Of one class, and all alive. What the locks are made of does not count.
    AliveOneClass,
    /// Of one class; each is dropped before the next is made.
    DroppedOneClass,
    /// Each a class of its own; each is dropped before the next is made.
    DroppedInstances,
}

impl Kept {
    /// All, in the order of the report.
    pub const ALL: [Self; 3] = [
        Self::AliveOneClass,
        Self::DroppedOneClass,
        Self::DroppedInstances,
    ];

    /// How the report calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::AliveOneClass => "one class, alive",
            Self::DroppedOneClass => "one class, dropped",
            Self::DroppedInstances => "a class each, dropped",
        }
    }

    /// The word for it on a command line.
    #[must_use]
    pub fn word(self) -> String {
        let value = self.to_possible_value().expect("no measurement is hidden");
        value.get_name().to_owned()
    }
}

/// Bytes that the process has grown by for each lock.
///
/// # Panics
///
/// If the kernel does not tell how large the process is.
#[must_use]
pub fn measure<F: Family>(kept: Kept) -> f64 {
    let class = match kept {
        Kept::AliveOneClass | Kept::DroppedOneClass => Some(new_class()),
        Kept::DroppedInstances => None,
    };
    let outer = F::mutex(Some(new_class()));
    let take = |mutex: &F::Mutex| {
        F::lock(black_box(&outer), |_| {
            F::lock(black_box(mutex), |value| *value += 1);
        });
    };
    let take_and_drop = |count: usize| {
        for _ in 0..count {
            take(&F::mutex(class));
        }
    };
    take_and_drop(BEFORE);
    // Made before the process is measured, so that only what taking them adds is counted.
    let alive: Vec<F::Mutex> = match kept {
        Kept::AliveOneClass => (0..LOCKS).map(|_| F::mutex(class)).collect(),
        Kept::DroppedOneClass | Kept::DroppedInstances => Vec::new(),
    };
    let before = resident();
    match kept {
        Kept::AliveOneClass => alive.iter().for_each(take),
        Kept::DroppedOneClass | Kept::DroppedInstances => take_and_drop(LOCKS),
    }
    (resident() - before) as f64 / LOCKS as f64
}

/// Bytes of memory that this process has.
fn resident() -> i64 {
    let statm = fs::read_to_string("/proc/self/statm").expect("Linux tells how large a process is");
    let pages = resident_pages(&statm).expect("the second number of statm");
    pages * i64::try_from(rustix::param::page_size()).expect("pages are small")
}

fn resident_pages(statm: &str) -> Option<i64> {
    statm.split(' ').nth(1)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn resident_is_the_second_number() {
        assert_eq!(resident_pages("1234 56 7 8 0 9 0\n"), Some(56));
        assert_eq!(resident_pages(""), None);
    }

    #[test]
    fn the_process_is_larger_by_what_it_touches() {
        let before = resident();
        let touched = black_box(vec![1_u8; 64 << 20]);
        let grown = resident() - before;
        assert!(grown > 60 << 20, "{grown} bytes for {}", touched.len());
    }
}
