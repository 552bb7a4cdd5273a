//! Plugs locks and a page source into a pool: a lock of one's own (`spin_lock.rs`), any other of lock_api in
//! one line, and a source that counts (`metered.rs`).

mod metered;
mod spin_lock;

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use metered::Metered;
use spin_lock::SpinLock;
use zsalloc::lock_api::RawRwLock;
use zsalloc::{Handle, Pool};

const OBJECTS: usize = 20_000;

fn main() -> ExitCode {
    println!("lock        bytes  objects  moved  most pages  given back");
    // Whatever the lock, plugging it in is this one line.
    let intact = [
        run("zslock", || zslock::RawZsLock::INIT),
        run("parking_lot", || parking_lot::RawRwLock::<false>::INIT),
        run("SpinLock", || SpinLock::INIT),
    ];
    if intact.iter().all(|&intact| intact) {
        println!(
            "verdict: three locks and a page source of our own: every byte intact, every page back"
        );
        ExitCode::SUCCESS
    } else {
        println!("verdict: FAILED, see above");
        ExitCode::FAILURE
    }
}

/// Fills a pool, frees three of four objects, and compacts and migrates while two threads read the rest.
fn run<L>(name: &str, new_lock: fn() -> L) -> bool
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
    let (out, most) = source.out_and_most();
    println!(
        "{name:11} {:5} {OBJECTS:8} {moved:6} {most:11} {:11}{}",
        size_of::<L>(),
        before - after,
        if intact && out == 0 { "" } else { "  WRONG" }
    );
    intact && out == 0
}

/// The contents of object `n`.
fn bytes(n: usize) -> Vec<u8> {
    (0..200 + n % 1500).map(|i| (i * 31 + n) as u8).collect()
}
