//! A compressed in-memory page store on a `zsalloc` pool, beside the same on the heap.
//!
//! `cargo run --release --example page_store -- --help` lists the options. In reading order: `cli`,
//! `codec` (pages in and out of their stored form), `store` (the store; start here to build your own),
//! `workload` (what the threads do), `child` and `measured` (one process for each store), `limit` and
//! `report`.

mod child;
mod cli;
mod codec;
mod error;
mod limit;
mod measured;
mod report;
mod store;
mod workload;

use std::io::{self, Write};
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use clap::Parser;

use cli::{Kind, Options};
use codec::Compression;
use error::Error;
use measured::Measured;
use report::Run;

fn main() -> ExitCode {
    let options = Options::parse();
    let mut out = io::stdout();
    let finished = match options.measure {
        Some(kind) => child::measure(&options, kind)
            .and_then(|figures| Ok(write!(out, "{figures}")?))
            .map(|()| true),
        None => compare(&options, &mut out),
    };
    match finished {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => error.report(),
    }
}

/// Measures every store in a process of its own and shows the figures; whether all is well.
fn compare(options: &Options, out: &mut impl Write) -> Result<bool, Error> {
    // Bad input is refused here and not by the first child.
    let mut pages = child::input(options)?;
    match pages.next() {
        Some(page) => page.map(drop)?,
        None => return Err(Error::Input(examples::corpus::CorpusError::Empty)),
    }
    let compressions = match options.compression {
        Some(one) => vec![one],
        None => vec![Compression::Lz4, Compression::Zstd],
    };
    let mut runs = Vec::new();
    for compression in compressions {
        for kind in [Kind::Pool, Kind::Heap] {
            let began = Instant::now();
            let figures = start(options, kind, compression)?;
            let run = Run {
                kind,
                compression,
                figures,
            };
            // What is on the screen while it runs is a bar, if there is a screen; a log has these lines.
            writeln!(out, "{}", report::measured(&run, began.elapsed()))?;
            out.flush()?;
            runs.push(run);
        }
    }
    writeln!(out)?;
    writeln!(out, "{}", report::input(options, &runs))?;
    writeln!(out, "{}", report::sizes(&runs))?;
    writeln!(out, "{}", report::speeds(&runs))?;
    let limit = limit::shown(options)?;
    writeln!(out, "{}\n", limit.text)?;
    writeln!(out, "{}", report::verdict(&runs, &limit))?;
    Ok(report::all_is_well(&runs, &limit))
}

/// Runs one measurement and reads its figures.
fn start(options: &Options, kind: Kind, compression: Compression) -> Result<Measured, Error> {
    let program = std::env::current_exe().map_err(Error::Start)?;
    let child = Command::new(program)
        .args(options.of_child(kind, compression))
        .stderr(Stdio::inherit())
        .output()
        .map_err(Error::Start)?;
    let figures = Measured::parse(&String::from_utf8_lossy(&child.stdout));
    figures
        .filter(|_| child.status.success())
        .ok_or(Error::Measure(child.status))
}
