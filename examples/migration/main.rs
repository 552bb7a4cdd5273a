//! The main job: real compressed pages in a `zsalloc` pool, mapped by threads while their zspages move.
//!
//! `cargo run --release --example migration -- --help` lists the options. In reading order: `cli`, `corpus` and `page`
//! (what is stored), `store` (into the pool, and checked on the way out), `observed_lock` and `events` (how waits and
//! refusals are seen), `workload` (the threads), `history`, `timeline` and `closeup` (what the record tells), `terminal`,
//! `svg`, `plot`, `picture` and `report` (how it is shown).

mod cli;
mod closeup;
mod corpus;
mod error;
mod events;
mod history;
mod observed_lock;
mod page;
mod picture;
mod plot;
mod report;
mod resident;
mod rng;
mod roles;
mod store;
mod svg;
mod terminal;
mod timeline;
mod units;
mod workload;

use std::fs::File;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use lock_api::RawRwLock;
use zsalloc::Pool;
use zslock::{RawZsLock, lock_class_key};

use cli::{Lock, Options};
use closeup::Closeup;
use corpus::Pages;
use error::Error;
use events::Sample;
use history::History;
use observed_lock::Observed;
use page::PAGE;
use report::{Findings, Sizes};
use rng::Rng;
use store::{Object, ZspageLock};
use terminal::Paint;
use workload::{Checks, Crew, Outcome};

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
    let picture = options
        .svg
        .as_ref()
        .map(|path| File::create(path).map_err(|e| Error::Picture(path.clone(), e)));
    let picture = picture.transpose()?;
    let mut out = io::stdout();
    let pool = Pool::builder()
        .lock_with(new_lock)
        .build()
        .map_err(Error::Pool)?;

    let crew = crew(options);
    let lanes = crew.lanes();
    let mut objects = load(options, &pool, &mut out)?;
    let full = size_of_pool(&pool);
    let freed = store::free_half(
        &pool,
        &mut objects,
        &mut Rng::for_lane(options.seed, usize::MAX),
    );
    let half_freed = size_of_pool(&pool);
    writeln!(
        out,
        "freed       {} at random; compaction could give back {}",
        units::counted(freed, "object"),
        units::counted(pool.freeable() as u64, "page")
    )?;

    writeln!(
        out,
        "running     {}: {}, {}, a churner and a migrator; lock: {} ({} bytes), seed {}",
        units::duration(options.duration.as_nanos() as u64),
        units::counted(options.threads.into(), "reader"),
        units::counted(options.sleepers.into(), "sleeper"),
        options.lock.name(),
        size_of::<R>(),
        options.seed,
    )?;
    // A quarter of the objects comes and goes; the readers share the others.
    let mut churned = objects.split_off(objects.len() - objects.len() / 4);
    let outcome = workload::run(&pool, &objects, &mut churned, crew, lanes).map_err(Error::Run)?;
    let sizes = Sizes {
        full,
        half_freed,
        after: size_of_pool(&pool),
    };

    objects.append(&mut churned);
    writeln!(
        out,
        "verifying   {} left in the pool",
        units::counted(objects.len() as u64, "object")
    )?;
    let after = verify(&pool, &objects);

    let history = History::of(&outcome.record);
    let causes = history.causes_of_waits(&outcome.record);
    let findings = Findings::of(&outcome, &causes, after, &pool.stats());
    let verdict = report::verdict(&findings);
    let closeups: Vec<Closeup> = [
        closeup::of_a_wait(&outcome.record, &history),
        closeup::of_a_refusal(&outcome.record, &history),
    ]
    .into_iter()
    .flatten()
    .collect();

    show(&mut out, &outcome, &closeups)?;
    writeln!(
        out,
        "\n{}\n{}",
        report::figures(&outcome, &causes),
        report::memory(&sizes)
    )?;
    if let (Some(file), Some(path)) = (picture, &options.svg) {
        let heading = heading(options, &findings);
        let drawing = picture::draw(&heading, &outcome.record, &history, &closeups);
        (&file)
            .write_all(drawing.as_bytes())
            .map_err(|e| Error::Picture(path.clone(), e))?;
        writeln!(out, "picture     {}\n", path.display())?;
    }
    writeln!(out, "{verdict}")?;
    Ok(findings.all_is_well())
}

fn crew(options: &Options) -> Crew {
    Crew {
        readers: options.threads,
        sleepers: options.sleepers,
        duration: options.duration,
        seed: options.seed,
    }
}

/// Fills the pool with the input's pages.
fn load<L: ZspageLock>(
    options: &Options,
    pool: &Pool<L>,
    out: &mut impl Write,
) -> Result<Vec<Object>, Error> {
    let began = Instant::now();
    let max_pages = u64::from(options.amount) * ((1 << 20) / PAGE as u64);
    let what = match options.input.as_slice() {
        [] => "this executable, /usr/bin, /usr/lib and /usr/share/doc".to_owned(),
        [one] => one.display().to_string(),
        [first, rest @ ..] => format!(
            "{} and {}",
            first.display(),
            units::counted(rest.len() as u64, "other path")
        ),
    };
    writeln!(out, "loading     {what}, {} MiB at most", options.amount)?;
    let mut pages = match options.input.as_slice() {
        [] => Pages::of_the_system(max_pages),
        inputs => Pages::of_the_user(inputs, max_pages).map_err(Error::Input)?,
    };
    let filled = store::fill(pool, &mut pages)?;
    let read = pages.summary();
    writeln!(
        out,
        "stored      {} of {} ({}{}) as {} of LZ4 in {} of the pool, {:.1} s",
        units::counted(read.pages, "page"),
        units::counted(read.files, "file"),
        units::mib(read.bytes),
        if read.bounded {
            ", all that --amount allows"
        } else {
            ""
        },
        units::mib(filled.packed_bytes),
        units::counted(pool.resident_pages() as u64, "page"),
        began.elapsed().as_secs_f64(),
    )?;
    Ok(filled.objects)
}

fn size_of_pool<L: ZspageLock>(pool: &Pool<L>) -> Sample {
    Sample {
        at: 0,
        pool_pages: pool.resident_pages() as u64,
        process_bytes: resident::process_bytes(),
    }
}

/// Restores and compares every object.
fn verify<L: ZspageLock>(pool: &Pool<L>, objects: &[Object]) -> Checks {
    let mut checks = Checks::default();
    for object in objects {
        checks.note(object.restore(pool, |_| ()));
    }
    checks
}

fn show(
    out: &mut (impl Write + IsTerminal),
    outcome: &Outcome,
    closeups: &[Closeup],
) -> io::Result<()> {
    let plain =
        !out.is_terminal() || std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    let paint = if plain { Paint::Plain } else { Paint::Ansi };
    write!(out, "\n{}", terminal::timeline(&outcome.record, paint))?;
    for closeup in closeups {
        write!(
            out,
            "\n{}",
            terminal::closeup(closeup, &outcome.record, paint)
        )?;
    }
    Ok(())
}

fn heading(options: &Options, findings: &Findings) -> picture::Heading {
    picture::Heading {
        title: format!(
            "Maps and migrations of compressed pages in one pool (lock: {})",
            options.lock.name()
        ),
        subtitle: format!(
            "{} checked while zspages moved; {} waited for a migration; {} refused because a map was held; {} given \
             back; seed {}",
            units::counted(findings.during.maps, "map"),
            units::count(findings.waits_for_migration),
            units::counted(findings.refusals, "migration"),
            units::counted(findings.pages_freed, "page"),
            options.seed,
        ),
    }
}
