//! Prints what lockdep and other validators cost over the locks that they validate, and writes it to `target/report`.

use std::fs;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use benches::machine::Machine;
use benches::validator::launch::Programs;
use benches::validator::report::Results;
use benches::validator::run::{self, Plan};
use benches::validator::task::Task;
use benches::validator::{csv, instructions};
use clap::Parser;

/// Compare lockdep, tracing-mutex, deloxide and parking_lot's deadlock detection with the same locks untracked.
///
/// Prints the tables to stdout and the progress to stderr, and writes lockdep-cost.md and lockdep-cost.csv.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    /// What one process of the measurement does.
    #[command(subcommand)]
    task: Option<Task>,

    /// Rounds: in each, every contender has one window of every row [default: 15].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,

    /// Milliseconds of a window [default: 60].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    window: Option<u64>,

    /// Where to write the report.
    #[arg(long, default_value = "target/report")]
    out: PathBuf,

    /// Five rounds with windows of 15 ms, unless --rounds or --window say otherwise.
    #[arg(long)]
    quick: bool,

    /// Count instructions, too, with valgrind's callgrind.
    #[arg(long)]
    instructions: bool,

    /// Do without parking_lot's deadlock detection, which needs a second build.
    #[arg(long)]
    no_detection: bool,
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.task {
        Some(task) => task.perform(),
        None => compare(&options),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("lockdep: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    let (rounds, window) = if options.quick { (5, 15) } else { (15, 60) };
    let plan = Plan {
        rounds: options.rounds.unwrap_or(rounds),
        window: Duration::from_millis(options.window.unwrap_or(window)),
    };
    let progress = |text: &str| eprintln!("{text}");
    let mut programs = Programs::here().map_err(|error| error.to_string())?;
    let mut missing = Vec::new();
    if options.no_detection {
        missing.push("parking_lot's deadlock_detection: --no-detection was given".to_owned());
    } else {
        progress("building the program with parking_lot's deadlock_detection");
        if let Err(error) = programs.build_detection() {
            missing.push(format!("parking_lot's deadlock_detection: {error}"));
        }
    }
    let samples = run::run(&plan, &programs, progress)?;
    let counts = if options.instructions {
        instructions::count(&programs, progress)?
    } else {
        Vec::new()
    };
    let report = Results {
        plan: &plan,
        samples: &samples,
        counts: &counts,
        missing: &missing,
        machine: &Machine::here(),
    }
    .render();
    print!("{report}");
    let files = [
        ("lockdep-cost.md", report),
        ("lockdep-cost.csv", csv::render(&samples, &counts)),
    ];
    write(options, &files)
}

fn write(options: &Options, files: &[(&str, String)]) -> Result<(), String> {
    let told = |path: &PathBuf, error| {
        format!(
            "cannot write {}: {error}; choose another folder with --out",
            path.display()
        )
    };
    fs::create_dir_all(&options.out).map_err(|error| told(&options.out, error))?;
    for (name, text) in files {
        let path = options.out.join(name);
        fs::write(&path, text).map_err(|error| told(&path, error))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}
