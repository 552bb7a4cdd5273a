//! A random schedule of all operations on several threads, on every lock with both class policies in
//! turn, for as long as one likes: every byte is checked, and all memory comes back.
//!
//! ```text
//! ZSALLOC_SOAK_SECONDS=600 ZSALLOC_SOAK_SEED=7 ZSALLOC_SOAK_THREADS=4 \
//!     cargo test --release -p zsalloc --test soak -- --nocapture
//! ```
//!
//! Without the variables it is short.

mod common;
#[path = "soak/worker.rs"]
mod worker;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Random, locks};
use parking_lot::RwLock;
use worker::{Worker, check};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{AutoCompact, ClassPolicy, Failing, Handle, MappedOwned, Mmap, Pool, PoolStats};

const PLACES: usize = 800;

type Source = Arc<Failing<Mmap>>;
type OwnedMap<L> = MappedOwned<Arc<Pool<L, Source>>, Arc<Handle>>;

/// An object, and what its bytes are made of.
struct Object {
    handle: Arc<Handle>,
    name: u64,
    len: usize,
}

/// Where threads share objects. The locks here are only about the handles; the pool's own protect
/// everything else.
type Shelf = Vec<RwLock<Option<Object>>>;

/// How a pool is built.
#[derive(Clone, Copy, Debug)]
struct Setting {
    classes: ClassPolicy,
    slack: Option<f32>,
    retain: usize,
    max_pages: usize,
}

impl Setting {
    fn random(classes: ClassPolicy, random: &mut Random) -> Self {
        Self {
            classes,
            slack: [None, Some(0.0), Some(0.03), Some(0.2)][random.below(4)],
            retain: [0, 8, 64][random.below(3)],
            // Enough for all objects, or nearly.
            max_pages: [usize::MAX, PLACES * 1200 / 4096][random.below(2)],
        }
    }

    fn pool<L>(self, new_lock: fn() -> L, source: Source) -> Pool<L, Source>
    where
        L: RawRwLock + Send + Sync + 'static,
    {
        let builder = Pool::builder()
            .lock_with(new_lock)
            .backend(source)
            .classes(self.classes)
            .retain_pages(self.retain)
            .max_pages(self.max_pages);
        let builder = match self.slack {
            Some(slack) => builder.auto_compact(AutoCompact::default().slack(slack)),
            None => builder,
        };
        builder.build().unwrap()
    }
}

#[derive(Debug, Default)]
struct Totals {
    rounds: usize,
    operations: AtomicU64,
    compactions: AtomicU64,
    evacuations: AtomicU64,
    refused: AtomicU64,
    peak_pages: AtomicUsize,
    maps_waited: u64,
    migrations: u64,
    migrations_refused: u64,
    moved: u64,
}

fn add(counter: &AtomicU64) {
    // Relaxed, here and below: a statistic.
    counter.fetch_add(1, Ordering::Relaxed);
}

/// One pool, for a while.
fn round<L>(name: &str, new_lock: fn() -> L, classes: ClassPolicy, time: Duration, job: &mut Job)
where
    L: RawRwLock + Send + Sync + 'static,
{
    let setting = Setting::random(classes, &mut job.random);
    let end = Instant::now() + time;
    let source = Arc::new(Failing::new(Mmap::new()));
    let pool = Arc::new(setting.pool(new_lock, Arc::clone(&source)));
    let shelf: Shelf = (0..PLACES).map(|_| RwLock::new(None)).collect();
    thread::scope(|scope| {
        for _ in 0..job.threads {
            let (seed, pool) = (job.random.next(), Arc::clone(&pool));
            let (source, shelf, totals) = (&source, &shelf, &job.totals);
            // Made there, as not every lock's guard may travel.
            let worker = move || Worker {
                pool,
                other: Pool::new(),
                source,
                shelf,
                totals,
                random: Random::new(seed),
                held: Vec::new(),
                zspages: Vec::new(),
            };
            scope.spawn(move || worker().run(end));
        }
    });

    let stats = emptied(&pool, shelf);
    let totals = &mut job.totals;
    totals.rounds += 1;
    totals.maps_waited += stats.maps_waited;
    totals.migrations += stats.migrations;
    totals.migrations_refused += stats.migrations_refused;
    totals.moved += stats.objects_moved;
    job.report(
        &format!("{name}, {:?}, slack {:?}", setting.classes, setting.slack),
        stats.resident_pages,
    );
}

