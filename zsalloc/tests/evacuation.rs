//! Evacuating regions: what moves, what stays and why, and where new pages come from meanwhile.

mod common;

use std::collections::BTreeSet;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use common::{Random, is_intact, object};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{
    ClassPolicy, Failing, Handle, Heap, Mapped, Mmap, PageSource, Pool, RegionId, SourceError,
    StayReason,
};
use zslock::RawZsLock;

/// Objects of random lengths, some 2 KiB on average.
fn filled<L: RawRwLock, S: PageSource>(pool: &Pool<L, S>, count: u64, seed: u64) -> Vec<Handle> {
    let mut random = Random::new(seed);
    let objects = (0..count).map(|name| object(1 + random.below(4096), name));
    objects.map(|bytes| pool.insert(&bytes).unwrap()).collect()
}

fn all_intact<L: RawRwLock, S: PageSource>(pool: &Pool<L, S>, handles: &[Handle]) -> bool {
    handles.iter().all(|handle| is_intact(&pool.read(handle)))
}

fn region_of<L: RawRwLock, S: PageSource>(map: &Mapped<'_, L, S>) -> RegionId {
    RegionId::of_address(map.as_ptr().addr())
}

/// Nothing is in flight, nothing leaked.
fn assert_no_leak<L: RawRwLock, S: PageSource>(pool: &Pool<L, S>) {
    let pages: usize = pool.zspages().map(|zspage| zspage.pages).sum();
    assert_eq!(pool.resident_pages(), pages);
}

#[test]
fn every_region_can_be_given_back() {
    for policy in [
        ClassPolicy::default(),
        ClassPolicy::Zsmalloc { chain_size: 8 },
    ] {
        for page_size in [4096, 65536] {
            let builder = Pool::builder().classes(policy).page_size(page_size);
            let pool = builder.build().unwrap();
            let handles = filled(&pool, 10_000, 1);
            let regions: Vec<_> = pool.regions().collect();
            assert!(regions.len() >= 5, "{}", regions.len());
            // No run of `Mmap` straddles a border.
            let pages: usize = regions.iter().map(|region| region.pages).sum();
            assert_eq!(pages, pool.resident_pages());
            let objects: usize = regions.iter().map(|region| region.objects).sum();
            assert_eq!(objects, handles.len());
            for region in regions {
                let before = pool.stats();
                let report = pool.evacuate(region.id);
                assert!(report.is_empty() && report.given_back, "{report:?}");
                let after = pool.stats();
                let moved = (after.migrations - before.migrations) as usize;
                assert_eq!(report.zspages_moved - report.zspages_emptied, moved);
                let emptied = before.zspages - after.zspages;
                assert_eq!(report.zspages_emptied, emptied);
                assert!(moved + emptied >= region.zspages, "{report:?}");
                let moved = (after.objects_moved - before.objects_moved) as usize;
                assert_eq!(report.objects_moved, moved);
                assert!(report.pages_moved >= region.pages);
                assert!(pool.regions().all(|other| other.id != region.id));
                assert_no_leak(&pool);
            }
            assert!(all_intact(&pool, &handles));
        }
    }
}

#[test]
fn a_region_without_pages_is_reported_as_empty() {
    let (pool, other) = (Pool::new(), Pool::new());
    let handles = filled(&other, 100, 2);
    let _kept = filled(&pool, 100, 3);
    let mut regions: Vec<_> = other.regions().map(|region| region.id).collect();
    regions.extend([0, usize::MAX].map(RegionId::of_address));
    for region in regions {
        let report = pool.evacuate(region);
        assert!(report.is_empty());
        assert_eq!((report.region, report.zspages_moved), (region, 0));
        assert_eq!((report.objects_moved, report.pages_moved), (0, 0));
    }
    assert!(all_intact(&other, &handles));
    assert_eq!((pool.stats().migrations, other.stats().migrations), (0, 0));
}

