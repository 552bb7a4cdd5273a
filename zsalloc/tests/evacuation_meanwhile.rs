//! What others do while a region is evacuated: they get no page from there, and lose nothing.

mod common;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use common::regions::{Watched, all_intact, assert_no_leak, filled, region_of};
use common::{Random, is_intact, object};
use zsalloc::{Handle, Pool, RegionId, StayReason};
use zslock::RawZsLock;

type WatchedPool = Pool<RawZsLock, Arc<Watched>>;

/// While an evacuation fetches its first run, others insert, compact, migrate, retain and evacuate.
#[test]
fn no_page_comes_from_a_region_that_is_being_evacuated() {
    static POOL: OnceLock<WatchedPool> = OnceLock::new();
    static REGION: OnceLock<RegionId> = OnceLock::new();
    static OBJECTS: Mutex<Vec<Handle>> = Mutex::new(Vec::new());
    fn outside(handle: &Handle) -> bool {
        region_of(&POOL.get().unwrap().read(handle)) != *REGION.get().unwrap()
    }
    fn others() {
        let pool = POOL.get().unwrap();
        let region = *REGION.get().unwrap();
        let pages_inside = || {
            let info = pool.regions().find(|info| info.id == region);
            info.map_or((0, 0), |info| (info.pages, info.retained_pages))
        };
        let (before, _) = pages_inside();
        // Each a zspage of its own. Freed again, they are not retained inside.
        let mut handles: Vec<_> = (0..200)
            .map(|name| pool.insert(&object(4096, name)).unwrap())
            .collect();
        assert!(handles.iter().all(outside), "an insertion got pages there");
        pool.free_many(handles.drain(30..));
        OBJECTS.lock().unwrap().extend(handles);
        assert_eq!(pages_inside(), (before, 0));
        let grown = pool
            .compact()
            .classes
            .iter()
            .any(|class| class.objects_moved > 0);
        let (compacted, retained) = pages_inside();
        assert!(grown && compacted <= before && retained == 0);
        for zspage in pool.zspages().take(50) {
            pool.migrate(zspage.id).unwrap();
        }
        assert!(pages_inside().0 < compacted && pages_inside().1 == 0);
        // The same region, in the middle of its evacuation.
        assert!(pool.evacuate(region).is_empty());
    }
    let source = Watched::new();
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = POOL.get_or_init(|| builder.retain_pages(100).build().unwrap());
    // Mostly of a class with long zspages, half of each free. The first region is not full, and new
    // runs would come from there.
    let mut handles: Vec<_> = (0..800)
        .map(|name| pool.insert(&object(3328, name)).unwrap())
        .collect();
    for name in 0..400 {
        pool.free(handles.remove(name));
    }
    handles.extend(filled(pool, 300, 9));
    let region = *REGION.get_or_init(|| pool.regions().next().unwrap().id);
    // The runs come from the source.
    pool.trim();
    *source.callback.lock().unwrap() = Some(others);
    let report = pool.evacuate(region);
    assert!(source.callback.lock().unwrap().is_none());
    assert!(report.is_empty());
    assert!(pool.regions().all(|info| info.id != region));

    // It is a region like any other afterwards.
    let mut others = OBJECTS.lock().unwrap();
    assert!(all_intact(pool, &handles) && all_intact(pool, &others));
    handles.extend(filled(pool, 800, 10));
    assert!(pool.regions().any(|info| info.id == region));
    handles.extend(others.drain(..));
    pool.free_many(handles);
    pool.trim();
    assert_eq!((pool.resident_pages(), source.used()), (0, 0));
    pool.free(pool.insert(b"first").unwrap());
    let retained = pool.regions().map(|info| (info.id, info.retained_pages));
    assert_eq!(retained.collect::<Vec<_>>(), [(region, 1)]);
}

/// While an evacuation fetches its first run, another region is evacuated. Its sparse zspages are not
/// emptied into those that are about to leave, too.
#[test]
fn nothing_is_emptied_into_a_region_that_is_being_evacuated() {
    static POOL: OnceLock<WatchedPool> = OnceLock::new();
    fn evacuate_the_other() {
        let pool = POOL.get().unwrap();
        let regions: Vec<_> = pool.regions().collect();
        let report = pool.evacuate(regions[1].id);
        assert!(report.is_empty());
        assert_eq!((report.zspages_moved, report.zspages_emptied), (3, 0));
        assert_eq!(pool.regions().next(), Some(regions[0]));
    }
    let source = Watched::new();
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = POOL.get_or_init(|| builder.build().unwrap());
    // A class that is the first and has no room elsewhere, so that a run is fetched for it.
    let small = pool.insert(&object(8, 0)).unwrap();
    // Most of the first region is of a class with long zspages, which are moved last.
    let mut handles = Vec::new();
    while pool.resident_pages() < 1000 {
        handles.push(pool.insert(&object(3328, 0)).unwrap());
    }
    // Four objects a page: the rest of the region, and three pages in the next.
    let rest = 4 * (1024 - pool.resident_pages() as u64 + 3);
    let mut sparse: Vec<_> = (0..rest)
        .map(|name| pool.insert(&object(1024, name)).unwrap())
        .collect();
    for place in (0..sparse.len()).rev().step_by(4) {
        pool.free(sparse.swap_remove(place));
    }
    handles.extend(sparse);
    let first = pool.regions().next().unwrap().id;
    *source.callback.lock().unwrap() = Some(evacuate_the_other);
    assert!(pool.evacuate(first).is_empty());
    assert!(source.callback.lock().unwrap().is_none());
    assert!(is_intact(&pool.read(&small)) && all_intact(pool, &handles));
    assert_no_leak(pool);
}

