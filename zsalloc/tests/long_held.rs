//! A map that is held for a long time delays nothing but the move of its own zspage, and memory is
//! reclaimed meanwhile. No clock is involved: the map is held for the whole of each test, so whatever
//! waited for it would never end.

mod common;

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};
use std::thread;

use common::locks::{Hooked, Hooks};
use common::{Random, is_intact, object};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{Handle, MigrateError, Mmap, Pool, ZspageId};

/// Counts how many locks exist: one in each header. Each test has a count of its own.
struct Alive<const TEST: usize>;

type Counted<const TEST: usize> = Hooked<Alive<TEST>>;

static ALIVE: [AtomicUsize; 2] = [const { AtomicUsize::new(0) }; 2];

fn counted<const TEST: usize>() -> Counted<TEST> {
    ALIVE[TEST].fetch_add(1, Ordering::Relaxed);
    Counted::INIT
}

impl<const TEST: usize> Hooks for Alive<TEST> {
    fn dropped() {
        ALIVE[TEST].fetch_sub(1, Ordering::Relaxed);
    }
}

type CountedPool<const TEST: usize> = Pool<Counted<TEST>, Mmap>;

/// Pins often, until only the headers of zspages that exist are left. Those that a thread has retired
/// wait in a list of its own until it ends, so retiring is for other threads.
fn headers_are_freed<const TEST: usize>(pool: &CountedPool<TEST>, any: &Handle) -> bool {
    let zspages = pool.zspages().count();
    (0..10_000_000).any(|_| {
        // Looking up a length pins and unpins.
        pool.len(any);
        ALIVE[TEST].load(Ordering::Relaxed) == zspages
    })
}

/// Inserts, reads, writes, replaces and frees. Ends without objects.
fn work<const TEST: usize>(pool: &CountedPool<TEST>, seed: u64) {
    let mut random = Random::new(seed);
    let mut handles: Vec<Handle> = Vec::new();
    for _ in 0..3000 {
        // Every fourth object is of the class of the one that is held.
        let len = [1000, 1 + random.below(4096)][usize::from(random.below(4) > 0)];
        let name = random.next();
        match random.below(4) {
            0 | 1 => handles.push(pool.insert(&object(len, name)).unwrap()),
            _ if handles.is_empty() => {}
            2 => {
                let at = random.below(handles.len());
                assert!(is_intact(&pool.read(&handles[at])));
                pool.replace(&mut handles[at], &object(len, name)).unwrap();
                let mut map = pool.write(&mut handles[at]);
                common::fill(&mut map, name + 1);
            }
            _ => pool.free(handles.swap_remove(random.below(handles.len()))),
        }
    }
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    pool.free_many(handles);
}

/// Moves everything that can be moved; what is held cannot.
fn migrate_all<const TEST: usize>(pool: &CountedPool<TEST>, held: ZspageId) {
    for zspage in pool.zspages() {
        let migrated = pool.migrate(zspage.id);
        if zspage.id == held {
            assert_eq!(migrated, Err(MigrateError::Busy));
        }
    }
}

#[test]
fn a_held_map_delays_only_the_move_of_its_own_zspage() {
    let pool = Pool::builder().lock_with(counted::<0>).build().unwrap();
    let handle = pool.insert(&object(1000, 1)).unwrap();
    let held = pool.zspages().next().unwrap();
    let map = pool.read(&handle);
    let address = map.as_ptr().addr();

    thread::scope(|scope| {
        for seed in 1..4 {
            let pool = &pool;
            scope.spawn(move || work(pool, seed));
        }
        scope.spawn(|| {
            for _ in 0..30 {
                pool.compact();
                migrate_all(&pool, held.id);
            }
        });
    });
    // Nobody else is here now: everything but the held zspage moves.
    thread::scope(|scope| {
        let others: Vec<_> = (0..50).map(|_| pool.alloc(3000).unwrap()).collect();
        let zspages = || pool.zspages().filter(|zspage| zspage.id != held.id);
        assert!(zspages().count() > 1);
        assert!(zspages().all(|zspage| pool.migrate(zspage.id).is_ok()));
        assert_eq!(pool.migrate(held.id), Err(MigrateError::Busy));
        scope.spawn(|| pool.free_many(others));
    });
    assert!(is_intact(&map) && map.as_ptr().addr() == address);
    // All pages went back but its own, and all headers but its own were freed.
    assert_eq!(pool.resident_pages(), held.pages);
    assert!(headers_are_freed(&pool, &handle), "{ALIVE:?}");
    assert_eq!(ALIVE[0].load(Ordering::Relaxed), 1);

    drop(map);
    assert_eq!(pool.migrate(held.id), Ok(()));
    pool.free(handle);
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn metadata_does_not_grow_under_a_held_map() {
    let pool = Pool::builder().lock_with(counted::<1>).build().unwrap();
    let handle = pool.insert(&object(1000, 1)).unwrap();
    let map = pool.read(&handle);
    // Each round makes and retires a thousand zspages, and empties several segments of both tables.
    let round = |_| {
        let churn = || {
            let handles: Vec<_> = (0..1000).map(|_| pool.alloc(4096).unwrap()).collect();
            handles.into_iter().for_each(|handle| pool.free(handle));
        };
        thread::scope(|scope| scope.spawn(churn).join().unwrap());
        assert!(headers_are_freed(&pool, &handle), "{ALIVE:?}");
        pool.stats().metadata_bytes
    };
    let metadata: Vec<usize> = (0..20).map(round).collect();
    // When the last headers are freed decides whether a table keeps one segment more or less, which takes up to
    // three pages with lockdep's locks in it. Each round makes 16 of them.
    let most = metadata[0] + 4 * 4096;
    assert!(metadata.iter().all(|&m| m <= most), "{metadata:?}");
    assert!(is_intact(&map));
}

/// Pending once.
fn other_tasks_first() -> impl Future<Output = ()> {
    let mut been_here = false;
    std::future::poll_fn(move |_| {
        if std::mem::replace(&mut been_here, true) {
            Poll::Ready(())
        } else {
            Poll::Pending
        }
    })
}

#[test]
fn a_task_keeps_its_map_while_it_waits_and_goes_on_elsewhere() {
    let pool = Arc::new(Pool::new());
    let handle = Arc::new(pool.insert(&object(1000, 1)).unwrap());
    let id = pool.zspages().next().unwrap().id;
    let (of_task, its_handle) = (Arc::clone(&pool), Arc::clone(&handle));
    let task = async move {
        let map = Pool::read_owned(of_task, its_handle);
        let address = map.as_ptr().addr();
        other_tasks_first().await;
        is_intact(&map) && map.as_ptr().addr() == address
    };
    let mut task = Box::pin(task);
    // Begun on one thread, ended on another, which a task that is not `Send` could not.
    let begun = thread::spawn(move || {
        let result = task.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        (task, result)
    });
    let (mut task, result) = begun.join().unwrap();
    assert_eq!(result, Poll::Pending);
    assert_eq!(pool.migrate(id), Err(MigrateError::Busy));
    let other = pool.insert(&object(1000, 2)).unwrap();
    assert!(is_intact(&pool.read(&other)));
    pool.free(other);
    let ended = thread::spawn(move || task.as_mut().poll(&mut Context::from_waker(Waker::noop())));
    assert_eq!(ended.join().unwrap(), Poll::Ready(true));
    assert_eq!(pool.migrate(id), Ok(()));
}