#[test]
fn mapped_zspages_stay_and_the_report_names_them() {
    let pool = Pool::new();
    let handles = filled(&pool, 8000, 4);
    let region = pool.regions().max_by_key(|info| info.objects).unwrap().id;
    let mut random = Random::new(5);
    let mut maps: Vec<_> = handles.iter().map(|handle| pool.read(handle)).collect();
    maps.retain(|map| region_of(map) == region);
    while maps.len() > 1000 {
        drop(maps.swap_remove(random.below(maps.len())));
    }
    assert_eq!(maps.len(), 1000);
    let addresses: Vec<_> = maps.iter().map(|map| map.as_ptr()).collect();
    let mapped: BTreeSet<_> = pool.zspages().filter(|z| z.mapped).map(|z| z.id).collect();
    let before = pool.regions().find(|info| info.id == region).unwrap();
    assert_eq!(before.mapped, mapped.len());

    let report = pool.evacuate(region);
    let stayed: BTreeSet<_> = report.stayed.iter().map(|stayed| stayed.id).collect();
    assert_eq!(stayed, mapped);
    assert_eq!(report.stayed_because(StayReason::Mapped), mapped.len());
    assert_eq!(report.zspages_moved, before.zspages - mapped.len());
    assert!(!report.given_back && !report.is_empty());
    let after = pool.regions().find(|info| info.id == region).unwrap();
    assert_eq!((after.zspages, after.mapped), (mapped.len(), mapped.len()));
    let left: usize = report.stayed.iter().map(|stayed| stayed.pages).sum();
    assert_eq!(after.pages, left);
    assert!(maps.iter().all(|map| is_intact(map)));
    assert!(maps.iter().map(|map| map.as_ptr()).eq(addresses));
    assert_no_leak(&pool);

    drop(maps);
    let report = pool.evacuate(region);
    assert!(report.is_empty() && report.given_back);
    assert_eq!(report.zspages_moved, mapped.len());
    assert!(all_intact(&pool, &handles));
}

#[test]
fn without_pages_zspages_stay_and_the_report_says_whose_fault_it_is() {
    let source = Arc::new(Failing::new(Mmap::new()));
    let builder = Pool::builder().backend(Arc::clone(&source));
    let limit = 4000;
    let pool = builder.max_pages(limit).build().unwrap();
    let mut handles = filled(&pool, 5000, 6);
    let region = pool.regions().next().unwrap();

    // The third move fails.
    source.fail_at(source.calls() + 2);
    let report = pool.evacuate(region.id);
    assert_eq!(report.stayed_because(StayReason::Source), 1, "{report:?}");
    assert_eq!(report.stayed.len(), 1);
    source.fail_from(0);
    let report = pool.evacuate(region.id);
    assert_eq!(report.stayed_because(StayReason::Source), 1);
    assert_eq!(report.zspages_moved, 0);
    source.never_fail();
    assert!(pool.evacuate(region.id).given_back);
    assert_no_leak(&pool);

    // At the limit nothing can be moved.
    while let Ok(handle) = pool.insert(&object(4096, 0)) {
        handles.push(handle);
    }
    assert_eq!(pool.resident_pages(), limit);
    let region = pool.regions().next().unwrap();
    let report = pool.evacuate(region.id);
    let stayed = report.stayed_because(StayReason::Limit);
    assert_eq!((stayed, report.zspages_moved), (region.zspages, 0));
    assert_eq!(report.stayed.len(), region.zspages);
    // With room for the longest zspage everything can.
    handles
        .drain(handles.len() - 16..)
        .for_each(|handle| pool.free(handle));
    assert!(pool.evacuate(region.id).given_back);
    assert_no_leak(&pool);
    assert!(all_intact(&pool, &handles));
}

/// Objects that fit into free slots elsewhere need no pages.
#[test]
fn sparse_zspages_are_emptied_into_free_slots_elsewhere() {
    let source = Arc::new(Failing::new(Mmap::new()));
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = builder.build().unwrap();
    // Four objects a page, of which one stays.
    let mut handles: Vec<_> = (0..12_000)
        .map(|name| pool.insert(&object(1024, name)).unwrap())
        .collect();
    let mut place = 0..;
    for handle in handles.extract_if(.., |_| place.next().unwrap() % 4 > 0) {
        pool.free(handle);
    }
    let region = pool.regions().max_by_key(|info| info.zspages).unwrap();
    let before = pool.stats();
    source.fail_from(0);
    let report = pool.evacuate(region.id);
    assert!(report.is_empty() && report.given_back, "{report:?}");
    let moved = (report.zspages_moved, report.zspages_emptied);
    assert_eq!(moved, (region.zspages, region.zspages));
    assert_eq!(report.objects_moved, region.objects);
    let after = pool.stats();
    let freed = before.resident_pages - after.resident_pages;
    assert_eq!((freed, report.pages_moved), (region.pages, region.pages));
    assert_eq!(after.migrations, before.migrations);
    let moved = after.objects_moved - before.objects_moved;
    assert_eq!(moved as usize, region.objects);
    assert_no_leak(&pool);
    assert!(all_intact(&pool, &handles));

    // At last nothing fits any more, and the source is to blame.
    let mut stayed = 0;
    for region in pool.regions() {
        let report = pool.evacuate(region.id);
        assert_eq!(report.zspages_moved, report.zspages_emptied);
        assert_eq!(
            report.stayed_because(StayReason::Source),
            report.stayed.len()
        );
        stayed += report.stayed.len();
    }
    assert!(stayed > 0);
    assert!(all_intact(&pool, &handles));
    assert_no_leak(&pool);
}

