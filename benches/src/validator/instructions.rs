//! Instructions of a lock and its unlock, counted by callgrind: no machine's load changes them.

use std::path::Path;
use std::process::Command;

use super::contender::Contender;
use super::launch::Programs;
use super::run::contenders;
use super::task::Task;
use super::workload::{Locks, Workload};
use crate::validator::family::ParkingLot;

/// The workloads whose instructions are counted: those that take the same path each time.
pub const COUNTED: [Workload; 3] = [Workload::Single, Workload::Nested, Workload::Read];

/// Instructions of one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// What was run.
    pub workload: Workload,
    /// Whose locks.
    pub contender: Contender,
    /// With the loop around it.
    pub instructions: f64,
}

/// Counts everything that [`COUNTED`] names.
///
/// # Errors
///
/// In words, if valgrind is not there or fails.
pub fn count(programs: &Programs, mut progress: impl FnMut(&str)) -> Result<Vec<Count>, String> {
    const PASSES: usize = 5;
    let mut counts = Vec::new();
    for workload in COUNTED {
        let operations = Locks::<ParkingLot>::of_threads(workload, 1)[0].pass(0);
        for contender in contenders(programs) {
            progress(&format!(
                "instructions: {}, {}",
                workload.title(),
                contender.name()
            ));
            let total = |passes| {
                let task = Task::Count {
                    contender,
                    workload,
                    passes,
                };
                collected(programs, contender, &task)
            };
            // The start of the process cancels out.
            let difference = total(2 * PASSES)? - total(PASSES)?;
            counts.push(Count {
                workload,
                contender,
                instructions: difference as f64 / (PASSES as f64 * operations as f64),
            });
        }
    }
    Ok(counts)
}

fn collected(programs: &Programs, contender: Contender, task: &Task) -> Result<i64, String> {
    let plain = programs.command(contender);
    let mut command = Command::new("valgrind");
    command
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(Path::new(plain.get_program()))
        .args(task.arguments());
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    let output = command
        .output()
        .map_err(|error| format!("valgrind does not run: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    parse(&log).ok_or_else(|| format!("valgrind says: {log}"))
}

/// The number after `Collected :`.
pub(crate) fn parse(log: &str) -> Option<i64> {
    let (_, after) = log.split_once("Collected :")?;
    after.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_callgrind() {
        let log = "==7== Events    : Ir\n==7== Collected : 1234567\n==7==\n";
        assert_eq!(parse(log), Some(1_234_567));
        assert_eq!(parse("==7== no such program"), None);
    }
}
