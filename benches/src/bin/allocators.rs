//! Prints how zsalloc compares with malloc, and writes it to `target/report`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use benches::allocator::bound::Floor;
use benches::allocator::corpus::{Corpus, FOLDERS};
use benches::allocator::report::Results;
use benches::allocator::row::Row;
use benches::allocator::run::{self, Plan};
use benches::allocator::{csv, instructions, system};
use benches::machine::Machine;
use clap::builder::PossibleValuesParser;
use clap::{Args, Parser, Subcommand};

/// Compare zsalloc with malloc.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// How long it takes to store, find, free and move compressed pages: zsalloc with three locks beside glibc's malloc.
    ///
    /// Prints the tables to stdout and the progress to stderr, and writes zsalloc-speed.md and zsalloc-speed.csv.
    Speed(Speed),
    /// One process of `speed --instructions`.
    #[command(hide = true)]
    Count {
        row: String,
        contender: String,
        passes: usize,
    },
}

#[derive(Debug, Args)]
struct Speed {
    /// Rounds: in each, every contender has one window of every row [default: 11].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    rounds: Option<u32>,

    /// Milliseconds of a window [default: 60].
    #[arg(long, value_parser = clap::value_parser!(u64).range(1..=60_000))]
    window: Option<u64>,

    /// MiB of pages to compress and store [default: 64].
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=4096))]
    mib: Option<u32>,

    /// Only these rows, separated by commas.
    #[arg(long, value_delimiter = ',', value_parser = PossibleValuesParser::new(Row::ALL.map(Row::word)))]
    rows: Vec<String>,

    /// Where to write the report.
    #[arg(long, default_value = "target/report")]
    out: PathBuf,

    /// Five rounds with windows of 15 ms and 16 MiB of pages, unless another option says otherwise.
    #[arg(long)]
    quick: bool,

    /// Count instructions, too, with valgrind's callgrind.
    #[arg(long)]
    instructions: bool,
}

fn main() -> ExitCode {
    let done = match Options::parse().what {
        What::Speed(options) => speed(&options),
        What::Count {
            row,
            contender,
            passes,
        } => instructions::perform(&row, &contender, passes)
            .map(|operations| println!("{operations}")),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("allocators: {error}");
            ExitCode::FAILURE
        }
    }
}

fn speed(options: &Speed) -> Result<(), String> {
    let (rounds, window, mib) = if options.quick {
        (5, 15, 16)
    } else {
        (11, 60, 64)
    };
    let plan = Plan {
        rows: chosen(&options.rows),
        rounds: options.rounds.unwrap_or(rounds),
        window: Duration::from_millis(options.window.unwrap_or(window)),
    };
    eprintln!("compressing pages of files in {}", FOLDERS.join(" and "));
    let pages = options.mib.unwrap_or(mib) as usize * 256;
    let corpus = Corpus::of_pages(&FOLDERS.map(PathBuf::from), pages)
        .map_err(|error| format!("no pages to store: {error}"))?;
    let samples = run::run(&plan, &corpus, |round, left| {
        let left = left.map_or_else(String::new, |left| {
            format!(", about {} s left", left.as_secs_f64().ceil())
        });
        eprintln!("round {} of {}{left}", round + 1, plan.rounds);
    });
    let counts = if options.instructions {
        instructions::count(|text| eprintln!("{text}"))?
    } else {
        Vec::new()
    };
    let (pages, floor) = (system::measure(), Floor::measure(&corpus));
    let report = Results {
        plan: &plan,
        corpus: &corpus,
        samples: &samples,
        counts: &counts,
        pages: &pages,
        floor: &floor,
        machine: &Machine::here(),
    }
    .render();
    print!("{report}");
    let files = [
        ("zsalloc-speed.md", report),
        (
            "zsalloc-speed.csv",
            csv::render(&samples, &counts, &pages, &floor),
        ),
    ];
    write(&options.out, &files)
}

/// All rows if nothing was chosen.
fn chosen(words: &[String]) -> Vec<Row> {
    let mut rows = Row::ALL.to_vec();
    if !words.is_empty() {
        rows.retain(|row| words.iter().any(|word| word == row.word()));
    }
    rows
}

fn write(folder: &Path, files: &[(&str, String)]) -> Result<(), String> {
    let told = |path: &Path, error| {
        format!(
            "cannot write {}: {error}; choose another folder with --out",
            path.display()
        )
    };
    fs::create_dir_all(folder).map_err(|error| told(folder, error))?;
    for (name, text) in files {
        let path = folder.join(name);
        fs::write(&path, text).map_err(|error| told(&path, error))?;
        eprintln!("wrote {}", path.display());
    }
    Ok(())
}
