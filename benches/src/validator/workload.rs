//! What is timed. Every family runs the same loops, monomorphised.

use std::hint::black_box;

use clap::ValueEnum;
use lockdep::LockClassKey;

use super::family::Family;
use crate::work::Dice;

/// Locks of the workloads with many.
const MANY: usize = 10_000;
/// The turns in which many locks or pairs are gone through: all of them at once take longer than a thread may run undisturbed on a
/// machine that does something else, too.
const PARTS: usize = 10;
/// Classes of [`Workload::Pairs`].
pub const CLASSES: usize = 200;
/// Pairs of these, smaller first.
pub const PAIRS: usize = CLASSES * (CLASSES - 1) / 2;

/// One row of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Workload {
    /// One mutex, locked and unlocked.
    Single,
    /// Three mutexes, nested.
    Nested,
    /// One reader-writer lock, read.
    Read,
    /// Ten thousand mutexes of one class, one after the other.
    OneClass,
    /// The same while another mutex is held.
    OneClassNested,
    /// Ten thousand mutexes, each a class of its own, one after the other.
    Instances,
    /// The same while another mutex is held.
    InstancesNested,
    /// Two hundred classes, any two nested in the one order, pair after pair in random order.
    Pairs,
    /// Two threads of one process, each with a mutex of its own, of one class.
    TwoThreads,
    /// Two processes with such a thread each.
    TwoProcesses,
}

impl Workload {
    /// All, in the order of the report.
    pub const ALL: [Self; 10] = [
        Self::Single,
        Self::Nested,
        Self::Read,
        Self::OneClass,
        Self::OneClassNested,
        Self::Instances,
        Self::InstancesNested,
        Self::Pairs,
        Self::TwoThreads,
        Self::TwoProcesses,
    ];

    /// How the report calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Single => "one mutex",
            Self::Nested => "three nested mutexes",
            Self::Read => "read lock of an rwlock",
            Self::OneClass => "10,000 mutexes of one class",
            Self::OneClassNested => "one class, under an outer mutex",
            Self::Instances => "10,000 mutexes, a class each",
            Self::InstancesNested => "a class each, under an outer mutex",
            Self::Pairs => "200 classes, 19,900 dependencies",
            Self::TwoThreads => "two threads, own mutexes",
            Self::TwoProcesses => "two processes",
        }
    }

    /// The word for it on a command line and in files.
    #[must_use]
    pub fn word(self) -> String {
        let value = self.to_possible_value().expect("no workload is hidden");
        value.get_name().to_owned()
    }

    /// The processes of one window.
    #[must_use]
    pub const fn processes(self) -> usize {
        match self {
            Self::TwoProcesses => 2,
            _ => 1,
        }
    }

    /// The threads of each of them.
    #[must_use]
    pub const fn threads(self) -> usize {
        match self {
            Self::TwoThreads => 2,
            _ => 1,
        }
    }

    /// How many turns of [`Locks::pass`] use every lock.
    #[must_use]
    pub const fn turns(self) -> usize {
        match self {
            Self::OneClass
            | Self::OneClassNested
            | Self::Instances
            | Self::InstancesNested
            | Self::Pairs => PARTS,
            _ => 1,
        }
    }

    /// Whether threads are pinned to a core each.
    #[must_use]
    pub const fn is_pinned(self) -> bool {
        matches!(self, Self::TwoThreads | Self::TwoProcesses)
    }
}

/// A lock and its value on cache lines of their own: 128 bytes, because processors fetch lines in pairs.
#[derive(Debug)]
#[repr(align(128))]
struct Apart<L>(L);

/// The locks of one thread of a workload, ready to be used over and over.
#[derive(Debug)]
pub struct Locks<F: Family> {
    workload: Workload,
    /// One, three, or the outer one.
    few: Vec<Apart<F::Mutex>>,
    rwlock: Apart<F::RwLock>,
    many: Vec<F::Mutex>,
    pairs: Vec<(usize, usize)>,
}

/// A class that lives as long as the process.
#[must_use]
pub fn new_class() -> &'static LockClassKey {
    Box::leak(Box::new(LockClassKey::new("benchmark")))
}

impl<F: Family> Locks<F> {
    /// The locks of `threads` threads, in steady state: everything that will be done was done.
    #[must_use]
    pub fn of_threads(workload: Workload, threads: usize) -> Vec<Self> {
        let class = new_class();
        let locks: Vec<Self> = (0..threads).map(|_| Self::new(workload, class)).collect();
        for of_one in &locks {
            for turn in 0..3 * workload.turns() {
                of_one.pass(turn);
            }
        }
        locks
    }

    fn new(workload: Workload, class: &'static LockClassKey) -> Self {
        let many = match workload {
            Workload::OneClass | Workload::OneClassNested => {
                (0..MANY).map(|_| F::mutex(Some(class))).collect()
            }
            Workload::Instances | Workload::InstancesNested => {
                (0..MANY).map(|_| F::mutex(None)).collect()
            }
            Workload::Pairs => (0..CLASSES).map(|_| F::mutex(Some(new_class()))).collect(),
            _ => Vec::new(),
        };
        let few = match workload {
            Workload::Nested => (0..3).map(|_| Apart(F::mutex(Some(new_class())))).collect(),
            Workload::TwoThreads | Workload::TwoProcesses => vec![Apart(F::mutex(Some(class)))],
            _ => vec![Apart(F::mutex(Some(new_class())))],
        };
        Self {
            workload,
            few,
            rwlock: Apart(F::rwlock()),
            many,
            pairs: match workload {
                Workload::Pairs => shuffled_pairs(),
                _ => Vec::new(),
            },
        }
    }

