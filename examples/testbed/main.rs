//! Allocators compared through `zsalloc::testbed::Store`: one pool with three locks, with either class policy and
//! with automatic compaction; boxes of the global allocator; and a store written here in ten lines (`own.rs`).
//!
//! To compare an allocator of your own, implement `Store` for it and add a line to `CONTENDERS`. Each is measured in
//! a process of its own (`measure.rs`), so that resident sizes can be compared.

mod measure;
mod own;

use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};

use clap::Parser;
use comfy_table::{CellAlignment, Table, presets};
use examples::{stdout, units};
use zsalloc::lock_api::RawRwLock;
use zsalloc::testbed::{Boxes, Store};
use zsalloc::{AutoCompact, ClassPolicy, Pool};

use measure::{BLOBS, Figures};

/// Allocators side by side: three locks in one pool, its class policies, malloc, and a store of one's own.
///
/// Exit status: 0 every byte was intact, 1 it was not or the output could not be written, 2 bad option.
#[derive(Debug, Parser)]
#[command(name = "testbed", verbatim_doc_comment)]
struct Options {
    /// Measure this contender in this process, and print figures for the program that started it.
    #[arg(long, hide = true)]
    measure: Option<String>,
}

/// A name, and how it is measured.
type Contender = (&'static str, fn() -> Result<Figures, String>);

const CONTENDERS: [Contender; 7] = [
    ("pool, zslock", || with_lock(|| zslock::RawZsLock::INIT)),
    ("pool, gated zslock", || {
        with_lock(|| zslock::RawGatedZsLock::INIT)
    }),
    ("pool, parking_lot", || {
        with_lock(|| parking_lot::RawRwLock::<false>::INIT)
    }),
    ("pool, zsmalloc's classes", || {
        let classes = ClassPolicy::Zsmalloc { chain_size: 8 };
        stored_in(Pool::builder().classes(classes).build())
    }),
    ("pool, automatic", || {
        stored_in(Pool::builder().auto_compact(AutoCompact::default()).build())
    }),
    ("boxes (malloc)", || measure::measure(&Boxes)),
    ("own: map of vectors", || {
        measure::measure(&own::MapOfVectors::default())
    }),
];

/// The default pool with another lock: nothing else differs.
fn with_lock<L: RawRwLock + Send + Sync + 'static>(lock: fn() -> L) -> Result<Figures, String> {
    stored_in(Pool::builder().lock_with(lock).build())
}

fn stored_in<S: Store, E: std::fmt::Display>(store: Result<S, E>) -> Result<Figures, String> {
    measure::measure(&store.map_err(|error| error.to_string())?)
}

fn main() -> ExitCode {
    let options = Options::parse();
    let out = &mut io::stdout();
    match options.measure {
        Some(name) => stdout::ended(measured_here(&name, out)),
        None => stdout::ended(compare(out)),
    }
}

/// Prints the figures of one contender; false, with the reason on stderr, if there are none.
fn measured_here(name: &str, out: &mut impl Write) -> io::Result<bool> {
    let contender = CONTENDERS.iter().find(|(known, _)| *known == name);
    let figures = match contender {
        Some((_, measure)) => measure(),
        None => Err("there is no such contender".to_owned()),
    };
    match figures {
        Ok(figures) => write!(out, "{figures}").map(|()| true),
        Err(reason) => {
            eprintln!("error: {name}: {reason}");
            Ok(false)
        }
    }
}

/// Measures all and shows them side by side; whether all is well.
fn compare(out: &mut impl Write) -> io::Result<bool> {
    let program = std::env::current_exe()?;
    let mut rows = Vec::new();
    for (name, _) in CONTENDERS {
        let mut child = Command::new(&program);
        let child = child.args(["--measure", name]).stderr(Stdio::inherit());
        let output = child.output()?;
        let text = String::from_utf8_lossy(&output.stdout);
        rows.push((
            name,
            Figures::parse(&text).filter(|_| output.status.success()),
        ));
    }
    writeln!(
        out,
        "{} of 100 to 4096 bytes, then a quarter of them, chosen at random. Resident bytes per live\n\
         byte, keys and all tables included, one process each:\n",
        units::counted(BLOBS as u64, "blob")
    )?;
    writeln!(out, "{}\n", table(&rows))?;
    writeln!(
        out,
        "A read: one byte of a blob that was read just before, by the time of the first store; the fastest of\n\
         5,000 stretches counts, the one in which nothing else ran. The project's tables are made by\n\
         `cargo run --release -p benches --features allocators --bin density` and\n\
         `cargo run --release -p benches --bin allocators -- speed`."
    )?;
    let well = rows.iter().all(|(_, figures)| is_well(figures.as_ref()));
    let verdict = if well {
        format!("{} stores, every byte intact", rows.len())
    } else {
        "FAILED, see above".to_owned()
    };
    writeln!(out, "verdict: {verdict}")?;
    Ok(well)
}

fn is_well(figures: Option<&Figures>) -> bool {
    figures.is_some_and(|figures| figures.wrong == 0 && figures.bytes > 0)
}

fn table(rows: &[(&str, Option<Figures>)]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::ASCII_MARKDOWN);
    table.set_header([
        "store",
        "stored",
        "75 % gone",
        "compacted",
        "given back",
        "a read",
    ]);
    let first = rows.iter().find_map(|(_, figures)| figures.as_ref());
    let first = first.map_or(1, |figures| figures.read_ps.max(1));
    for (name, figures) in rows {
        let mut row = vec![(*name).to_owned()];
        match figures {
            Some(of) if is_well(figures.as_ref()) => {
                let ratio = |size: u64, live: u64| format!("{:.2}", size as f64 / live as f64);
                row.extend([
                    ratio(of.stored, of.bytes),
                    ratio(of.deleted, of.left_bytes),
                    ratio(of.compacted, of.left_bytes),
                    units::bytes(of.given_back),
                    ratio(of.read_ps, first),
                ]);
            }
            _ => row.push("WRONG".to_owned()),
        }
        table.add_row(row);
    }
    for column in table.column_iter_mut().skip(1) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
