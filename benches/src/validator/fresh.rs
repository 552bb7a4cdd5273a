//! Dependencies that are seen for the first time: what each costs, the two locks and the clock included.

use std::fmt;
use std::hint::black_box;
use std::time::Instant;

use clap::ValueEnum;

use super::contender::Contender;
use super::family::Family;
use super::workload::{CLASSES, new_class, shuffled_pairs};

/// New classes of [`Case::Search`] and [`Case::AfterReport`].
const NEWCOMERS: usize = 100;

/// Which dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Between 200 classes that were met in the order of their dependencies: nothing has to be searched.
    Ordered,
    /// The same dependencies in random order among classes that nothing is known of: the order is found on the way.
    Random,
    /// From a class that comes last in the order to the first of 200 classes, between which there are all 19,900
    /// dependencies.
    Search,
    /// The same 200 classes after an inversion of the first and the last was reported: no order is left that could
    /// answer, and all of them are reached. The dependency is from a class between to the one in the middle.
    AfterReport,
}

impl Case {
    /// All, in the order of the report.
    pub const ALL: [Self; 4] = [Self::Ordered, Self::Random, Self::Search, Self::AfterReport];

    /// How the report calls it.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Ordered => "along a known order",
            Self::Random => "in random order",
            Self::Search => "against the known order",
            Self::AfterReport => "after a report",
        }
    }

    /// Whether it is measured with `contender`. Only lockdep goes on after a report.
    #[must_use]
    pub fn is_for(self, contender: Contender) -> bool {
        contender.learns() && (self != Self::AfterReport || contender == Contender::Lockdep)
    }

    /// The word for it on a command line.
    #[must_use]
    pub fn word(self) -> String {
        let value = self.to_possible_value().expect("no case is hidden");
        value.get_name().to_owned()
    }
}

/// Nanoseconds for a new dependency.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Cost {
    /// The middle one.
    pub median: f64,
    /// Of a hundred the second worst: without what the machine did in between.
    pub percentile_99: f64,
    /// The worst.
    pub worst: f64,
}

impl Cost {
    fn of(mut nanoseconds: Vec<f64>) -> Self {
        nanoseconds.sort_by(f64::total_cmp);
        let last = nanoseconds.len() - 1;
        Self {
            median: nanoseconds[last / 2],
            percentile_99: nanoseconds[last * 99 / 100],
            worst: nanoseconds[last],
        }
    }

    /// What [`Display`](fmt::Display) has written.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let numbers: Vec<f64> = text
            .split(' ')
            .map(str::parse)
            .collect::<Result<_, _>>()
            .ok()?;
        let [median, percentile_99, worst] = numbers.try_into().ok()?;
        Some(Self {
            median,
            percentile_99,
            worst,
        })
    }
}

impl fmt::Display for Cost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.median, self.percentile_99, self.worst)
    }
}

/// Makes the dependencies of `case` and times each. To be done once a process.
#[must_use]
pub fn measure<F: Family>(case: Case) -> Cost {
    let classes: Vec<F::Mutex> = new_locks::<F>(CLASSES);
    if case == Case::Random {
        return Cost::of(time::<F>(&classes, &classes, &shuffled_pairs()));
    }
    let newcomers = new_locks::<F>(NEWCOMERS);
    let middle = CLASSES / 2;
    make_chain::<F>(&classes[..middle]);
    if case == Case::AfterReport {
        place_after_all::<F>(&newcomers);
    }
    make_chain::<F>(&classes[middle - 1..]);
    let mut pairs = shuffled_pairs();
    pairs.retain(|(first, second)| first + 1 < *second);
    let along = time::<F>(&classes, &classes, &pairs);
    let first_of = |class| (0..NEWCOMERS).map(|new| (new, class)).collect::<Vec<_>>();
    Cost::of(match case {
        Case::Random | Case::Ordered => along,
        Case::Search => {
            place_after_all::<F>(&newcomers);
            time::<F>(&newcomers, &classes, &first_of(0))
        }
        Case::AfterReport => {
            invert::<F>(&classes);
            time::<F>(&newcomers, &classes, &first_of(middle))
        }
    })
}

/// Mutexes of a class each. They were taken: a lock's first acquisition gives it its name, which is not what is
/// measured.
fn new_locks<F: Family>(count: usize) -> Vec<F::Mutex> {
    let locks: Vec<F::Mutex> = (0..count).map(|_| F::mutex(Some(new_class()))).collect();
    for mutex in &locks {
        F::lock(mutex, |value| *value += 1);
    }
    locks
}

