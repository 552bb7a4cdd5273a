//! Random schedules of the whole pool with more threads than loom can exhaust: readers, one that stores and frees, one that
//! migrates, one that compacts, one that evacuates a region.
//!
//! Run with `ci/shuttle.sh`. shuttle runs one thread at a time and is sequentially consistent, so what is looked for here are
//! orders of steps, not orderings; those are loom's. Objects, headers and segments are watched for use after their end. A
//! run that fails prints its steps, and a schedule that `shuttle::replay` takes.

#![cfg(zsalloc_shuttle)]

#[path = "shuttle/lock.rs"]
mod lock;

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

use shuttle::scheduler::{PctScheduler, RandomScheduler, Scheduler};
use shuttle::thread::{self, JoinHandle};
use zsalloc::{AutoCompact, ClassPolicy, Handle, MigrateError, Mmap, execution};

use lock::Blocking;

type Pool = zsalloc::Pool<Blocking, Mmap>;

/// An object for which a page has two slots, and one for which it has four.
const LENGTHS: [usize; 2] = [1025, 1000];

/// What happened over all schedules: a run in which nothing meets nothing shows nothing.
#[derive(Default)]
struct Seen {
    moved: AtomicUsize,
    migrated: AtomicUsize,
    refused: AtomicUsize,
    gone: AtomicUsize,
    evacuated: AtomicUsize,
}

fn spawn<T: Send + 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + Send + 'static,
) -> JoinHandle<T> {
    thread::spawn(move || {
        execution::name(name);
        body()
    })
}

fn insert(pool: &Pool, n: u8) -> Handle {
    let len = LENGTHS[usize::from(n) % LENGTHS.len()];
    pool.insert(&vec![n; len]).expect("pages")
}

fn read(pool: &Pool, handle: &Handle, n: u8) {
    let map = pool.read(handle);
    let len = LENGTHS[usize::from(n) % LENGTHS.len()];
    assert!(map.len() == len, "the object has another length");
    thread::yield_now();
    assert!(
        map.iter().all(|&byte| byte == n),
        "the object has other bytes"
    );
}

type Numbered = (u8, Handle);

/// What a thread does to the layout.
type Mover = fn(&Pool, &Seen);

/// With `automatic` the pool retains free pages, and frees compact as they go.
fn new_pool(automatic: bool) -> Arc<Pool> {
    let builder = zsalloc::Pool::builder()
        .classes(ClassPolicy::Adaptive { max_pages: 1 })
        .lock_with(Blocking::new);
    let builder = if automatic {
        let policy = AutoCompact::default().slack(0.0);
        builder.retain_pages(2).auto_compact(policy)
    } else {
        builder
    };
    Arc::new(builder.build().expect("valid"))
}

/// Stores objects of its own, and takes some out again.
fn store_and_take(pool: &Pool) -> Vec<Numbered> {
    let mut own = Vec::new();
    for n in 20..26 {
        own.push((n, insert(pool, n)));
        if n % 3 == 2 {
            let (n, handle) = own.remove(0);
            let mut target = Vec::new();
            pool.take(handle, &mut target);
            assert!(
                target.iter().all(|&byte| byte == n),
                "the object has other bytes"
            );
        }
    }
    own
}

fn migrate_all(pool: &Pool, seen: &Seen) {
    for zspage in pool.zspages() {
        let counter = match pool.migrate(zspage.id) {
            Ok(()) => &seen.migrated,
            Err(MigrateError::Busy) => &seen.refused,
            Err(error) => {
                assert_eq!(error, MigrateError::Gone);
                &seen.gone
            }
        };
        counter.fetch_add(1, Relaxed);
    }
}

fn compact_twice(pool: &Pool, seen: &Seen) {
    for _ in 0..2 {
        seen.moved.fetch_add(pool.compact().objects_moved, Relaxed);
    }
}

fn evacuate_one(pool: &Pool, seen: &Seen) {
    if let Some(region) = pool.regions().next() {
        let report = pool.evacuate(region.id);
        seen.evacuated.fetch_add(report.zspages_moved, Relaxed);
    }
}

