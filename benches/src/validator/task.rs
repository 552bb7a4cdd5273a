//! What one process does: it prepares, says `ready`, waits to be told, measures, and prints one line with what it found.

use std::io::{self, BufRead, Write};
use std::sync::Barrier;
use std::thread;
use std::time::{Duration, Instant};

use clap::Subcommand;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

use super::contender::{Contender, with_family};
use super::family::Family;
use super::fresh::{self, Case};
use super::memory::{self, Kept};
use super::workload::{Locks, Workload};
use crate::load;
use crate::window::TOLERATED_LOAD;

/// What precedes the answer: a validator may print something of its own.
pub const ANSWER: &str = "benches: ";
/// The first answer of every task.
pub const READY: &str = "ready";

/// One process's task.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Task {
    /// Times a workload.
    #[command(hide = true)]
    Window {
        /// Whose locks.
        contender: Contender,
        /// What to do with them.
        workload: Workload,
        /// For how long.
        milliseconds: u64,
        /// Which core of those allowed the first thread is pinned to, if any is.
        core: usize,
    },
    /// Times dependencies that are new.
    #[command(hide = true)]
    Fresh {
        /// Whose locks.
        contender: Contender,
        /// Which dependencies.
        case: Case,
    },
    /// Measures what is kept for locks.
    #[command(hide = true)]
    Memory {
        /// Whose locks.
        contender: Contender,
        /// Which locks.
        kept: Kept,
    },
    /// Runs so many passes and measures nothing: for callgrind.
    #[command(hide = true)]
    Count {
        /// Whose locks.
        contender: Contender,
        /// What to do with them.
        workload: Workload,
        /// How often.
        passes: usize,
    },
}

impl Task {
    const fn contender(&self) -> Contender {
        match *self {
            Self::Window { contender, .. }
            | Self::Fresh { contender, .. }
            | Self::Memory { contender, .. }
            | Self::Count { contender, .. } => contender,
        }
    }

    /// The arguments that make this task of a command line.
    #[must_use]
    pub fn arguments(&self) -> Vec<String> {
        let (name, rest) = match self {
            Self::Window {
                workload,
                milliseconds,
                core,
                ..
            } => (
                "window",
                vec![workload.word(), milliseconds.to_string(), core.to_string()],
            ),
            Self::Fresh { case, .. } => ("fresh", vec![case.word()]),
            Self::Memory { kept, .. } => ("memory", vec![kept.word()]),
            Self::Count {
                workload, passes, ..
            } => ("count", vec![workload.word(), passes.to_string()]),
        };
        let mut arguments = vec![name.to_owned(), self.contender().word()];
        arguments.extend(rest);
        arguments
    }

    /// Does it, in this process.
    ///
    /// # Errors
    ///
    /// In words, if this build cannot measure the contender, or if nobody is there to say when to begin.
    pub fn perform(&self) -> Result<(), String> {
        if self.contender().needs_detection() != cfg!(feature = "deadlock-detection") {
            return Err(format!(
                "{} is measured in the other build, with or without the feature deadlock-detection",
                self.contender().name()
            ));
        }
        with_family!(self.contender(), F => {
            F::start();
            match *self {
                Self::Window { workload, milliseconds, core, .. } => {
                    window::<F>(workload, Duration::from_millis(milliseconds), core)
                }
                Self::Fresh { case, .. } => {
                    answer(READY);
                    told_to_begin()?;
                    answer(&fresh::measure::<F>(case).to_string());
                    Ok(())
                }
                Self::Memory { kept, .. } => {
                    answer(READY);
                    told_to_begin()?;
                    answer(&memory::measure::<F>(kept).to_string());
                    Ok(())
                }
                Self::Count { workload, passes, .. } => {
                    let locks = Locks::<F>::of_threads(workload, 1);
                    for turn in 0..passes {
                        locks[0].pass(turn);
                    }
                    Ok(())
                }
            }
        })
    }
}

fn answer(text: &str) {
    println!("{ANSWER}{text}");
}

fn told_to_begin() -> Result<(), String> {
    // The line may still be in the buffer of a pipe.
    io::stdout().flush().map_err(|error| error.to_string())?;
    let mut line = String::new();
    match io::stdin().lock().read_line(&mut line) {
        Ok(0) => {
            Err("this is a task of the benchmark itself: start it without arguments".to_owned())
        }
        Ok(_) => Ok(()),
        Err(error) => Err(error.to_string()),
    }
}

/// What one thread did in a window.
#[derive(Clone, Copy, Debug, Default)]
struct Stretch {
    operations: u64,
    elapsed: Duration,
    /// How long it could run and was not given a core.
    delay: Duration,
}

impl Stretch {
    fn add(&mut self, other: Self) {
        self.operations += other.operations;
        self.elapsed += other.elapsed;
        self.delay += other.delay;
    }

    fn is_undisturbed(&self) -> bool {
        self.delay.as_secs_f64() <= self.elapsed.as_secs_f64() * TOLERATED_LOAD
    }
}

