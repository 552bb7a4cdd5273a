//! Many threads on one pool: readers (some of whom sleep while they hold a map), writers, inserters
//! and freers (who compact, too), a migrator, a compactor and an evacuator; on several lock types.
//! Every object carries its own checksum, so a torn, lost or misplaced byte is seen.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use common::{Random, fill, is_intact, locks, object};
use parking_lot::RwLock;
use zsalloc::lock_api::RawRwLock;
use zsalloc::{AutoCompact, Budget, ClassPolicy, Handle, MigrateError, Mmap, Pool};

const OBJECTS: usize = 600;
const OPERATIONS: usize = 6000;

/// Where threads share handles. Freeing takes the handle out, so it excludes readers of the object;
/// the pool's own locks protect everything else.
type Shelf = Vec<RwLock<Option<Handle>>>;

/// Few classes, so that zspages are shared by many objects.
fn some_len(random: &mut Random) -> usize {
    [40, 700, 1100, 3000][random.below(4)] - random.below(16)
}

fn reader<L: RawRwLock>(pool: &Pool<L, Mmap>, shelf: &Shelf, seed: u64, sleeps: bool) {
    let mut random = Random::new(seed);
    for _ in 0..if sleeps { OPERATIONS / 20 } else { OPERATIONS } {
        let place = shelf[random.below(OBJECTS)].read();
        let Some(handle) = &*place else { continue };
        let map = pool.read(handle);
        assert!(is_intact(&map));
        if sleeps {
            thread::sleep(Duration::from_micros(200));
            assert!(
                is_intact(&map),
                "the object changed under a sleeping reader"
            );
        }
        // A second map of the same thread, perhaps of the same zspage, must not wait for ever.
        let other = shelf[random.below(OBJECTS)].try_read();
        if let Some(Some(other)) = other.as_deref() {
            assert!(is_intact(&pool.read(other)));
        }
    }
}

fn mutator<L: RawRwLock>(pool: &Pool<L, Mmap>, shelf: &Shelf, seed: u64) {
    let mut random = Random::new(seed);
    for _ in 0..OPERATIONS {
        let mut place = shelf[random.below(OBJECTS)].write();
        let bytes = object(some_len(&mut random), random.next());
        match (&mut *place, random.below(8)) {
            (empty @ None, _) => *empty = Some(pool.insert(&bytes).unwrap()),
            (Some(handle), 0) => pool.replace(handle, &bytes).unwrap(),
            (Some(handle), 1..=3) => fill(&mut pool.write(handle), random.next()),
            (full, choice) => {
                let handle = full.take().unwrap();
                match choice {
                    4 => {
                        let mut taken = Vec::new();
                        pool.take(handle, &mut taken);
                        assert!(is_intact(&taken));
                    }
                    5 => pool.free_many([handle]),
                    _ => pool.free(handle),
                }
            }
        }
    }
}

fn migrator<L: RawRwLock>(pool: &Pool<L, Mmap>, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for zspage in pool.zspages() {
            // Busy and Gone are what concurrency is about; the counters at the end show the rest.
            let _ = pool.migrate(zspage.id);
        }
    }
}

fn compactor<L: RawRwLock>(pool: &Pool<L, Mmap>, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        pool.compact();
        thread::yield_now();
    }
}

fn evacuator<L: RawRwLock>(pool: &Pool<L, Mmap>, done: &AtomicBool) {
    while !done.load(Ordering::Relaxed) {
        for region in pool.regions() {
            pool.evacuate(region.id);
        }
        pool.compact_budget(Budget::Pages(4));
        pool.trim();
        thread::yield_now();
    }
}

fn stress<L>(new_lock: fn() -> L, classes: ClassPolicy)
where
    L: RawRwLock + Send + Sync + 'static,
{
    let pool = Pool::builder()
        .lock_with(new_lock)
        .classes(classes)
        .retain_pages(8)
        .auto_compact(AutoCompact::default().slack(0.0))
        .build()
        .unwrap();
    let mut random = Random::new(7);
    let shelf: Shelf = (0..OBJECTS as u64)
        .map(|name| Some(pool.insert(&object(some_len(&mut random), name)).unwrap()))
        .map(RwLock::new)
        .collect();
    let held = pool.insert(&object(700, 1)).unwrap();
    let map = pool.read(&held);
    let address = map.as_ptr();
    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let (pool, shelf, done) = (&pool, &shelf, &done);
        scope.spawn(|| migrator(pool, done));
        scope.spawn(|| compactor(pool, done));
        scope.spawn(|| evacuator(pool, done));
        let workers = [
            scope.spawn(|| reader(pool, shelf, 1, false)),
            scope.spawn(|| reader(pool, shelf, 2, true)),
            scope.spawn(|| reader(pool, shelf, 3, true)),
            scope.spawn(|| mutator(pool, shelf, 4)),
            scope.spawn(|| mutator(pool, shelf, 5)),
        ];
        let results = workers.map(|worker| worker.join());
        // Before any panic is passed on, or the scope would wait for the movers for ever.
        done.store(true, Ordering::Relaxed);
        for result in results {
            result.unwrap();
        }
    });

    // One object was mapped all the time. What the threads met depends on the schedule; what is left when
    // they are gone does not: its zspage, and no other, refuses to move.
    assert!(is_intact(&map) && map.as_ptr() == address);
    let before = pool.stats();
    let moves: Vec<_> = pool.zspages().map(|info| pool.migrate(info.id)).collect();
    let refused = moves.iter().filter(|moved| moved.is_err()).count() as u64;
    assert_eq!(
        (refused, moves.contains(&Err(MigrateError::Busy))),
        (1, true)
    );
    let stats = pool.stats();
    assert_eq!(stats.migrations_refused, before.migrations_refused + 1);
    assert_eq!(stats.migrations, before.migrations + moves.len() as u64 - 1);
    drop(map);
    pool.free(held);

    let handles: Vec<Handle> = shelf.into_iter().filter_map(RwLock::into_inner).collect();
    assert_eq!(pool.stats().objects, handles.len());
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    assert!(
        pool.zspages()
            .all(|zspage| !zspage.mapped && zspage.used > 0)
    );
    pool.compact();
    assert_eq!(pool.freeable(), 0);
    handles.into_iter().for_each(|handle| pool.free(handle));
    pool.trim();
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn zslock_with_adaptive_classes() {
    stress(locks::zslock, ClassPolicy::Adaptive { max_pages: 16 });
}

#[test]
fn zslock_with_zsmallocs_classes() {
    stress(
        locks::zslock_of_its_own_class,
        ClassPolicy::Zsmalloc { chain_size: 8 },
    );
}

#[test]
fn the_gated_lock() {
    stress(locks::gated, ClassPolicy::default());
}

/// Under lockdep, lockdep's wrapper of it.
#[test]
fn parking_lot() {
    stress(locks::parking_lot, ClassPolicy::default());
}