/// Checks and frees what is on the shelf, when all threads have ended; what the pool had counted before.
fn emptied<L: RawRwLock>(pool: &Pool<L, Source>, shelf: Shelf) -> PoolStats {
    let objects: Vec<_> = shelf.into_iter().filter_map(RwLock::into_inner).collect();
    let stats = pool.stats();
    assert_eq!(stats.objects, objects.len());
    assert!(
        pool.zspages()
            .all(|zspage| zspage.used > 0 && !zspage.mapped)
    );
    for Object { handle, name, len } in objects {
        check(&pool.read(&handle), name, len);
        pool.free(Arc::into_inner(handle).unwrap());
    }
    pool.trim();
    assert_eq!(pool.resident_pages(), 0);
    stats
}

struct Job {
    start: Instant,
    reported: Instant,
    threads: usize,
    random: Random,
    totals: Totals,
}

impl Job {
    /// A line every few seconds.
    fn report(&mut self, what: &str, pages: usize) {
        if self.reported.elapsed() < Duration::from_secs(5) {
            return;
        }
        self.reported = Instant::now();
        println!(
            "soak: {:4} s, {:9} operations, last {pages} pages with {what}; {} MiB resident",
            self.start.elapsed().as_secs(),
            self.totals.operations.load(Ordering::Relaxed),
            resident_mib(),
        );
    }
}

/// Of the whole process; 0 where that cannot be seen.
fn resident_mib() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages: Option<usize> = statm.split(' ').nth(1).and_then(|pages| pages.parse().ok());
    (pages.unwrap_or(0) * 4096) >> 20
}

fn variable(name: &str, default: u64) -> u64 {
    match std::env::var(name) {
        Ok(value) => value
            .parse()
            .unwrap_or_else(|_| panic!("{name}={value} is not a number")),
        Err(_) => default,
    }
}

#[test]
fn soak() {
    let seconds = variable("ZSALLOC_SOAK_SECONDS", 1);
    let seed = variable("ZSALLOC_SOAK_SEED", 1);
    let classes = [
        ClassPolicy::default(),
        ClassPolicy::Zsmalloc { chain_size: 8 },
    ];
    let start = Instant::now();
    let mut job = Job {
        start,
        reported: start,
        threads: variable("ZSALLOC_SOAK_THREADS", 4) as usize,
        random: Random::new(seed),
        totals: Totals::default(),
    };
    let whole = Duration::from_secs(seconds);
    // Three locks and two policies in turn.
    let slice = (whole / 6).min(Duration::from_secs(2));
    let mut after_first_turn = 0;
    while start.elapsed() < whole || job.totals.rounds < 6 {
        for classes in classes {
            round("zslock", locks::zslock, classes, slice, &mut job);
            round("gated zslock", locks::gated, classes, slice, &mut job);
            round("parking_lot", locks::parking_lot, classes, slice, &mut job);
        }
        if job.totals.rounds == 6 {
            after_first_turn = resident_mib();
        }
    }
    let (totals, resident) = (&job.totals, resident_mib());
    println!(
        "soak: clean, seed {seed}, {} threads, {} s, {} rounds: {} operations, {} refused; {} maps waited; {} zspages \
         migrated, {} refused; {} compactions, {} evacuations, {} objects moved; at most {} pages; {after_first_turn} MiB \
         resident after the first turn, {resident} at the end",
        job.threads,
        start.elapsed().as_secs(),
        totals.rounds,
        totals.operations.load(Ordering::Relaxed),
        totals.refused.load(Ordering::Relaxed),
        totals.maps_waited,
        totals.migrations,
        totals.migrations_refused,
        totals.compactions.load(Ordering::Relaxed),
        totals.evacuations.load(Ordering::Relaxed),
        totals.moved,
        totals.peak_pages.load(Ordering::Relaxed),
    );
    assert!(totals.moved > 0 && totals.migrations > 0);
    // Nothing piles up: neither pages nor headers nor tables.
    assert!(
        resident <= after_first_turn + 32,
        "{after_first_turn} MiB, then {resident}"
    );
}
