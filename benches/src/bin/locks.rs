//! Prints how zslock compares with other reader-writer locks, and writes it to `target/report`.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use benches::cell::Cell;
use benches::machine::Machine;
use benches::run::{self, Plan};
use benches::{chart, csv, report};
use clap::Parser;
use clap::builder::PossibleValuesParser;

/// Compare zslock with parking_lot, std, spin, usync and crossbeam's ShardedLock, side by side in one process.
///
/// Prints the tables to stdout and the progress to stderr, and writes locks.md, locks.svg and locks.csv.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// Rounds: in each, every lock has one window of every row (of the longest wait in every third) [default: 15].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,

    /// Milliseconds of an uncontended window; with eight threads windows take 4 and 10 times as long [default: 100].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    window: Option<u64>,

    /// Only these rows, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(Cell::ALL.map(Cell::name)))]
    rows: Vec<String>,

    /// Where to write the report.
    #[arg(long, default_value = "target/report")]
    out: PathBuf,

    /// About 20 seconds: 9 rounds with windows of 20 ms, unless --rounds or --window say otherwise.
    #[arg(long)]
    quick: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let (rounds, window) = if options.quick { (9, 20) } else { (15, 100) };
    let plan = Plan {
        cells: chosen(&options.rows),
        rounds: options.rounds.unwrap_or(rounds),
        window: Duration::from_millis(options.window.unwrap_or(window)),
    };
    let samples = run::run(&plan, |round, left| {
        eprintln!(
            "round {} of {}, about {} s left",
            round + 1,
            plan.rounds,
            left.as_secs_f64().ceil()
        );
    });
    let report = report::render(&plan, &samples, &Machine::here());
    print!("{report}");
    let files = [
        ("locks.md", report),
        ("locks.svg", chart::render(&plan, &samples)),
        ("locks.csv", csv::render(&samples)),
    ];
    match write(&options.out, &files) {
        Ok(()) => ExitCode::SUCCESS,
        Err((path, error)) => {
            eprintln!(
                "locks: cannot write {}: {error}; choose another folder with --out",
                path.display()
            );
            ExitCode::FAILURE
        }
    }
}

/// All cells if nothing was chosen.
fn chosen(rows: &[String]) -> Vec<Cell> {
    let mut cells = Cell::ALL.to_vec();
    if !rows.is_empty() {
        cells.retain(|cell| rows.iter().any(|row| row == cell.name()));
    }
    cells
}

fn write(folder: &Path, files: &[(&str, String)]) -> Result<(), (PathBuf, io::Error)> {
    fs::create_dir_all(folder).map_err(|error| (folder.to_owned(), error))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| (path.clone(), error))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}