fn window<F: Family>(workload: Workload, length: Duration, core: usize) -> Result<(), String> {
    let locks = Locks::<F>::of_threads(workload, workload.threads());
    answer(READY);
    told_to_begin()?;
    let start = Barrier::new(locks.len());
    let stretches: Vec<Stretch> = thread::scope(|scope| {
        let threads: Vec<_> = locks
            .iter()
            .enumerate()
            .map(|(index, locks)| {
                let start = &start;
                scope.spawn(move || {
                    if workload.is_pinned() {
                        pin(core + index);
                    }
                    // Its own caches have to learn, too, what the process knows.
                    for turn in 0..workload.turns() {
                        locks.pass(turn);
                    }
                    start.wait();
                    stretch(locks, length, workload.is_pinned())
                })
            })
            .collect();
        threads
            .into_iter()
            .map(|thread| thread.join().expect("a thread of the window panicked"))
            .collect()
    });
    let operations: u64 = stretches.iter().map(|stretch| stretch.operations).sum();
    let elapsed: Duration = stretches.iter().map(|stretch| stretch.elapsed).sum();
    let delay: Duration = stretches.iter().map(|stretch| stretch.delay).sum();
    answer(&format!(
        "{operations} {} {}",
        elapsed.as_nanos(),
        delay.as_nanos()
    ));
    Ok(())
}

/// Runs slices until they sum up to `length`.
///
/// A thread that is alone does not count the slices that others disturbed, but tries for some time to get others. With
/// `all` every slice counts: what matters is that two threads run at the same time.
fn stretch<F: Family>(locks: &Locks<F>, length: Duration, all: bool) -> Stretch {
    const PATIENCE: u32 = 8;
    let started = Instant::now();
    let mut turn = 0;
    let (mut counted, mut disturbed) = (Stretch::default(), Stretch::default());
    while counted.elapsed < length && started.elapsed() < length * PATIENCE {
        let slice = slice(locks, &mut turn);
        if all || slice.is_undisturbed() {
            counted.add(slice);
        } else {
            disturbed.add(slice);
        }
    }
    if counted.operations == 0 {
        return disturbed;
    }
    counted
}

fn slice<F: Family>(locks: &Locks<F>, turn: &mut usize) -> Stretch {
    const LENGTH: Duration = Duration::from_micros(300);
    let before = load::run_delay();
    let started = Instant::now();
    let mut operations = 0;
    let mut elapsed = Duration::ZERO;
    while elapsed < LENGTH {
        operations += locks.pass(*turn);
        *turn += 1;
        elapsed = started.elapsed();
    }
    let delay = load::run_delay().zip(before);
    Stretch {
        operations,
        elapsed,
        delay: delay.map_or(Duration::ZERO, |(after, before)| after - before),
    }
}

/// Pins this thread to one of the cores that the process may use.
///
/// # Panics
///
/// If the kernel refuses a core that it has just allowed.
fn pin(index: usize) {
    let allowed = sched_getaffinity(None).expect("a process may ask for its cores");
    let cores: Vec<usize> = (0..CpuSet::MAX_CPU)
        .filter(|core| allowed.is_set(*core))
        .collect();
    let mut one = CpuSet::new();
    one.set(cores[index % cores.len()]);
    sched_setaffinity(None, &one).expect("the core is allowed");
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(subcommand)]
        task: Task,
    }

    #[test]
    fn arguments_make_the_task() {
        let contender = Contender::LockdepOff;
        let workload = Workload::OneClassNested;
        let tasks = [
            Task::Window {
                contender,
                workload,
                milliseconds: 7,
                core: 1,
            },
            Task::Fresh {
                contender,
                case: Case::Search,
            },
            Task::Memory {
                contender,
                kept: Kept::DroppedInstances,
            },
            Task::Count {
                contender,
                workload,
                passes: 9,
            },
        ];
        for task in tasks {
            let line = ["lockdep".to_owned()].into_iter().chain(task.arguments());
            assert_eq!(Line::parse_from(line).task, task);
        }
    }

    #[test]
    fn a_slice_is_disturbed_by_more_than_a_tenth() {
        let of = |delay| Stretch {
            operations: 1,
            elapsed: Duration::from_micros(100),
            delay: Duration::from_micros(delay),
        };
        assert!(of(9).is_undisturbed() && !of(11).is_undisturbed());
        let mut sum = of(1);
        sum.add(of(2));
        assert_eq!((sum.operations, sum.delay), (2, Duration::from_micros(3)));
        assert_eq!(sum.elapsed, Duration::from_micros(200));
    }

    #[test]
    fn a_stretch_is_as_long_as_asked_for_and_counts() {
        use crate::validator::family::ParkingLot;
        let locks = Locks::<ParkingLot>::of_threads(Workload::Single, 1);
        let all = stretch(&locks[0], Duration::from_millis(2), true);
        assert!(all.elapsed >= Duration::from_millis(2));
        assert!(all.operations > 0);
        // On a busy machine this may be a disturbed one.
        assert!(stretch(&locks[0], Duration::from_millis(2), false).operations > 0);
    }

    #[test]
    fn the_wrong_build_refuses() {
        let contender = if cfg!(feature = "deadlock-detection") {
            Contender::Lockdep
        } else {
            Contender::DeadlockDetection
        };
        let task = Task::Count {
            contender,
            workload: Workload::Single,
            passes: 1,
        };
        assert!(task.perform().unwrap_err().contains("other build"));
    }
}