/// Makes a dependency from each to the next.
fn make_chain<F: Family>(classes: &[F::Mutex]) {
    for neighbours in classes.windows(2) {
        F::lock(&neighbours[0], |_| F::lock(&neighbours[1], |_| ()));
    }
}

/// Gives these a dependency, on a class that has no other: a validator that keeps the classes in order appends them.
fn place_after_all<F: Family>(newcomers: &[F::Mutex]) {
    let parent = F::mutex(Some(new_class()));
    for newcomer in newcomers {
        F::lock(&parent, |_| F::lock(newcomer, |_| ()));
    }
}

/// Takes the first while the last is held, and keeps the reports; there is one.
fn invert<F: Family>(classes: &[F::Mutex]) -> usize {
    let (first, last) = (&classes[0], &classes[CLASSES - 1]);
    let ((), reports) = lockdep::collect(|| F::lock(last, |_| F::lock(first, |_| ())));
    reports.len()
}

/// Nanoseconds of each inner lock and unlock.
#[inline(never)]
fn time<F: Family>(outer: &[F::Mutex], inner: &[F::Mutex], pairs: &[(usize, usize)]) -> Vec<f64> {
    let nest = |&(first, second): &(usize, usize)| {
        F::lock(black_box(&outer[first]), |_| {
            let started = Instant::now();
            F::lock(black_box(&inner[second]), |value| *value += 1);
            started.elapsed().as_nanos() as f64
        })
    };
    pairs.iter().map(nest).collect()
}

#[cfg(test)]
mod tests {
    use std::cell::{Cell, RefCell};
    use std::collections::HashSet;

    use lockdep::LockClassKey;

    use super::*;
    use crate::validator::family::Lockdep;
    use crate::validator::workload::PAIRS;

    #[test]
    fn costs_are_what_they_say_and_survive_a_pipe() {
        let cost = Cost::of((0..=200).rev().map(f64::from).collect());
        assert_eq!((cost.median, cost.worst), (100.0, 200.0));
        assert_eq!(cost.percentile_99, 198.0);
        assert_eq!(Cost::parse(&cost.to_string()), Some(cost));
        assert_eq!(Cost::parse("1 2"), None);
    }

    /// Locks that note which of them were nested.
    struct Notes;

    thread_local! {
        static NEXT: Cell<u64> = const { Cell::new(0) };
        static HELD: RefCell<Vec<u64>> = const { RefCell::new(Vec::new()) };
        static SEEN: RefCell<HashSet<(u64, u64)>> = RefCell::new(HashSet::new());
    }

    impl Family for Notes {
        type Mutex = u64;
        type RwLock = ();

        fn mutex(_: Option<&'static LockClassKey>) -> u64 {
            NEXT.replace(NEXT.get() + 1)
        }

        fn rwlock() {}

        fn lock<R>(mutex: &u64, section: impl FnOnce(&mut u64) -> R) -> R {
            for held in HELD.with_borrow(Clone::clone) {
                let new = SEEN.with_borrow_mut(|seen| seen.insert((held, *mutex)));
                assert!(new, "{held} before {mutex} is not new");
            }
            HELD.with_borrow_mut(|held| held.push(*mutex));
            let result = section(&mut 0);
            HELD.with_borrow_mut(Vec::pop);
            result
        }

        fn read<R>(_: &(), section: impl FnOnce(u64) -> R) -> R {
            section(0)
        }
    }

    #[test]
    fn every_dependency_is_new() {
        for (case, expected) in [
            (Case::Random, PAIRS),
            (Case::Ordered, PAIRS),
            (Case::Search, PAIRS + 2 * NEWCOMERS),
            (Case::AfterReport, PAIRS + 2 * NEWCOMERS + 1),
        ] {
            SEEN.with_borrow_mut(HashSet::clear);
            NEXT.set(0);
            let _ = measure::<Notes>(case);
            assert_eq!(SEEN.with_borrow(HashSet::len), expected, "{case:?}");
        }
    }

    #[test]
    fn the_inversion_is_reported_once() {
        let classes = new_locks::<Lockdep>(CLASSES);
        make_chain::<Lockdep>(&classes);
        assert_eq!(invert::<Lockdep>(&classes), 1);
        assert_eq!(invert::<Lockdep>(&classes), 0);
    }

    #[test]
    fn no_other_dependency_is_a_deadlock() {
        for case in Case::ALL {
            let (_, reports) = lockdep::collect(|| measure::<Lockdep>(case));
            assert!(reports.is_empty(), "{case:?}: {}", reports[0]);
        }
    }
}
