//! The process that has the store. It says over a pipe where it is, and waits there until its memory was looked at.

use std::fmt;
use std::io::{self, BufRead, BufReader, Write};

use super::blobs::Blobs;
use super::blocks;
use super::breakdown::{Breakdown, Explained};
use super::contender::Contender;
use super::growth::{self, Load};
use super::scenario::{Phase, Scenario};
use super::shelf::Shelf;

/// What a process says of itself at a [`Phase`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Where it is.
    pub phase: Phase,
    /// The objects stored.
    pub objects: u64,
    /// Their bytes.
    pub live: u64,
    /// Replacements since the phase before.
    pub operations: u64,
    /// Objects that a pool moved since the phase before.
    pub moves: u64,
    /// What a pool tells.
    pub breakdown: Breakdown,
}

impl Answer {
    /// As one line.
    #[must_use]
    pub fn line(&self) -> String {
        let numbers = [self.objects, self.live, self.operations, self.moves];
        let numbers = numbers.into_iter().chain(self.breakdown.to_array());
        numbers.fold(self.phase.word().to_owned(), |line, number| {
            format!("{line} {number}")
        })
    }

    /// Of such a line.
    #[must_use]
    pub fn parse(line: &str) -> Option<Self> {
        let mut words = line.split_whitespace();
        let phase = Phase::of_word(words.next()?)?;
        let numbers: Result<Vec<u64>, _> = words.map(str::parse).collect();
        let numbers = numbers.ok()?;
        let (&[objects, live, operations, moves], rest) = numbers.split_first_chunk()?;
        Some(Self {
            phase,
            objects,
            live,
            operations,
            moves,
            breakdown: Breakdown::from_array(rest.try_into().ok()?),
        })
    }
}

/// What a child does.
#[derive(Clone, Copy, Debug)]
enum Task {
    Phases { scenario: Scenario, seed: u64 },
    Growth(Load),
}

/// The child's end of the pipes.
pub struct Process {
    task: Task,
    blobs: Blobs,
    input: Box<dyn BufRead>,
    output: Box<dyn Write>,
}

impl Process {
    /// A child that goes through a scenario.
    ///
    /// # Errors
    ///
    /// In words, if an argument or an object is wrong, or the other process is gone.
    pub fn run(contender: &str, scenario: &str, seed: u64) -> Result<(), String> {
        let scenario = Scenario::of_word(scenario).ok_or("no such scenario")?;
        Self::begin(contender, Task::Phases { scenario, seed })
    }

    /// A child that stores, reads and frees many objects.
    ///
    /// # Errors
    ///
    /// As for [`run`](Self::run).
    pub fn grow(contender: &str, load: &str) -> Result<(), String> {
        let load = Load::of_word(load).ok_or("no such load")?;
        Self::begin(contender, Task::Growth(load))
    }

    fn begin(contender: &str, task: Task) -> Result<(), String> {
        no_huge_pages()?;
        let contender = Contender::of_name(contender).ok_or("no such contender")?;
        let mut input = BufReader::new(io::stdin());
        let blobs = Blobs::receive(&mut input).map_err(|error| error.to_string())?;
        contender.perform(&mut Self {
            task,
            blobs,
            input: Box::new(input),
            output: Box::new(io::stdout()),
        })
    }

    /// Does its task with a store.
    ///
    /// # Errors
    ///
    /// In words, if an object changed or the other process is gone.
    pub fn perform<S>(&mut self, new: impl FnOnce() -> S) -> Result<(), String>
    where
        S: Explained + Sync,
        S::Key: Send,
    {
        // Out of the way of the borrow checker; no task changes them.
        let blobs = std::mem::take(&mut self.blobs);
        match self.task {
            Task::Phases { scenario, seed } => self.phases(scenario, seed, &blobs, new),
            Task::Growth(load) => growth::perform(load, &blobs, new, |line| self.tell(line)),
        }
    }

    fn phases<S>(
        &mut self,
        scenario: Scenario,
        seed: u64,
        blobs: &Blobs,
        new: impl FnOnce() -> S,
    ) -> Result<(), String>
    where
        S: Explained + Sync,
        S::Key: Send,
    {
        let mut shelf = Shelf::new(blobs, seed);
        // What was freed so far goes back, lest the store find memory that the baseline has already.
        blocks::trim_glibc();
        self.tell(
            &Answer {
                phase: Phase::Baseline,
                objects: 0,
                live: 0,
                operations: 0,
                moves: 0,
                breakdown: Breakdown::default(),
            }
            .line(),
        )?;
        let gaps = blocks::free_in_glibc();
        let store = new();
        if scenario != Scenario::Churn {
            shelf.fill(&store);
        }
        for &phase in scenario.phases() {
            let before = store.moved();
            let operations = advance(phase, &store, &mut shelf);
            shelf.verify(&store)?;
            let (objects, live) = shelf.live();
            let mut breakdown = store.breakdown(live);
            if breakdown.metadata > 0 {
                breakdown.gaps = blocks::free_in_glibc().saturating_sub(gaps);
            }
            self.tell(
                &Answer {
                    phase,
                    objects,
                    live,
                    operations,
                    moves: store.moved() - before,
                    breakdown,
                }
                .line(),
            )?;
        }
        Ok(())
    }

