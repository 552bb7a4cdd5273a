//! The process that looks: it starts a child, hands it the blobs, and reads its memory at every phase.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{self, ChildStdin, ChildStdout, Command, Stdio};

use super::blobs::Blobs;
use super::child::Answer;
use super::contender::Contender;
use super::resident::Resident;
use super::scenario::Scenario;

/// The memory of one child at one phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sight {
    /// What the child said.
    pub answer: Answer,
    /// Its memory beyond the baseline, in bytes.
    pub grown: u64,
}

/// Runs one child through its scenario; one sight a phase. `program` is this program.
///
/// # Errors
///
/// In words, if the child cannot be started, says something else than expected, or an object changed.
pub fn observe(
    program: &Path,
    contender: Contender,
    scenario: Scenario,
    seed: u64,
    blobs: &Blobs,
) -> Result<Vec<Sight>, String> {
    let seed = seed.to_string();
    let arguments = ["child", contender.name(), scenario.word(), &seed];
    let look = || -> Result<Vec<Sight>, String> {
        let mut child = Child::start(program, &arguments, blobs)?;
        let (_, before) = child.look()?;
        let sights = scenario.phases().iter().map(|&phase| {
            let (line, counted) = child.look()?;
            let answer = Answer::parse(&line).filter(|answer| answer.phase == phase);
            Ok(Sight {
                answer: answer.ok_or_else(|| format!("at {} it said {line:?}", phase.word()))?,
                grown: counted.saturating_sub(before),
            })
        });
        sights.collect()
    };
    // Its own words on stderr say more.
    look().map_err(|error| format!("{}, {}: {error}", contender.name(), scenario.word()))
}

/// A child, which ends with this.
#[derive(Debug)]
pub struct Child {
    process: process::Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Child {
    /// Starts this program with such arguments and hands it the blobs.
    ///
    /// # Errors
    ///
    /// In words, if it does not start or does not take them.
    pub fn start(program: &Path, arguments: &[&str], blobs: &Blobs) -> Result<Self, String> {
        let mut command = Command::new(program);
        command.args(arguments);
        // What would change how an allocator works.
        for name in [
            "MALLOC_ARENA_MAX",
            "GLIBC_TUNABLES",
            "_RJEM_MALLOC_CONF",
            "LD_PRELOAD",
        ] {
            command.env_remove(name);
        }
        let started = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
        let mut process = started.map_err(|error| error.to_string())?;
        let input = process.stdin.take().expect("piped");
        let output = BufReader::new(process.stdout.take().expect("piped"));
        let mut child = Self {
            process,
            input,
            output,
        };
        let sent = blobs.send(&mut child.input);
        sent.map_err(|error| error.to_string())?;
        Ok(child)
    }

    /// The next line that it says, and its memory while it waited. It goes on after that.
    ///
    /// # Errors
    ///
    /// In words, if it ends, or its memory cannot be counted.
    pub fn look(&mut self) -> Result<(String, u64), String> {
        let mut line = String::new();
        let read = self.output.read_line(&mut line);
        if read.map_err(|error| error.to_string())? == 0 {
            return Err("it ended early".to_owned());
        }
        let counted = Resident::of(self.process.id())?.counted();
        let answered = self.input.write_all(b"\n");
        answered.map_err(|error| error.to_string())?;
        Ok((line, counted))
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It has said everything, or what it would say does not matter any more.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