    /// Goes through all locks once, or does one of [`Workload::turns`], which is long enough for a look at the clock not to matter.
    /// How many operations that were: a lock and its unlock, or a nest of these.
    pub fn pass(&self, turn: usize) -> u64 {
        let outer = &self.few[0].0;
        match self.workload {
            Workload::Single | Workload::TwoThreads | Workload::TwoProcesses => {
                single::<F>(outer, 2000)
            }
            Workload::Nested => nested::<F>([outer, &self.few[1].0, &self.few[2].0], 700),
            Workload::Read => reads::<F>(&self.rwlock.0, 2000),
            Workload::OneClass | Workload::Instances => one_by_one::<F>(part(&self.many, turn)),
            Workload::OneClassNested | Workload::InstancesNested => {
                under::<F>(outer, part(&self.many, turn))
            }
            Workload::Pairs => pairs::<F>(&self.many, part(&self.pairs, turn)),
        }
    }
}

/// One of the [`PARTS`] of `all`.
fn part<T>(all: &[T], turn: usize) -> &[T] {
    let length = all.len() / PARTS;
    &all[turn % PARTS * length..][..length]
}

/// Every pair once, smaller first, in an order that is always the same.
#[must_use]
pub fn shuffled_pairs() -> Vec<(usize, usize)> {
    let mut pairs: Vec<(usize, usize)> = (0..CLASSES)
        .flat_map(|first| (first + 1..CLASSES).map(move |second| (first, second)))
        .collect();
    Dice::new(200).shuffle(&mut pairs);
    pairs
}

// The black boxes hide the locks' addresses, so that no operation can be moved out of the loop. The loops are not
// inlined: each family has one copy of each.

#[inline(never)]
fn single<F: Family>(mutex: &F::Mutex, count: u64) -> u64 {
    for _ in 0..count {
        F::lock(black_box(mutex), |value| *value += 1);
    }
    count
}

#[inline(never)]
fn nested<F: Family>(mutexes: [&F::Mutex; 3], count: u64) -> u64 {
    for _ in 0..count {
        let [first, second, third] = black_box(mutexes);
        F::lock(first, |sum| {
            F::lock(second, |value| {
                F::lock(third, |innermost| *innermost += 1);
                *value += 1;
            });
            *sum += 1;
        });
    }
    count
}

#[inline(never)]
fn reads<F: Family>(rwlock: &F::RwLock, count: u64) -> u64 {
    for _ in 0..count {
        F::read(black_box(rwlock), black_box);
    }
    count
}

#[inline(never)]
fn one_by_one<F: Family>(mutexes: &[F::Mutex]) -> u64 {
    for mutex in mutexes {
        F::lock(black_box(mutex), |value| *value += 1);
    }
    mutexes.len() as u64
}

/// The outer mutex is held for a whole part, so that its own cost is next to nothing.
#[inline(never)]
fn under<F: Family>(outer: &F::Mutex, mutexes: &[F::Mutex]) -> u64 {
    F::lock(outer, |_| one_by_one::<F>(mutexes))
}

#[inline(never)]
fn pairs<F: Family>(mutexes: &[F::Mutex], pairs: &[(usize, usize)]) -> u64 {
    for &(first, second) in pairs {
        F::lock(black_box(&mutexes[first]), |sum| {
            F::lock(black_box(&mutexes[second]), |value| *value += 1);
            *sum += 1;
        });
    }
    pairs.len() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validator::family::{Lockdep, ParkingLot};

    #[test]
    fn every_pair_is_there_once_and_ascends() {
        let mut pairs = shuffled_pairs();
        assert!(!pairs.is_sorted());
        pairs.sort_unstable();
        pairs.dedup();
        assert_eq!(pairs.len(), 19_900);
        assert!(pairs.iter().all(|(first, second)| first < second));
    }

    /// What a pass has counted behind the locks.
    fn increments<F: Family>(locks: &Locks<F>) -> u64 {
        let few = locks.few.iter().map(|mutex| F::lock(&mutex.0, |v| *v));
        let many = locks.many.iter().map(|mutex| F::lock(mutex, |v| *v));
        few.chain(many).sum()
    }

    #[test]
    fn the_turns_use_all_locks_and_count_their_operations() {
        for workload in Workload::ALL {
            let locks = Locks::<ParkingLot>::new(workload, new_class());
            let per_operation = match workload {
                Workload::Read => 0,
                Workload::Nested => 3,
                Workload::Pairs => 2,
                _ => 1,
            };
            let operations: u64 = (0..workload.turns()).map(|turn| locks.pass(turn)).sum();
            let all = match workload {
                Workload::Pairs => PAIRS,
                _ if workload.turns() > 1 => MANY,
                _ => operations as usize,
            };
            assert_eq!(operations, all as u64);
            assert!(operations > 0);
            assert_eq!(
                increments(&locks),
                operations * per_operation,
                "{workload:?}"
            );
        }
    }

    #[test]
    fn all_workloads_are_legal_and_learnt_before_they_are_timed() {
        for workload in Workload::ALL {
            let ((), reports) = lockdep::collect(|| {
                let locks = Locks::<Lockdep>::of_threads(workload, 1);
                locks[0].pass(0);
            });
            assert!(reports.is_empty(), "{workload:?}: {}", reports[0]);
        }
    }
}