/// With as many free slots elsewhere as three objects need, those go whose zspages are the sparsest.
#[test]
fn the_sparsest_zspages_are_emptied() {
    let pool = Pool::new();
    // Four objects a page: a region full of them, and one page in another.
    let handles: Vec<_> = (0..4 * 1025)
        .map(|name| pool.insert(&object(1024, name)).unwrap())
        .collect();
    let region = region_of(&pool.read(&handles[0]));
    let freed = [0, 4, 5, 8, 9, 10, 4096, 4097, 4098];
    let mut handles: Vec<_> = handles.into_iter().map(Some).collect();
    for place in freed {
        pool.free(handles[place].take().unwrap());
    }
    let handles: Vec<_> = handles.into_iter().flatten().collect();
    let report = pool.evacuate(region);
    assert_eq!((report.zspages_moved, report.zspages_emptied), (1024, 2));
    assert!(report.given_back);
    assert_eq!(pool.freeable(), 0);
    assert!(all_intact(&pool, &handles));
}

#[test]
fn retained_runs_leave_the_region_and_none_comes_back() {
    let pool = Pool::builder().retain_pages(3000).build().unwrap();
    let mut handles = filled(&pool, 6000, 7);
    let freed = handles.split_off(2000);
    freed.into_iter().for_each(|handle| pool.free(handle));
    let region = pool.regions().find(|info| info.retained_pages > 0).unwrap();
    let report = pool.evacuate(region.id);
    assert_eq!(report.retained_pages, region.retained_pages);
    assert!(report.is_empty() && report.given_back, "{report:?}");
    assert!(pool.regions().all(|info| info.id != region.id));
    let retained: usize = pool.regions().map(|info| info.retained_pages).sum();
    let held: usize = pool.regions().map(|info| info.pages).sum();
    assert!(retained > 0);
    assert_eq!(pool.resident_pages(), held + retained);
    assert!(all_intact(&pool, &handles));
}

/// Called once, when a run was found and is not yet handed out.
type Callback = fn();

/// First-fit from four whole regions of the heap, so that runs straddle the borders of regions; page by
/// page, as simple as can be. Keeps to the default `alloc_outside`.
struct Watched {
    heap: NonNull<u8>,
    memory: NonNull<u8>,
    used: Mutex<Used>,
    callback: Mutex<Option<Callback>>,
}

struct Used {
    pages: Vec<bool>,
    /// No page below is free.
    lowest: usize,
}

// SAFETY: the memory is plain bytes, handed out under the mutex.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

const WATCHED_PAGES: usize = 4096;
/// So that there are as many from a region's border on.
const HEAP_PAGES: usize = WATCHED_PAGES + 1023;

impl Watched {
    fn new() -> Arc<Self> {
        let heap = Heap::new().alloc(HEAP_PAGES).unwrap();
        let before = heap.addr().get().wrapping_neg() % (4 << 20);
        Arc::new(Self {
            heap,
            // SAFETY: before the last `WATCHED_PAGES`.
            memory: unsafe { heap.add(before) },
            used: Mutex::new(Used {
                pages: vec![false; WATCHED_PAGES],
                lowest: 0,
            }),
            callback: Mutex::new(None),
        })
    }

    fn used(&self) -> usize {
        let used = self.used.lock().unwrap();
        used.pages.iter().filter(|&&used| used).count()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: from `alloc` of as many pages; the pool is gone.
        unsafe { Heap::new().release(self.heap, HEAP_PAGES) };
    }
}

