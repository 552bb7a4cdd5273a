//! What a lock in every zspage costs: its bytes spread over the objects of the zspage.
//!
//! The question was asked when the kernel's zspage lock was replaced (the series "zsmalloc: make
//! zspage lock preemptible", S. Senozhatsky, LKML 2025): how much memory is a lock per compressed
//! page, given that the length of a zspage is a function of the size class? As it is, the answer is
//! a computation and not a measurement. A zspage has one lock, so an object of a class with `n`
//! slots per zspage pays `lock_bytes / n`, and there are finitely many classes. The answer for seven
//! locks is in [a chapter of its own](crate::docs::overhead).
//!
//! ```
//! use zsalloc::{overhead, size_class};
//!
//! let table = size_class::table(4096, 8);
//!
//! // One class: 8 pages hold 15 objects of 2176 bytes, which share one lock of 4 bytes.
//! let class = table[size_class::raw_index(4096, 2100)];
//! assert_eq!((class.pages_per_zspage(), class.objects_per_zspage()), (8, 15));
//! assert_eq!(overhead::of_class(&class, 4), 4.0 / 15.0);
//!
//! // All of them.
//! let cost = overhead::per_object(&table, 4);
//! assert_eq!((cost.all.count, cost.distinct.count), (255, 119));
//! assert!(cost.all.mean < 0.9 && cost.distinct.mean < 0.4 && cost.all.max == 4.0);
//!
//! // Weighted with the sizes that are really stored: (length, how many).
//! let cost = overhead::for_sizes(&table, 4, [(1_000, 90), (2_500, 9), (4_096, 1)]);
//! assert_eq!((cost.figures.count, cost.refused), (100, 0));
//! assert!(cost.figures.percent < 0.1);
//! ```
//!
//! # What the figures contain, and what not
//!
//! * They are those of **full** zspages. With a share `f` of the slots in use an object pays `1 / f`
//!   of them, so twice as much in a pool that is half full.
//! * They are the bytes of the lock alone. Whether the structure around it grows by as much depends
//!   on its padding, and other metadata (an entry per handle, a header per zspage) come on top.
//! * Lengths of zspages are those of the [table](crate::size_class::table), that is of
//!   [`ClassPolicy::Zsmalloc`](crate::ClassPolicy::Zsmalloc). A pool that
//!   [adapts](crate::ClassPolicy::Adaptive) them begins a class with shorter zspages and goes up to
//!   longer ones.
//!
//! The share of the stored bytes has a simple bound: a zspage has at least one page and one lock, so
//! it is about `lock_bytes / page_size` at most, however large or small the slots are, if the objects
//! fill them.

use crate::size_class::SizeClass;

/// The cost of a lock over the classes of a table, in bytes per object: see [`per_object`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct PerObject {
    /// Every raw class counts once: as if all object sizes were equally frequent.
    pub all: Figures,
    /// Every class that serves counts once, however many raw classes were merged into it.
    pub distinct: Figures,
}

/// The cost of a lock for given object sizes: see [`for_sizes`].
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub struct ForSizes {
    /// The figures over the objects that a pool would store.
    pub figures: Figures,
    /// Objects that a pool refuses, of length 0 or longer than the largest class. They are in no
    /// other figure.
    pub refused: u64,
}

/// A distribution of bytes per object. All figures of an empty one are 0.
///
/// The median and the percentile are quotients of two integers, found by comparing integers and
/// rounded once. The mean is a sum of such quotients.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Figures {
    /// How many classes, or objects, the figures are about.
    pub count: u64,
    /// The arithmetic mean, in bytes.
    pub mean: f64,
    /// The value in the middle, in bytes; of an even number of values the mean of the two in the
    /// middle.
    pub median: f64,
    /// The 90th percentile by the nearest rank, in bytes: the smallest value that at least 90 % of
    /// all do not exceed.
    pub p90: f64,
    /// The largest value, in bytes.
    pub max: f64,
    /// The lock's share of the stored bytes, in per cent: the sum of the costs over the sum of the
    /// objects' lengths. A class stands for one object that fills its slot.
    pub percent: f64,
}