    /// Tells, and waits for the other process to have looked.
    fn tell(&mut self, line: &str) -> Result<(), String> {
        let told = writeln!(self.output, "{line}").and_then(|()| self.output.flush());
        told.map_err(|error| error.to_string())?;
        let mut line = String::new();
        match self.input.read_line(&mut line) {
            Ok(0) => Err("nobody looks any more".to_owned()),
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        }
    }
}

/// From the phase before to this one; the replacements.
fn advance<S>(phase: Phase, store: &S, shelf: &mut Shelf<'_, S::Key>) -> u64
where
    S: Explained + Sync,
    S::Key: Send,
{
    match phase {
        Phase::Baseline | Phase::Stored => 0,
        Phase::HalfFreed => {
            shelf.empty(store, (0, 2));
            0
        }
        Phase::MostFreed => {
            shelf.empty(store, (2, 3));
            0
        }
        Phase::HalfCompacted | Phase::MostCompacted => {
            store.compact();
            0
        }
        Phase::Churned | Phase::NewChurned => shelf.churn(store),
        Phase::FirstInFirstOut => shelf.rotate(store),
    }
}

/// Switches transparent huge pages off for this process.
fn no_huge_pages() -> Result<(), String> {
    let zero: libc::c_ulong = 0;
    // SAFETY: no argument is an address.
    let done = unsafe {
        libc::prctl(
            libc::PR_SET_THP_DISABLE,
            1 as libc::c_ulong,
            zero,
            zero,
            zero,
        )
    };
    if done == 0 {
        return Ok(());
    }
    let error = io::Error::last_os_error();
    Err(format!("huge pages cannot be switched off: {error}"))
}

impl fmt::Debug for Process {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Process")
            .field("task", &self.task)
            .field("blobs", &self.blobs)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::density::blobs::tests::blobs;

    /// What was written, for the test to read.
    #[derive(Clone, Default)]
    struct Page(Arc<Mutex<Vec<u8>>>);

    impl Write for Page {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn answers(contender: Contender, scenario: Scenario) -> Vec<Answer> {
        let page = Page::default();
        let mut process = Process {
            task: Task::Phases { scenario, seed: 1 },
            blobs: blobs(1000, 400),
            input: Box::new(&b"\n\n\n\n\n\n\n\n\n\n"[..]),
            output: Box::new(page.clone()),
        };
        contender.perform(&mut process).unwrap();
        let text = String::from_utf8(page.0.lock().unwrap().clone()).unwrap();
        text.lines()
            .map(|line| Answer::parse(line).unwrap())
            .collect()
    }

    #[test]
    fn every_contender_answers_at_every_phase() {
        for &contender in Contender::ALL {
            for scenario in Scenario::ALL {
                let answers = answers(contender, scenario);
                let phases: Vec<Phase> = answers.iter().map(|answer| answer.phase).collect();
                assert_eq!(phases[0], Phase::Baseline);
                assert_eq!(phases[1..], *scenario.phases());
                let has_figures = answers.last().unwrap().breakdown != Breakdown::default();
                assert_eq!(has_figures, contender.is_pool(), "{contender:?}");
            }
        }
    }

    #[test]
    fn compaction_leaves_nothing_to_give_back() {
        let answers = answers(Contender::Adaptive, Scenario::Random);
        let freeable = |phase: Phase| {
            let answer = answers.iter().find(|answer| answer.phase == phase);
            answer.unwrap().breakdown.freeable
        };
        assert!(freeable(Phase::HalfFreed) > 0);
        assert_eq!(freeable(Phase::HalfCompacted), 0);
        assert!(freeable(Phase::MostFreed) > 0);
        assert_eq!(freeable(Phase::MostCompacted), 0);
    }

    #[test]
    fn a_child_ends_when_nobody_looks() {
        let mut process = Process {
            task: Task::Phases {
                scenario: Scenario::Fifo,
                seed: 1,
            },
            blobs: blobs(1000, 4),
            input: Box::new(io::empty()),
            output: Box::new(io::sink()),
        };
        let error = Contender::Glibc.perform(&mut process).unwrap_err();
        assert!(error.contains("nobody"), "{error}");
    }

    #[test]
    fn an_answer_is_a_line() {
        let answer = Answer {
            phase: Phase::Churned,
            objects: 1,
            live: 2,
            operations: 3,
            moves: 4,
            breakdown: Breakdown::from_array([5, 6, 7, 8, 9, 10]),
        };
        assert_eq!(answer.line(), "churned 1 2 3 4 5 6 7 8 9 10");
        assert_eq!(Answer::parse(&answer.line()), Some(answer));
        for wrong in [
            "churned 1 2 3 4 5 6 7 8 9",
            "churned 1 2",
            "nowhere 1 2 3 4 5 6 7 8 9 10",
            "",
        ] {
            assert_eq!(Answer::parse(wrong), None, "{wrong}");
        }
    }
}