// SAFETY: each page is handed out once, and zeroed when it is released.
unsafe impl PageSource for Watched {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        let mut used = self.used.lock().unwrap();
        let mut start = used.lowest;
        loop {
            let run = used.pages.get(start..start + pages).ok_or(SourceError)?;
            match run.iter().rposition(|&used| used) {
                Some(last) => start += last + 1,
                None => break,
            }
        }
        used.pages[start..start + pages].fill(true);
        if start == used.lowest {
            used.lowest += pages;
        }
        drop(used);
        let callback = self.callback.lock().unwrap().take();
        if let Some(callback) = callback {
            callback();
        }
        // SAFETY: within the memory.
        Ok(unsafe { self.memory.add(start * 4096) })
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller no longer uses it.
        unsafe { self.discard(ptr, pages) };
        let start = (ptr.addr().get() - self.memory.addr().get()) / 4096;
        let mut used = self.used.lock().unwrap();
        used.pages[start..start + pages].fill(false);
        used.lowest = used.lowest.min(start);
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the pages are ours and nobody accesses them now.
        unsafe { ptr.write_bytes(0, pages * 4096) };
    }
}

type WatchedPool = Pool<RawZsLock, Arc<Watched>>;

#[test]
fn zspages_on_the_border_belong_to_both_regions() {
    let source = Watched::new();
    // Zspages of three pages and of one.
    let classes = ClassPolicy::Zsmalloc { chain_size: 8 };
    let builder = Pool::builder().classes(classes);
    let pool = builder.backend(Arc::clone(&source)).build().unwrap();
    let handles: Vec<_> = (0..2800)
        .map(|name| pool.insert(&object(3072, name)).unwrap())
        .collect();
    let regions: Vec<_> = pool.regions().collect();
    let pages: usize = regions.iter().map(|region| region.pages).sum();
    let twice = pages - pool.resident_pages();
    assert!(twice > 0 && twice <= 3 * (regions.len() - 1), "{twice}");

    // The second region has a zspage on each border, or on one.
    let middle = regions[1].id.addresses();
    let report = pool.evacuate(regions[1].id);
    assert!(report.is_empty());
    // This source cannot tell.
    assert!(!report.given_back);
    for handle in &handles {
        let map = pool.read(handle);
        let bytes = map.as_ptr_range();
        assert!(bytes.end.addr() <= middle.start || bytes.start.addr() >= middle.end);
        assert!(is_intact(&map));
    }
    assert!(pool.regions().all(|info| info.id != regions[1].id));
    // The runs that the source offered in vain are back.
    assert_eq!(source.used(), pool.resident_pages());
    assert_no_leak(&pool);
}

/// Hands out any run, excluded or not.
struct Careless(Arc<Watched>);

// SAFETY: forwards.
unsafe impl PageSource for Careless {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        self.0.alloc(pages)
    }

    fn alloc_outside(&self, pages: usize, _: &[Range<usize>]) -> Result<NonNull<u8>, SourceError> {
        self.0.alloc(pages)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.release(ptr, pages) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.discard(ptr, pages) }
    }
}

#[test]
fn a_source_that_offers_the_region_itself_is_one_that_has_no_pages() {
    let source = Watched::new();
    let careless = Careless(Arc::clone(&source));
    let pool = Pool::builder().backend(careless).build().unwrap();
    let mut handles = filled(&pool, 1500, 8);
    // Room at the beginning of the first region.
    handles.drain(..500).for_each(|handle| pool.free(handle));
    let region = pool.regions().next().unwrap();
    let report = pool.evacuate(region.id);
    let refused = report.stayed_because(StayReason::Source);
    assert!(refused > 0, "{report:?}");
    assert_eq!(report.stayed.len(), refused);
    assert_eq!(source.used(), pool.resident_pages());
    assert_no_leak(&pool);
    assert!(all_intact(&pool, &handles));
}

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
    let given_back = AtomicUsize::new(0);
    let handles = thread::scope(|scope| {
        let (pool, shared, done, given_back) = (&pool, &shared, &done, &given_back);
        for seed in 0..3 {
            scope.spawn(move || {
                let mut random = Random::new(seed);
                while !done.load(Ordering::Relaxed) {
                    let regions: Vec<_> = pool.regions().collect();
                    // Mostly the first two threads meet at the same.
                    let region = regions[random.below(regions.len().min(2))].id;
                    let report = pool.evacuate(region);
                    given_back.fetch_add(report.given_back.into(), Ordering::Relaxed);
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
    assert!(given_back.into_inner() > 0);
    assert!(all_intact(&pool, &shared) && all_intact(&pool, &handles));
    pool.free_many(shared.into_iter().chain(handles));
    pool.trim();
    assert_eq!(pool.resident_pages(), 0);
}