/// What an object of `class` pays in a full zspage for a lock of `lock_bytes`, in bytes: an exact
/// quotient, rounded once.
pub fn of_class(class: &SizeClass, lock_bytes: usize) -> f64 {
    lock_bytes as f64 / class.objects_per_zspage() as f64
}

/// What a lock of `lock_bytes` in every zspage costs an object of each class of `table`, which
/// [`size_class::table`](crate::size_class::table) has made. Neighbours that are equal are raw
/// classes served by the same class.
///
/// An empty table has no costs: all figures are 0.
pub fn per_object(table: &[SizeClass], lock_bytes: usize) -> PerObject {
    let one_each = |classes: &[SizeClass]| {
        let samples = classes
            .iter()
            .map(|class| Sample::new(class, class.size(), 1));
        Figures::of(samples.collect(), lock_bytes)
    };
    let mut distinct = table.to_vec();
    distinct.dedup();
    PerObject {
        all: one_each(table),
        distinct: one_each(&distinct),
    }
}

/// What a lock of `lock_bytes` in every zspage costs the given objects: pairs of a length in bytes
/// and the number of objects of that length, in any order. An object is served by the smallest
/// class of `table` that is long enough, as in a pool.
///
/// Without objects, or with an empty table, all figures are 0.
pub fn for_sizes(
    table: &[SizeClass],
    lock_bytes: usize,
    sizes: impl IntoIterator<Item = (usize, u64)>,
) -> ForSizes {
    let mut samples = Vec::new();
    let mut refused = 0u64;
    for (len, count) in sizes {
        let class = table.get(table.partition_point(|class| class.size() < len));
        match class {
            Some(class) if len > 0 => samples.push(Sample::new(class, len, count)),
            _ => refused = refused.saturating_add(count),
        }
    }
    ForSizes {
        figures: Figures::of(samples, lock_bytes),
        refused,
    }
}

/// `count` objects of `len` bytes that share a lock among `slots`.
struct Sample {
    slots: usize,
    len: usize,
    count: u64,
}

impl Sample {
    fn new(class: &SizeClass, len: usize, count: u64) -> Self {
        Sample {
            slots: class.objects_per_zspage(),
            len,
            count,
        }
    }
}

impl Figures {
    fn of(mut samples: Vec<Sample>, lock_bytes: usize) -> Self {
        samples.retain(|sample| sample.count > 0);
        // The more slots share a lock, the less an object pays: ascending costs.
        samples.sort_by_key(|sample| std::cmp::Reverse(sample.slots));
        let Some(last) = samples.last() else {
            return Self::default();
        };
        let cost = |slots: usize| lock_bytes as f64 / slots as f64;
        let count = samples
            .iter()
            .fold(0u64, |sum, sample| sum.saturating_add(sample.count));
        let sum = |of: fn(&Sample) -> f64| -> f64 {
            samples
                .iter()
                .map(|sample| of(sample) * sample.count as f64)
                .sum()
        };
        let costs = lock_bytes as f64 * sum(|sample| 1.0 / sample.slots as f64);
        let at = |rank| cost(slots_at(&samples, rank));
        Self {
            count,
            mean: costs / count as f64,
            median: (at(count.div_ceil(2)) + at(count / 2 + 1)) / 2.0,
            p90: at(ninety_percent(count)),
            max: cost(last.slots),
            percent: 100.0 * costs / sum(|sample| sample.len as f64),
        }
    }
}

/// The smallest rank, counted from 1, that covers nine tenths of `count`.
fn ninety_percent(count: u64) -> u64 {
    // Lossless: at most `count`.
    (u128::from(count) * 9).div_ceil(10) as u64
}

/// The slots of the sample that contains the object of this rank, counted from 1.
fn slots_at(samples: &[Sample], rank: u64) -> usize {
    let mut seen = 0u64;
    let found = samples.iter().find(|sample| {
        seen = sample.count.saturating_add(seen);
        seen >= rank
    });
    found.map_or(0, |sample| sample.slots)
}
