//! The process that looks: it starts a child, hands it the blobs, and reads its memory at every phase.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use super::blobs::Blobs;
use super::child::Answer;
use super::contender::Contender;
use super::resident::Resident;
use super::scenario::{Phase, Scenario};

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
    let mut command = Command::new(program);
    command.args([
        "child",
        contender.name(),
        scenario.word(),
        &seed.to_string(),
    ]);
    // What would change how an allocator works.
    for name in [
        "MALLOC_ARENA_MAX",
        "GLIBC_TUNABLES",
        "_RJEM_MALLOC_CONF",
        "LD_PRELOAD",
    ] {
        command.env_remove(name);
    }
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = Running(child.map_err(|error| format!("{}: {error}", contender.name()))?);
    let sights = child.look(scenario, blobs);
    // Its own words on stderr say more.
    sights.map_err(|error| format!("{}, {}: {error}", contender.name(), scenario.word()))
}

/// A child, which ends with this.
struct Running(Child);

impl Running {
    fn look(&mut self, scenario: Scenario, blobs: &Blobs) -> Result<Vec<Sight>, String> {
        let pid = self.0.id();
        let mut input = self.0.stdin.take().expect("piped");
        let mut output = BufReader::new(self.0.stdout.take().expect("piped"));
        blobs.send(&mut input).map_err(|error| error.to_string())?;
        let mut baseline = None;
        let mut sights = Vec::new();
        let phases = [Phase::Baseline];
        for &phase in phases.iter().chain(scenario.phases()) {
            let mut line = String::new();
            output
                .read_line(&mut line)
                .map_err(|error| error.to_string())?;
            let answer = Answer::parse(&line).filter(|answer| answer.phase == phase);
            let answer = answer.ok_or_else(|| format!("at {} it said {line:?}", phase.word()))?;
            let counted = Resident::of(pid)?.counted();
            let before = *baseline.get_or_insert(counted);
            if phase != Phase::Baseline {
                sights.push(Sight {
                    answer,
                    grown: counted.saturating_sub(before),
                });
            }
            input.write_all(b"\n").map_err(|error| error.to_string())?;
        }
        Ok(sights)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It has said everything, or what it would say does not matter any more.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