/// Its pages were taken before the evacuation began, and it is in no list when that looks first.
#[test]
fn a_zspage_that_arrives_meanwhile_is_moved_too() {
    static POOL: OnceLock<WatchedPool> = OnceLock::new();
    static GO_ON: Mutex<Option<std::sync::mpsc::Sender<()>>> = Mutex::new(None);
    static ARRIVED: Mutex<Option<std::sync::mpsc::Receiver<()>>> = Mutex::new(None);
    static PAUSED: Mutex<Option<std::sync::mpsc::Receiver<()>>> = Mutex::new(None);
    static REACHED: Mutex<Option<std::sync::mpsc::Sender<()>>> = Mutex::new(None);
    fn pause() {
        let paused = PAUSED.lock().unwrap().take().unwrap();
        REACHED.lock().unwrap().take().unwrap().send(()).unwrap();
        paused.recv().unwrap();
    }
    fn let_it_go_on() {
        GO_ON.lock().unwrap().take().unwrap().send(()).unwrap();
        ARRIVED.lock().unwrap().take().unwrap().recv().unwrap();
    }
    let source = Watched::new();
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = POOL.get_or_init(|| builder.build().unwrap());
    let first = pool.insert(&object(4096, 0)).unwrap();
    let region = region_of(&pool.read(&first));
    let channel = std::sync::mpsc::channel;
    let ((go_on, paused), (arrived, is_here)) = (channel(), channel());
    let (reached, has_reached) = channel();
    *GO_ON.lock().unwrap() = Some(go_on);
    *PAUSED.lock().unwrap() = Some(paused);
    *ARRIVED.lock().unwrap() = Some(is_here);
    *REACHED.lock().unwrap() = Some(reached);
    *source.callback.lock().unwrap() = Some(pause);
    thread::scope(|scope| {
        let inserting = scope.spawn(|| {
            let handle = pool.insert(&object(2000, 1)).unwrap();
            arrived.send(()).unwrap();
            handle
        });
        has_reached.recv().unwrap();
        assert_eq!(pool.zspages().count(), 1);
        *source.callback.lock().unwrap() = Some(let_it_go_on);
        let report = pool.evacuate(region);
        let late = inserting.join().unwrap();
        assert_eq!((report.zspages_moved, report.objects_moved), (2, 2));
        assert!(report.is_empty());
        for handle in [first, late] {
            assert_ne!(region_of(&pool.read(&handle)), region);
            assert!(is_intact(&pool.read(&handle)));
        }
    });
}

/// Inserters, readers and freers, while several threads evacuate one region after the other, some of
/// them the same.
#[test]
fn evacuations_disturb_nobody() {
    const OPERATIONS: usize = 3000;
    let pool = Pool::builder().retain_pages(64).build().unwrap();
    let shared = filled(&pool, 6000, 11);
    let done = AtomicBool::new(false);
    let handles = thread::scope(|scope| {
        let (pool, shared, done) = (&pool, &shared, &done);
        for seed in 0..3 {
            scope.spawn(move || {
                let mut random = Random::new(seed);
                while !done.load(Ordering::Relaxed) {
                    let regions: Vec<_> = pool.regions().collect();
                    // Mostly the first two threads meet at the same.
                    let region = regions[random.below(regions.len().min(2))].id;
                    let report = pool.evacuate(region);
                    for stayed in report.stayed {
                        assert_eq!(stayed.reason, StayReason::Mapped);
                    }
                }
            });
        }
        let workers = [1, 2, 3].map(|seed| {
            scope.spawn(move || {
                let mut random = Random::new(100 + seed);
                let mut own: Vec<Handle> = Vec::new();
                for _ in 0..OPERATIONS {
                    let map = pool.read(&shared[random.below(shared.len())]);
                    match random.below(4) {
                        0 if !own.is_empty() => {
                            pool.free(own.swap_remove(random.below(own.len())));
                        }
                        0 | 1 => {
                            let bytes = object(1 + random.below(4096), random.next());
                            own.push(pool.insert(&bytes).unwrap());
                        }
                        _ => {}
                    }
                    assert!(is_intact(&map));
                }
                own
            })
        });
        let results = workers.map(|worker| worker.join());
        // Before any panic is passed on, or the scope would wait for the others for ever.
        done.store(true, Ordering::Relaxed);
        results
            .map(Result::unwrap)
            .into_iter()
            .flatten()
            .collect::<Vec<_>>()
    });
    assert!(all_intact(&pool, &shared) && all_intact(&pool, &handles));
    // Nothing stays refused to those who come later: whatever the threads met, each region can be given back now.
    for region in pool.regions().collect::<Vec<_>>() {
        let report = pool.evacuate(region.id);
        assert!(report.is_empty() && report.given_back, "{report:?}");
    }
    assert!(all_intact(&pool, &shared) && all_intact(&pool, &handles));
    pool.free_many(shared.into_iter().chain(handles));
    pool.trim();
    assert_eq!(pool.resident_pages(), 0);
}
