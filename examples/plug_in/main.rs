//! Plugs locks and a page source into a pool: a lock of one's own (`spin_lock.rs`), any other of lock_api in
//! one line, and a source that counts (`metered.rs`).

mod metered;
mod spin_lock;

use std::io::{self, Write};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use clap::Parser;
use examples::stdout;
use metered::Metered;
use spin_lock::SpinLock;
use zsalloc::lock_api::RawRwLock;
use zsalloc::{Handle, Pool};

const OBJECTS: usize = 20_000;

/// The pool with three locks, one of them written here, and with a page source that counts.
///
/// Exit status: 0 all bytes intact and all pages back, 1 they are not or the output could not be written,
/// 2 bad option.
#[derive(Debug, Parser)]
#[command(name = "plug_in", verbatim_doc_comment)]
struct Options {}

fn main() -> ExitCode {
    Options::parse();
    stdout::ended(run(&mut io::stdout()))
}

/// A row for each lock; returns whether all is well.
fn run(out: &mut impl Write) -> io::Result<bool> {
    writeln!(
        out,
        "lock        bytes  objects  moved  most pages  given back"
    )?;
    // Whatever the lock, plugging it in is this one line.
    let intact = [
        row(out, "zslock", || zslock::RawZsLock::INIT)?,
        row(out, "parking_lot", || parking_lot::RawRwLock::<false>::INIT)?,
        row(out, "SpinLock", || SpinLock::INIT)?,
    ];
    let intact = intact == [true; 3];
    let verdict = if intact {
        "three locks and a page source of our own: every byte intact, every page back"
    } else {
        "FAILED, see above"
    };
    writeln!(out, "verdict: {verdict}")?;
    Ok(intact)
}

/// Fills a pool, frees three of four objects, and compacts and migrates while two threads read the rest.
fn row<L>(out: &mut impl Write, name: &str, new_lock: fn() -> L) -> io::Result<bool>
where
    L: RawRwLock + Send + Sync + 'static,
{
    let source = Arc::new(Metered::default());
    let pool = Pool::builder()
        .lock_with(new_lock)
        .backend(Arc::clone(&source))
        .build()
        .expect("the default configuration is possible");
    let stored = (0..OBJECTS).map(|n| (n, pool.insert(&bytes(n)).expect("there is memory")));
    let (kept, freed): (Vec<_>, Vec<_>) = stored
        .collect::<Vec<_>>()
        .into_iter()
        .partition(|(n, _)| n % 4 == 0);
    pool.free_many(freed.into_iter().map(|(_, handle)| handle));
    let before = pool.resident_pages();

    let done = AtomicBool::new(false);
    let is_intact = |(n, handle): &(usize, Handle)| *pool.read(handle) == bytes(*n);
    let intact = thread::scope(|scope| {
        let reader = || {
            let mut intact = true;
            while !done.load(Ordering::Relaxed) {
                intact &= kept.iter().all(is_intact);
            }
            intact
        };
        let readers = [scope.spawn(reader), scope.spawn(reader)];
        for _ in 0..3 {
            pool.compact();
            // Zspages that are being read stay where they are.
            pool.zspages()
                .for_each(|zspage| _ = pool.migrate(zspage.id));
        }
        done.store(true, Ordering::Relaxed);
        readers.map(|reader| reader.join().unwrap_or(false)) == [true; 2]
    });
    // Nothing is mapped any more, so all that can be gained is.
    pool.compact();
    let (after, moved) = (pool.resident_pages(), pool.stats().objects_moved);
    let intact = intact && kept.iter().all(is_intact) && pool.freeable() == 0 && moved > 0;
    pool.free_many(kept.into_iter().map(|(_, handle)| handle));
    let (missing, most) = source.out_and_most();
    let intact = intact && missing == 0;
    writeln!(
        out,
        "{name:11} {:5} {OBJECTS:8} {moved:6} {most:11} {:11}{}",
        size_of::<L>(),
        before - after,
        if intact { "" } else { "  WRONG" }
    )?;
    Ok(intact)
}

/// The contents of object `n`.
fn bytes(n: usize) -> Vec<u8> {
    (0..200 + n % 1500).map(|i| (i * 31 + n) as u8).collect()
}