fn everything(seen: &Arc<Seen>, automatic: bool) {
    execution::begin();
    execution::name("main");
    let pool = new_pool(automatic);
    // Every other one goes, so there is something to compact.
    let objects: Vec<Numbered> = (0..12).map(|n| (n, insert(&pool, n))).collect();
    let (shared, freed): (Vec<_>, Vec<_>) = objects.into_iter().partition(|(n, _)| n / 2 % 2 == 0);
    let mut freed: Vec<_> = freed.into_iter().map(|(_, handle)| handle).collect();
    if !automatic {
        pool.free_many(freed.drain(..));
    }
    let shared = Arc::new(shared);

    let readers = ["reader 1", "reader 2"].map(|name| {
        let (pool, shared) = (Arc::clone(&pool), Arc::clone(&shared));
        spawn(name, move || {
            shared
                .iter()
                .for_each(|(n, handle)| read(&pool, handle, *n))
        })
    });
    let owner = spawn("owner", {
        let pool = Arc::clone(&pool);
        move || {
            // If frees compact, they have to be seen doing it.
            pool.free_many(freed);
            store_and_take(&pool)
        }
    });
    let movers: [(_, Mover); 3] = [
        ("migrator", migrate_all),
        ("compactor", compact_twice),
        ("evacuator", evacuate_one),
    ];
    let movers = movers.map(|(name, moves)| {
        let (pool, seen) = (Arc::clone(&pool), Arc::clone(seen));
        spawn(name, move || moves(&pool, &seen))
    });
    for thread in readers.into_iter().chain(movers) {
        thread.join().unwrap();
    }
    let own = owner.join().unwrap();
    let shared = Arc::into_inner(shared).expect("the readers are gone");
    for (n, handle) in shared.into_iter().chain(own) {
        read(&pool, &handle, n);
        pool.free(handle);
    }
    pool.trim();
    assert_eq!(pool.resident_pages(), 0, "pages are lost");
    drop(pool);
    execution::end();
}

fn run(scheduler: impl Scheduler + 'static, automatic: bool) {
    let seen = Arc::new(Seen::default());
    let body = {
        let seen = Arc::clone(&seen);
        move || everything(&seen, automatic)
    };
    let mut config = shuttle::Config::new();
    config.stack_size = 0x10_0000;
    let runner = shuttle::Runner::new(scheduler, config);
    let result = catch_unwind(AssertUnwindSafe(|| runner.run(body)));
    if let Err(failure) = result {
        for (who, what) in execution::steps() {
            println!("  {who:<10} {what}");
        }
        resume_unwind(failure);
    }
    let Seen {
        moved,
        migrated,
        refused,
        gone,
        evacuated,
    } = &*seen;
    let counts = [moved, migrated, refused, gone, evacuated].map(|n| n.load(Relaxed));
    println!("objects moved, zspages migrated, refused, gone, evacuated: {counts:?}");
    assert!(
        counts.iter().all(|&n| n > 0),
        "something never happened: {counts:?}"
    );
}

/// The number of schedules; `ZSALLOC_SHUTTLE_SCHEDULES` overrides it.
fn schedules() -> usize {
    let schedules = std::env::var("ZSALLOC_SHUTTLE_SCHEDULES");
    schedules.map_or(2000, |n| n.parse().expect("a number"))
}

#[test]
fn random_schedules() {
    run(RandomScheduler::new(schedules()), false);
}

#[test]
fn random_schedules_with_retained_pages_and_automatic_compaction() {
    run(RandomScheduler::new(schedules()), true);
}

/// Probabilistic concurrency testing: a bug that takes `d` steps in a certain order is found with a known probability
/// (Burckhardt et al., "A randomized scheduler with probabilistic guarantees of finding bugs", ASPLOS 2010).
#[test]
fn schedules_with_few_preemptions() {
    run(PctScheduler::new(3, schedules()), false);
}
