//! One timed stretch of one cell with one contender.

use std::sync::Barrier;
use std::sync::atomic::AtomicBool;
use std::sync::atomic::Ordering::Relaxed;
use std::thread;
use std::time::{Duration, Instant};

use crate::cell::{Cell, Unit, Worker};
use crate::contender::Contender;
use crate::load::{self, Moment};
use crate::work::Work;

/// Windows in which others had more than this share are dropped.
pub const TOLERATED_LOAD: f64 = 0.1;

/// What a window showed.
#[derive(Clone, Copy, Debug)]
pub struct Window {
    /// Operations that all threads completed.
    pub operations: u64,
    /// From the first thread's start to the call to stop.
    pub elapsed: Duration,
    /// The longest wait of any thread for any section, in [`Cell::LongestWait`].
    pub longest_wait: Duration,
    /// The share that others had, see [`load`].
    pub foreign: f64,
}

impl Window {
    /// The figure, in the cell's unit.
    #[must_use]
    pub fn figure(&self, unit: Unit) -> f64 {
        let operations = self.operations as f64;
        match unit {
            Unit::Nanoseconds => self.elapsed.as_secs_f64() * 1e9 / operations,
            Unit::MillionPerSecond => operations / self.elapsed.as_secs_f64() / 1e6,
            Unit::Milliseconds => self.longest_wait.as_secs_f64() * 1e3,
        }
    }

    /// Whether others disturbed it too much to count.
    #[must_use]
    pub fn is_disturbed(&self) -> bool {
        self.foreign > TOLERATED_LOAD
    }
}

/// Every lock and its value on cache lines of its own: 128 bytes, because processors fetch lines in pairs.
#[repr(align(128))]
struct Apart<C>(C);

/// What a thread has to say when it is told to stop.
struct Finished {
    started: Instant,
    operations: u64,
    worker: Worker,
    run_delay: Option<Duration>,
}

/// Runs `cell` on a fresh lock for about `length`.
///
/// # Panics
///
/// If the lock lost an update or let a writer in where it must not: then its speed is of no interest.
#[must_use]
pub fn measure<C: Contender>(cell: Cell, length: Duration, work: Work, seed: u64) -> Window {
    let lock = Box::new(Apart(C::new()));
    let stop = AtomicBool::new(false);
    let start = Barrier::new(cell.threads() + 1);
    let (finished, stopped, moment) = thread::scope(|scope| {
        let threads: Vec<_> = (0..cell.threads() as u64)
            .map(|thread| {
                let worker = Worker::new(seed * 64 + thread, work);
                let (lock, stop, start) = (&lock.0, &stop, &start);
                scope.spawn(move || run_until(cell, lock, worker, start, stop))
            })
            .collect();
        let moment = Moment::now();
        start.wait();
        thread::sleep(length);
        let stopped = Instant::now();
        stop.store(true, Relaxed);
        let finished: Vec<Finished> = threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread of the window panicked"))
            .collect();
        (finished, stopped, moment)
    });
    let foreign = foreign_share(&finished, &moment, length);
    let writes: u64 = finished.iter().map(|thread| thread.worker.writes).sum();
    assert_eq!(
        lock.0.read(|value| value),
        writes,
        "{} lost updates",
        C::NAME
    );

    let first = finished.iter().map(|thread| thread.started).min();
    Window {
        operations: finished.iter().map(|thread| thread.operations).sum(),
        elapsed: stopped - first.expect("there is a thread"),
        longest_wait: finished
            .iter()
            .map(|thread| thread.worker.longest_wait)
            .max()
            .expect("there is a thread"),
        foreign,
    }
}

fn run_until<C: Contender>(
    cell: Cell,
    lock: &C,
    mut worker: Worker,
    start: &Barrier,
    stop: &AtomicBool,
) -> Finished {
    start.wait();
    let delay = load::run_delay();
    let started = Instant::now();
    let mut operations = 0;
    while !stop.load(Relaxed) {
        cell.run(lock, &mut worker, cell.batch());
        operations += cell.batch();
    }
    let run_delay = load::run_delay()
        .zip(delay)
        .map(|(after, before)| after - before);
    Finished {
        started,
        operations,
        worker,
        run_delay,
    }
}

