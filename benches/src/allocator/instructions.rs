//! Instructions of an operation, counted by callgrind: no machine's load changes them.

use std::process::Command;

use super::contender::Contender;
use super::corpus::Corpus;
use super::row::Row;
use crate::validator::instructions::parse;

/// Small: under callgrind everything takes fifty times as long.
const OBJECTS: usize = 2048;

/// Instructions of one operation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Count {
    /// What was run.
    pub row: Row,
    /// Whose.
    pub contender: Contender,
    /// With the loop around it; in the rows that free and insert, of both together.
    pub instructions: f64,
}

/// What the counted process does: `passes` passes of `row`. The objects are all of one length, so that a pass takes the same
/// instructions each time.
///
/// # Errors
///
/// In words, if there is no such row or contender.
pub fn perform(row: &str, contender: &str, passes: usize) -> Result<u64, String> {
    let row = Row::LOOPS.into_iter().find(|one| one.word() == row);
    let contender = Contender::ALL
        .into_iter()
        .find(|one| one.name() == contender);
    let (Some(row), Some(contender)) = (row, contender) else {
        return Err("no such row or contender".to_owned());
    };
    let corpus = Corpus::of_length(1000, OBJECTS);
    Ok(contender.subject().run(row, &corpus, passes))
}

/// Counts every loop of every contender.
///
/// # Errors
///
/// In words, if valgrind is not there or fails.
pub fn count(mut progress: impl FnMut(&str)) -> Result<Vec<Count>, String> {
    // A multiple of what goes once around all objects.
    const PASSES: usize = 16;
    let mut counts = Vec::new();
    // Freeing and storing take turns, so the row of one has both.
    for row in [Row::Copy, Row::Hot, Row::Refill] {
        for contender in Contender::ALL {
            if !row.is_for(contender) {
                continue;
            }
            progress(&format!(
                "instructions: {}, {}",
                row.title(),
                contender.name()
            ));
            let (few, first) = collected(row, contender, PASSES)?;
            let (many, second) = collected(row, contender, 2 * PASSES)?;
            // The start of the process cancels out.
            counts.push(Count {
                row,
                contender,
                instructions: (second - first) as f64 / (many - few) as f64,
            });
        }
    }
    Ok(counts)
}

/// The operations of a run and its instructions.
fn collected(row: Row, contender: Contender, passes: usize) -> Result<(u64, i64), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let output = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(program)
        .args(["count", row.word(), contender.name(), &passes.to_string()])
        .output()
        .map_err(|error| format!("valgrind does not run: {error}"))?;
    let log = String::from_utf8_lossy(&output.stderr);
    let told = String::from_utf8_lossy(&output.stdout);
    let operations = told.trim().parse().ok();
    operations
        .zip(parse(&log))
        .ok_or_else(|| format!("valgrind says: {log}{told}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counted_process_does_what_it_is_told() {
        assert_eq!(perform("refill", "zslock", 2), Ok(512));
        assert_eq!(perform("hot", "atomic pair", 1), Ok(4096));
        assert!(perform("compact", "zslock", 2).is_err());
        assert!(perform("hot", "nobody", 2).is_err());
    }
}
