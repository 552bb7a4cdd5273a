//! What is timed. Every contender runs the same loops, monomorphised.

use std::hint::black_box;
use std::time::{Duration, Instant};

use crate::contender::Contender;
use crate::work::{Dice, Work};

/// One row of the comparison.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cell {
    /// Lock and unlock for reading, alone.
    Read,
    /// Lock and unlock for writing, alone.
    Write,
    /// `try_write` and unlock, alone.
    TryWrite,
    /// `try_write` while the same thread holds a read lock.
    FailingTryWrite,
    /// Two threads read one lock.
    TwoReaders,
    /// Two threads: 99 reads, then a write.
    Mixed,
    /// Eight threads, nine of ten sections read, a section works for about a microsecond.
    Oversubscribed,
    /// The same, but what counts is the longest that any thread waited for any section.
    LongestWait,
}

/// What a cell is measured in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds per operation of one thread: less is better.
    Nanoseconds,
    /// Million operations per second of all threads: more is better.
    MillionPerSecond,
    /// Milliseconds: less is better.
    Milliseconds,
}

impl Cell {
    /// All, in the order of the report.
    pub const ALL: [Self; 8] = [
        Self::Read,
        Self::Write,
        Self::TryWrite,
        Self::FailingTryWrite,
        Self::TwoReaders,
        Self::Mixed,
        Self::Oversubscribed,
        Self::LongestWait,
    ];

    /// One word for files, options and benchmark groups.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Read => "read",
            Self::Write => "write",
            Self::TryWrite => "try_write",
            Self::FailingTryWrite => "failing_try_write",
            Self::TwoReaders => "two_readers",
            Self::Mixed => "mixed_99_1",
            Self::Oversubscribed => "oversubscribed",
            Self::LongestWait => "longest_wait",
        }
    }

    /// The same for people.
    #[must_use]
    pub const fn title(self) -> &'static str {
        match self {
            Self::Read => "uncontended read pair",
            Self::Write => "uncontended write pair",
            Self::TryWrite => "try_write, ok",
            Self::FailingTryWrite => "try_write on a read-held lock, failing",
            Self::TwoReaders => "2 threads reading one lock",
            Self::Mixed => "2 threads, 99 % read, 1 % write",
            Self::Oversubscribed => "8 threads, 90 % read, 1 us sections",
            Self::LongestWait => "the longest wait there",
        }
    }

    /// How many threads run it.
    #[must_use]
    pub const fn threads(self) -> usize {
        match self {
            Self::Read | Self::Write | Self::TryWrite | Self::FailingTryWrite => 1,
            Self::TwoReaders | Self::Mixed => 2,
            Self::Oversubscribed | Self::LongestWait => 8,
        }
    }

    /// What its figures mean.
    #[must_use]
    pub const fn unit(self) -> Unit {
        match self.threads() {
            1 => Unit::Nanoseconds,
            2 => Unit::MillionPerSecond,
            _ if matches!(self, Self::LongestWait) => Unit::Milliseconds,
            _ => Unit::MillionPerSecond,
        }
    }

    /// Operations between two looks at the clock.
    #[must_use]
    pub const fn batch(self) -> u64 {
        match self.threads() {
            1 => 1000,
            2 => 100,
            _ => 1,
        }
    }

    /// Whether somebody may be excluded, which the floor cannot do.
    #[must_use]
    pub const fn needs_exclusion(self) -> bool {
        matches!(self, Self::Mixed | Self::Oversubscribed | Self::LongestWait)
    }

    /// Runs `count` operations as one of this cell's threads.
    pub fn run<C: Contender>(self, lock: &C, worker: &mut Worker, count: u64) {
        match self {
            Self::Read | Self::TwoReaders => read_pairs(lock, count),
            Self::Write => worker.writes += write_pairs(lock, count),
            Self::TryWrite => {
                assert!(
                    try_write_pairs(lock, count),
                    "{} refused a free lock",
                    C::NAME
                );
                worker.writes += count;
            }
            Self::FailingTryWrite => assert!(
                lock.read(|_| failing_try_writes(lock, count)),
                "{} let a writer in beside a reader",
                C::NAME
            ),
            Self::Mixed => worker.writes += mixed(lock, count),
            Self::Oversubscribed => sections(lock, worker, count),
            Self::LongestWait => timed_sections(lock, worker, count),
        }
    }
}

/// What one thread of a cell carries along.
#[derive(Clone, Debug)]
pub struct Worker {
    dice: Dice,
    work: Work,
    /// Write sections so far: the value behind the lock must come to the sum of these.
    pub writes: u64,
    /// The longest wait for a section so far, in [`Cell::LongestWait`].
    pub longest_wait: Duration,
}

impl Worker {
    /// A thread whose sections do `work` and whose dice fall as `seed` says.
    #[must_use]
    pub fn new(seed: u64, work: Work) -> Self {
        Self {
            dice: Dice::new(seed),
            work,
            writes: 0,
            longest_wait: Duration::ZERO,
        }
    }
}

// The black boxes hide the lock's address, so that no operation can be moved out of the loop, and make the value
// needed. The loops are not inlined: each contender has one copy of each, whoever calls it.

#[inline(never)]
fn read_pairs<C: Contender>(lock: &C, count: u64) {
    for _ in 0..count {
        black_box(lock).read(black_box);
    }
}

#[inline(never)]
fn write_pairs<C: Contender>(lock: &C, count: u64) -> u64 {
    for _ in 0..count {
        black_box(lock).write(|value| *value += 1);
    }
    count
}

/// `false` at the first that fails. Counting them would measure how a lock's answer becomes a number.
#[inline(never)]
fn try_write_pairs<C: Contender>(lock: &C, count: u64) -> bool {
    for _ in 0..count {
        if black_box(lock).try_write(|value| *value += 1).is_none() {
            return false;
        }
    }
    true
}

/// `false` at the first that succeeds.
#[inline(never)]
fn failing_try_writes<C: Contender>(lock: &C, count: u64) -> bool {
    for _ in 0..count {
        if black_box(lock).try_write(|value| *value += 1).is_some() {
            return false;
        }
    }
    true
}

/// Ninety-nine reads, then a write.
#[inline(never)]
fn mixed<C: Contender>(lock: &C, count: u64) -> u64 {
    for _ in 0..count / 100 {
        for _ in 0..99 {
            black_box(lock).read(black_box);
        }
        black_box(lock).write(|value| *value += 1);
    }
    count / 100
}

#[inline(never)]
fn sections<C: Contender>(lock: &C, worker: &mut Worker, count: u64) {
    for _ in 0..count {
        if worker.dice.roll(10) == 0 {
            worker.writes += 1;
            black_box(lock).write(|value| {
                *value += 1;
                worker.work.run(*value);
            });
        } else {
            black_box(lock).read(|value| worker.work.run(value));
        }
    }
}

/// The same with two looks at the clock around each acquisition, which is why its throughput is not reported.
#[inline(never)]
fn timed_sections<C: Contender>(lock: &C, worker: &mut Worker, count: u64) {
    for _ in 0..count {
        let write = worker.dice.roll(10) == 0;
        let asked = Instant::now();
        let waited = if write {
            worker.writes += 1;
            black_box(lock).write(|value| {
                let waited = asked.elapsed();
                *value += 1;
                worker.work.run(*value);
                waited
            })
        } else {
            black_box(lock).read(|value| {
                let waited = asked.elapsed();
                worker.work.run(value);
                waited
            })
        };
        worker.longest_wait = worker.longest_wait.max(waited);
    }
}
