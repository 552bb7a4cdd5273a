//! Prints how many bytes of memory a stored byte takes, in zsalloc and in malloc, and writes it to `target/report`.

use std::fs;
use std::io::{IsTerminal, stderr};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use benches::allocator::corpus::{Corpus, FOLDERS};
use benches::density::blobs::{Blobs, Codec};
use benches::density::child::Process;
use benches::density::report::Results;
use benches::density::{chart, csv, growth, growth_report, run};
use benches::machine::Machine;
use clap::{Parser, Subcommand};

/// Compare how densely zsalloc and malloc store compressed pages, and what they keep when most of them are gone.
///
/// Prints the tables to stdout and the progress to stderr, and writes zsalloc-density.md, .csv and .svg. Without the
/// feature `allocators` only glibc's malloc and only LZ4 take part.
#[derive(Debug, Parser)]
#[command(version)]
struct Options {
    #[command(subcommand)]
    what: Option<What>,

    /// Rounds: in each, every allocator goes through all phases with each compression [default: 3].
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(1..=1000))]
    rounds: Option<u32>,

    /// MiB of pages to compress and store [default: 128].
    #[arg(long, global = true, value_parser = clap::value_parser!(u32).range(1..=1024))]
    mib: Option<u32>,

    /// Where to write the report.
    #[arg(long, global = true, default_value = "target/report")]
    out: PathBuf,

    /// One round with 16 MiB of pages, unless another option says otherwise.
    #[arg(long, global = true)]
    quick: bool,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Store few objects and many, up to 2 GiB of pages and ten million small objects: what one takes should stay the same.
    ///
    /// Writes zsalloc-growth.md and .csv. Takes some minutes and 3 GiB of memory.
    Growth,
    /// One process of the growth.
    #[command(hide = true)]
    Grow { contender: String, load: String },
    /// One process of the comparison.
    #[command(hide = true)]
    Child {
        contender: String,
        scenario: String,
        seed: u64,
    },
}

fn main() -> ExitCode {
    let options = Options::parse();
    let done = match &options.what {
        None => compare(&options),
        Some(What::Child {
            contender,
            scenario,
            seed,
        }) => Process::run(contender, scenario, *seed),
        Some(What::Growth) => grow(&options),
        Some(What::Grow { contender, load }) => Process::grow(contender, load),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("density: {error}");
            ExitCode::FAILURE
        }
    }
}

fn compare(options: &Options) -> Result<(), String> {
    let (rounds, mib) = if options.quick { (1, 16) } else { (3, 128) };
    let rounds = options.rounds.unwrap_or(rounds);
    let (program, corpus) = begin(options.mib.unwrap_or(mib))?;
    let corpora = Codec::ALL.iter();
    let corpora: Vec<_> = corpora
        .map(|&codec| (codec, Blobs::of_corpus(&corpus, codec)))
        .collect();
    let samples = run::run(&program, rounds, &corpora, progress)?;
    let report = Results {
        rounds,
        corpus: &corpus,
        corpora: &corpora,
        samples: &samples,
        machine: &Machine::here(),
    }
    .render();
    print!("{report}");
    let files = [
        ("zsalloc-density.md", report),
        ("zsalloc-density.csv", csv::render(&samples)),
        ("zsalloc-density.svg", chart::render(&samples)),
    ];
    write(&options.out, &files)
}

fn grow(options: &Options) -> Result<(), String> {
    let rounds = options.rounds.unwrap_or(if options.quick { 1 } else { 3 });
    let (program, corpus) = begin(options.mib.unwrap_or(128))?;
    let blobs = Blobs::of_corpus(&corpus, Codec::Lz4);
    let samples = growth::run(&program, rounds, &blobs, progress)?;
    let machine = Machine::here();
    let report = growth_report::render(&samples, rounds, &corpus.describe(), &machine);
    print!("{report}");
    let files = [
        ("zsalloc-growth.md", report),
        ("zsalloc-growth.csv", growth_report::csv(&samples)),
    ];
    write(&options.out, &files)
}

/// This program, and so many MiB of pages.
fn begin(mib: u32) -> Result<(PathBuf, Corpus), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    eprintln!("compressing pages of files in {}", FOLDERS.join(" and "));
    let corpus = Corpus::of_pages(&FOLDERS.map(PathBuf::from), mib as usize * 256);
    let corpus = corpus.map_err(|error| format!("no pages to store: {error}"))?;
    Ok((program, corpus))
}

/// One line that changes on a terminal, else a line for each tenth.
fn progress(done: usize, all: usize, next: &str) {
    if stderr().is_terminal() {
        let end = if done + 1 == all { "\n" } else { "" };
        eprint!("\r\x1b[K{} of {all}: {next}{end}", done + 1);
    } else if done == 0 || done * 10 / all > (done - 1) * 10 / all {
        eprintln!("{} of {all}: {next}", done + 1);
    }
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
