//! The memory overhead of a lock in every zspage, worked out exactly: lock by lock, for every size
//! class, for several chain and page sizes, and for real compressed pages.
//!
//! The question is one of the review of "zsmalloc: make zspage lock preemptible" (S. Senozhatsky,
//! LKML, February 2025): the length of a zspage is a function of the size class, so what exactly does
//! the lock cost a compressed page, and is that insignificant?
//!
//! `cargo run --release --example overhead -- --help` lists the options. In reading order: `cli`,
//! `locks` (the candidates), `histogram` (sizes of real pages), `tables` (the answer), `estimate` (an
//! estimate made in the discussion, judged), `counted` (what a pool really has), `verdict`, `drawing`
//! and `csv`.

mod cli;
mod counted;
mod csv;
mod drawing;
mod error;
mod estimate;
mod histogram;
mod locks;
mod tables;
mod verdict;

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use examples::output_file::OutputFile;

use cli::Options;
use error::Error;
use histogram::Corpus;
use verdict::Check;

fn main() -> ExitCode {
    match run(&Options::parse(), &mut io::stdout()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => error.report(),
    }
}

/// The whole answer; returns whether all checks passed.
fn run(options: &Options, out: &mut impl Write) -> Result<bool, Error> {
    // What can be refused is refused before any work is done.
    let reserve = |path: &Option<std::path::PathBuf>| {
        let file = path.as_deref().map(OutputFile::reserve).transpose();
        file.map_err(|cause| Error::File(path.clone().unwrap_or_default(), cause))
    };
    let svg = reserve(&options.svg)?;
    let table_file = reserve(&options.csv)?;
    let corpus = Corpus::read(options).map_err(Error::Input)?;
    if corpus.pages.iter().any(|pages| pages.lengths[0].is_empty()) {
        return Err(Error::NothingStored);
    }
    let locks = locks::candidates();

    writeln!(out, "{}", locks::listed(&locks))?;
    writeln!(out, "{}", corpus.summary())?;
    writeln!(out, "{}", tables::by_lock(&locks, &corpus))?;
    writeln!(out, "{}", tables::by_shape())?;
    writeln!(out, "{}", tables::by_corpus(&corpus))?;
    writeln!(out, "{}", tables::by_byte(&corpus))?;
    writeln!(out, "{}", estimate::judged())?;
    let counted = counted::in_pools(&corpus).map_err(Error::Pool)?;
    writeln!(out, "{}", counted.told())?;
    writeln!(out, "{}", verdict::by_lock(&locks, &corpus))?;
    for (file, contents) in [(svg, drawing::draw(&corpus)), (table_file, csv::rows())] {
        if let Some(file) = file {
            let path = file.path().to_owned();
            file.write(&contents)
                .map_err(|cause| Error::File(path.clone(), cause))?;
            writeln!(out, "written: {}", path.display())?;
        }
    }
    let checks = verdict::checks(&corpus, &counted);
    for failed in checks.iter().filter(|check| !check.passed) {
        writeln!(out, "CHECK FAILED: {}", failed.what)?;
    }
    writeln!(out, "{}", verdict::line(&locks, &corpus, &checks))?;
    Ok(checks.iter().all(|Check { passed, .. }| *passed))
}
