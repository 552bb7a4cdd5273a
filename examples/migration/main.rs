//! The main job: real compressed pages in a `zsalloc` pool, mapped by threads while their zspages
//! move.
//!
//! `cargo run --release --example migration -- --help` lists the options. In reading order: `cli`,
//! `page` (what is stored), `store` (into the pool, and checked on the way out),
//! `observed_lock` and `events` (how waits and refusals are seen), `workload` and `roles` (the
//! threads), `history`, `timeline` and `closeup` (what the record tells), `terminal`,
//! `plot`, `picture` and `report` (how it is shown).

mod cli;
mod closeup;
mod error;
mod events;
mod history;
mod observed_lock;
mod page;
mod picture;
mod plot;
mod report;
mod roles;
mod sample;
mod store;
mod terminal;
mod timeline;
mod workload;

use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use examples::corpus::{PAGE, Pages};
use examples::output_file::OutputFile;
use examples::rng::Rng;
use examples::units;
use lock_api::RawRwLock;
use zsalloc::{Pool, PoolStats};
use zslock::{RawZsLock, lock_class_key};

use cli::{Lock, Options};
use closeup::Closeup;
use error::Error;
use history::History;
use observed_lock::Observed;
use report::{Findings, Sizes};
use sample::Sample;
use store::{Checks, Object, ZspageLock};
use terminal::Paint;
use workload::{Crew, Outcome};

fn main() -> ExitCode {
    let options = Options::parse();
    let finished = match options.lock {
        Lock::Zslock => run(&options, || {
            Observed::watching(RawZsLock::with_class(lock_class_key!("zspage")))
        }),
        Lock::ParkingLot => run(&options, || {
            Observed::watching(<parking_lot::RawRwLock>::INIT)
        }),
    };
    match finished {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => error.report(),
    }
}

/// The whole story, for one kind of lock. Returns whether all is well.
fn run<R>(options: &Options, new_lock: fn() -> Observed<R>) -> Result<bool, Error>
where
    R: RawRwLock + Send + Sync + 'static,
{
    // What can be refused is refused before any work is done.
    let picture = options.svg.as_deref().map(|path| {
        let file = OutputFile::reserve(path);
        file.map_err(|e| Error::Picture(path.to_owned(), e))
    });
    let picture = picture.transpose()?;
    let mut out = io::stdout();
    let pool = Pool::builder()
        .lock_with(new_lock)
        .build()
        .map_err(Error::Pool)?;
    let crew = Crew {
        readers: options.threads,
        sleepers: options.sleepers,
        duration: options.duration,
        seed: options.seed,
    };
    let lanes = crew.lanes();

    let mut objects = load(options, &pool, &mut out)?;
    let full = Sample::of(&pool, 0);
    let mut random = Rng::for_lane(crew.seed, lanes.len());
    let freed = store::free_half(&pool, &mut objects, &mut random);
    let half_freed = Sample::of(&pool, 0);
    let (freed, freeable) = (
        units::counted(freed, "object"),
        units::counted(pool.freeable() as u64, "page"),
    );
    writeln!(
        out,
        "freed       {freed} at random; compaction could give back {freeable}"
    )?;

    let lock = format!("{} ({} bytes)", options.lock.name(), size_of::<R>());
    writeln!(out, "running     {}", report::setting(&crew, &lock))?;
    let outcome = workload::run(&pool, &mut objects, crew, lanes).map_err(Error::Run)?;
    let sizes = Sizes {
        full,
        half_freed,
        after: Sample::of(&pool, 0),
    };

    writeln!(
        out,
        "verifying   {} left in the pool",
        units::counted(objects.len() as u64, "object")
    )?;
    let after = store::verify(&pool, &objects);
    let stats = pool.stats();
    conclude(options, picture, &outcome, &sizes, after, &stats, &mut out)
}

/// Fills the pool with the input's pages.
fn load<L: ZspageLock>(
    options: &Options,
    pool: &Pool<L>,
    out: &mut impl Write,
) -> Result<Vec<Object>, Error> {
    let began = Instant::now();
    let max_pages = u64::from(options.amount) * ((1 << 20) / PAGE as u64);
    let (mut pages, what) = match options.input.as_slice() {
        [] => (
            Pages::of_the_system(max_pages),
            "this executable, /usr/bin, /usr/lib and /usr/share/doc".to_owned(),
        ),
        inputs @ [first, others @ ..] => {
            let more = match others {
                [] => String::new(),
                _ => format!(" and {}", units::counted(others.len() as u64, "other path")),
            };
            let pages = Pages::of_the_user(inputs, max_pages).map_err(Error::Input)?;
            (pages, format!("{}{more}", first.display()))
        }
    };
    writeln!(out, "loading     {what}, {} MiB at most", options.amount)?;
    let filled = store::fill(pool, &mut pages)?;
    let read = pages.summary();
    writeln!(
        out,
        "stored      {} of {} ({}{})\n            as {} of LZ4 in {} of the pool, {:.1} s",
        units::counted(read.pages, "page"),
        units::counted(read.files, "file"),
        units::bytes(read.bytes),
        if read.bounded {
            ", all that --amount allows"
        } else {
            ""
        },
        units::bytes(filled.packed_bytes),
        units::counted(pool.resident_pages() as u64, "page"),
        began.elapsed().as_secs_f64(),
    )?;
    Ok(filled.objects)
}

/// Shows the run in every way that was asked for, and judges it.
fn conclude(
    options: &Options,
    picture: Option<OutputFile>,
    outcome: &Outcome,
    sizes: &Sizes,
    after: Checks,
    stats: &PoolStats,
    out: &mut (impl Write + IsTerminal),
) -> Result<bool, Error> {
    let record = &outcome.record;
    let history = History::of(record);
    let causes = history.causes_of_waits(record);
    let findings = Findings::of(outcome, &causes, after, stats);
    let incidents = [
        closeup::of_a_wait(record, &history),
        closeup::of_a_refusal(record, &history),
    ];
    let closeups: Vec<Closeup> = incidents.into_iter().flatten().collect();

    let paint = Paint::for_output(out.is_terminal());
    writeln!(out, "\n{}", terminal::timeline(record, paint))?;
    for closeup in &closeups {
        writeln!(out, "{}", terminal::closeup(closeup, record, paint))?;
    }
    writeln!(
        out,
        "{}\n{}",
        report::figures(outcome, &causes),
        report::memory(sizes)
    )?;
    if let (Some(file), Some(path)) = (picture, &options.svg) {
        let heading = report::heading(
            &findings,
            options.lock.name(),
            options.seed,
            record.dropped(),
        );
        let drawing = picture::draw(&heading, record, &history, &closeups);
        file.write(&drawing)
            .map_err(|e| Error::Picture(path.clone(), e))?;
        writeln!(out, "picture     {}\n", path.display())?;
    }
    writeln!(out, "{}", report::verdict(&findings))?;
    Ok(findings.all_is_well())
}