fn foreign_share(finished: &[Finished], moment: &Moment, length: Duration) -> f64 {
    let cores = thread::available_parallelism().map_or(1, usize::from);
    let threads = finished.len();
    if threads > cores {
        return moment.foreign_share(cores).unwrap_or(0.0);
    }
    let delays: Option<Duration> = finished.iter().map(|thread| thread.run_delay).sum();
    delays.map_or_else(
        || moment.unused_share(threads),
        |delay| delay.as_secs_f64() / (length.as_secs_f64() * threads as f64),
    )
}

/// How long `operations` of `cell` take in all, for criterion. Runs whole batches, at least one a thread, and scales.
#[must_use]
pub fn time<C: Contender>(cell: Cell, operations: u64, work: Work) -> Duration {
    let lock = Box::new(Apart(C::new()));
    let start = Barrier::new(cell.threads());
    let share = operations
        .div_ceil(cell.threads() as u64)
        .next_multiple_of(cell.batch());
    let spans: Vec<(Instant, Instant)> = thread::scope(|scope| {
        let threads: Vec<_> = (0..cell.threads() as u64)
            .map(|thread| {
                let mut worker = Worker::new(thread, work);
                let (lock, start) = (&lock.0, &start);
                scope.spawn(move || {
                    start.wait();
                    let started = Instant::now();
                    cell.run(lock, &mut worker, share);
                    (started, Instant::now())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread of the benchmark panicked"))
            .collect()
    });
    let first = spans.iter().map(|span| span.0).min();
    let last = spans.iter().map(|span| span.1).max();
    let span = last
        .zip(first)
        .map_or(Duration::ZERO, |(last, first)| last - first);
    span.mul_f64(operations as f64 / (share * cell.threads() as u64) as f64)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::floor::Unlocked;
    use crate::peers::{Gated, Plain};

    fn short<C: Contender>(cell: Cell) -> Window {
        let work = Work::lasting(Duration::from_micros(1));
        measure::<C>(cell, Duration::from_millis(3), work, 1)
    }

    #[test]
    fn every_cell_runs_and_counts() {
        for cell in Cell::ALL {
            for window in [short::<Plain>(cell), short::<Gated>(cell)] {
                assert!(window.operations > 0, "{cell:?}");
                assert!(window.figure(cell.unit()) > 0.0, "{cell:?}: {window:?}");
            }
        }
    }

    #[test]
    #[should_panic(expected = "let a writer in beside a reader")]
    fn a_lock_that_does_not_exclude_is_found_out() {
        // On this thread: a scoped thread's own message would hide the reason.
        let work = Work::lasting(Duration::from_nanos(1));
        let lock = Unlocked::<true>::new();
        Cell::FailingTryWrite.run(&lock, &mut Worker::new(0, work), 1);
    }

    #[test]
    #[should_panic(expected = "refused a free lock")]
    fn a_lock_that_refuses_everybody_is_found_out() {
        let work = Work::lasting(Duration::from_nanos(1));
        let lock = Unlocked::<false>::new();
        Cell::TryWrite.run(&lock, &mut Worker::new(0, work), 1);
    }

    #[test]
    fn a_time_for_a_number_of_operations() {
        let work = Work::lasting(Duration::from_nanos(1));
        for cell in Cell::ALL {
            assert!(time::<Plain>(cell, 10, work) > Duration::ZERO);
        }
    }

    #[test]
    fn figures_are_in_the_units_that_they_say() {
        let window = Window {
            operations: 2_000_000,
            elapsed: Duration::from_millis(10),
            longest_wait: Duration::from_micros(1500),
            foreign: 0.11,
        };
        let close = |unit, expected: f64| {
            let figure = window.figure(unit);
            assert!((figure - expected).abs() < 1e-9, "{unit:?}: {figure}");
        };
        close(Unit::Nanoseconds, 5.0);
        close(Unit::MillionPerSecond, 200.0);
        close(Unit::Milliseconds, 1.5);
        assert!(window.is_disturbed());
    }
}
