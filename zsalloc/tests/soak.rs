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

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use common::{Random, fill, is_intact, locks};
use parking_lot::RwLock;
use zsalloc::lock_api::RawRwLock;
use zsalloc::{
    AllocError, AutoCompact, Budget, ClassPolicy, Failing, Handle, MappedOwned, Mmap, Pool,
    ZspageId,
};

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

fn check(bytes: &[u8], name: u64, len: usize) {
    assert_eq!(bytes.len(), len);
    let head = len.min(8);
    assert_eq!(
        bytes[..head],
        name.to_le_bytes()[..head],
        "another object's bytes"
    );
    assert!(is_intact(bytes), "a damaged object");
}

struct Worker<'s, L: RawRwLock> {
    pool: Arc<Pool<L, Source>>,
    other: Pool,
    source: &'s Source,
    shelf: &'s Shelf,
    totals: &'s Totals,
    random: Random,
    /// Maps that are held for some time, with name and length.
    held: Vec<(OwnedMap<L>, u64, usize)>,
    zspages: Vec<ZspageId>,
}

impl<L: RawRwLock + Send + Sync> Worker<'_, L> {
    fn run(mut self, end: Instant) {
        let mut operations = 0_u64;
        while Instant::now() < end {
            for _ in 0..64 {
                self.step();
            }
            operations += 64;
        }
        self.totals
            .operations
            .fetch_add(operations, Ordering::Relaxed);
        self.held
            .drain(..)
            .for_each(|(map, name, len)| check(&map, name, len));
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..=399 => self.read(),
            400..=899 => self.change(),
            900..=919 => self.hold(),
            920..=949 => {
                if let Some(victim) = self.random.below(1000).checked_rem(self.held.len()) {
                    let (map, name, len) = self.held.swap_remove(victim);
                    check(&map, name, len);
                }
            }
            950..=989 => self.migrate(),
            990..=993 => self.free_some(),
            _ => self.maintain(),
        }
    }

    fn read(&mut self) {
        let shelf = self.shelf;
        let place = shelf[self.random.below(PLACES)].read();
        let Some(Object { handle, name, len }) = &*place else {
            return;
        };
        let map = self.pool.checked_read(handle).unwrap();
        check(&map, *name, *len);
        match self.random.below(50) {
            0 => thread::sleep(Duration::from_micros(100)),
            1 => thread::yield_now(),
            2 => {
                let mut copy = vec![0; *len];
                assert_eq!(self.pool.copy_to(handle, &mut copy), *len);
                assert_eq!(*map, *copy);
            }
            3 => {
                // A second map of the same thread, perhaps of the same zspage.
                let other = shelf[self.random.below(PLACES)].try_read();
                if let Some(Some(other)) = other.as_deref() {
                    check(&self.pool.read(&other.handle), other.name, other.len);
                }
            }
            _ => {}
        }
        // Nothing moved or changed meanwhile.
        check(&map, *name, *len);
    }

    /// Stores, replaces, writes or frees an object.
    fn change(&mut self) {
        let shelf = self.shelf;
        let Some(mut place) = shelf[self.random.below(PLACES)].try_write() else {
            return;
        };
        let (name, len) = (self.random.next(), self.some_len());
        let Some(mut object) = place.take() else {
            *place = self.store(name, len);
            return;
        };
        let Some(handle) = Arc::get_mut(&mut object.handle) else {
            // Held by somebody.
            *place = Some(object);
            return;
        };
        let choice = self.random.below(8);
        match choice {
            0..=2 => {
                let mut map = self.pool.write(handle);
                check(&map, object.name, object.len);
                fill(&mut map, name);
                drop(map);
                object.name = name;
                *place = Some(object);
            }
            3 => {
                let result = self.pool.replace(handle, &common::object(len, name));
                match result {
                    Ok(()) => (object.name, object.len) = (name, len),
                    Err(error) => self.refused(error),
                }
                *place = Some(object);
            }
            _ => {
                let handle = Arc::into_inner(object.handle).unwrap();
                self.free(handle, object.name, object.len, choice);
            }
        }
    }

    fn free(&self, handle: Handle, name: u64, len: usize, choice: usize) {
        match choice {
            4 => {
                let mut taken = Vec::new();
                self.pool.take(handle, &mut taken);
                check(&taken, name, len);
            }
            5 => {
                let (handle, _) = self.other.checked_free(handle).unwrap_err();
                // SAFETY: from `into_raw`, and turned back once.
                self.pool
                    .free(unsafe { Handle::from_raw(handle.into_raw()) });
            }
            _ => self.pool.free(handle),
        }
    }

    fn store(&mut self, name: u64, len: usize) -> Option<Object> {
        let stored = if self.random.below(4) == 0 {
            self.pool.alloc(len).map(|mut handle| {
                let mut map = self.pool.write(&mut handle);
                assert!(map.iter().all(|&byte| byte == 0));
                fill(&mut map, name);
                drop(map);
                handle
            })
        } else {
            self.pool.insert(&common::object(len, name))
        };
        match stored {
            Ok(handle) => {
                let handle = Arc::new(handle);
                Some(Object { handle, name, len })
            }
            Err(error) => {
                self.refused(error);
                None
            }
        }
    }

    fn refused(&self, error: AllocError) {
        assert!(matches!(
            error,
            AllocError::OutOfMemory | AllocError::Limit { .. }
        ));
        add(&self.totals.refused);
    }

    fn some_len(&mut self) -> usize {
        match self.random.below(10) {
            0 => 1 + self.random.below(4096),
            n => [40, 500, 700, 1100, 3000][n % 5] - self.random.below(16),
        }
    }

    fn hold(&mut self) {
        let place = self.shelf[self.random.below(PLACES)].read();
        if let (Some(object), true) = (&*place, self.held.len() < 8) {
            let map = Pool::read_owned(Arc::clone(&self.pool), Arc::clone(&object.handle));
            self.held.push((map, object.name, object.len));
        }
    }

    fn migrate(&mut self) {
        match self.zspages.pop() {
            // Busy and Gone are what concurrency is about.
            Some(id) => drop(self.pool.migrate(id)),
            None => self
                .zspages
                .extend(self.pool.zspages().map(|zspage| zspage.id)),
        }
    }

    fn free_some(&mut self) {
        let first = self.random.below(PLACES);
        let places = self.shelf[first..]
            .iter()
            .take(64)
            .filter_map(|place| place.try_write());
        let objects = places
            .filter_map(|mut place| place.take_if(|object| Arc::strong_count(&object.handle) == 1));
        let handles = objects.filter_map(|object| Arc::into_inner(object.handle));
        let handles: Vec<_> = handles.collect();
        self.pool.free_many(handles);
    }

    fn maintain(&mut self) {
        let pages = self.pool.resident_pages();
        self.totals.peak_pages.fetch_max(pages, Ordering::Relaxed);
        match self.random.below(40) {
            0 => {
                let regions: Vec<_> = self.pool.regions().collect();
                if let Some(n) = self.random.below(1000).checked_rem(regions.len()) {
                    self.pool.evacuate(regions[n].id);
                    add(&self.totals.evacuations);
                }
            }
            1..=4 => {
                let report = self.pool.compact();
                assert!(report.pages_freed == 0 || report.pages_grown == 0);
                add(&self.totals.compactions);
            }
            5..=12 => {
                let pages = Budget::Pages(self.random.below(20));
                let time = Budget::Time(Duration::from_micros(self.random.below(300) as u64));
                self.pool
                    .compact_budget([pages, time][self.random.below(2)]);
                add(&self.totals.compactions);
            }
            13..=20 => self.pool.trim(),
            21..=24 => self
                .source
                .fail_at(self.source.calls() + self.random.below(3) as u64),
            25..=28 => {
                let rows = self.pool.class_stats();
                assert!(rows.iter().all(|row| row.obj_used <= row.obj_allocated));
            }
            _ => {}
        }
    }
}

/// One pool, for a while.
fn round<L>(name: &str, new_lock: fn() -> L, classes: ClassPolicy, time: Duration, job: &mut Job)
where
    L: RawRwLock + Send + Sync + 'static,
{
    let setting = Setting::random(classes, &mut job.random);
    let end = Instant::now() + time;
    let source = Arc::new(Failing::new(Mmap::new()));
    let builder = Pool::builder().lock_with(new_lock).backend(source.clone());
    let builder = builder
        .classes(setting.classes)
        .retain_pages(setting.retain);
    let builder = builder.max_pages(setting.max_pages);
    let pool = match setting.slack {
        Some(slack) => builder.auto_compact(AutoCompact::default().slack(slack)),
        None => builder,
    };
    let pool = Arc::new(pool.build().unwrap());
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
