//! Compaction around mapped objects: it frees what can be freed, and explains what stays.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use common::calling_back::{Call, CallingBack};
use common::{Random, assert_explained, is_intact, object};
use zsalloc::{ClassPolicy, Handle, Heap, MigrateError, PageSource, Pool};
use zslock::RawZsLock;

type HeapPool = Pool<RawZsLock, Heap>;

/// What objects are cut from, so that thousands are checked quickly.
fn pattern() -> Vec<u8> {
    object(3 * 4096, 1)
}

/// An object: its handle, and where it was cut from the pattern.
type Cut = (Handle, std::ops::Range<usize>);

/// 16,000 objects with random lengths, the survivors of twice as many, in random order.
fn half_freed(policy: ClassPolicy, pattern: &[u8]) -> (HeapPool, Vec<Cut>) {
    let builder = Pool::builder().classes(policy).backend(Heap::new());
    let pool = builder.build().unwrap();
    let mut random = Random::new(7);
    let mut objects: Vec<Cut> = (0..32_000)
        .map(|_| {
            let (start, len) = (random.below(8192), 1 + random.below(4096));
            let cut = start..start + len;
            (pool.insert(&pattern[cut.clone()]).unwrap(), cut)
        })
        .collect();
    for i in 0..objects.len() {
        objects.swap(i, random.below(i + 1));
    }
    pool.free_many(objects.drain(16_000..).map(|(handle, _)| handle));
    (pool, objects)
}

/// T(n) of one class: the pages that `objects` objects need.
fn needed(policy: ClassPolicy, size: usize, objects: usize) -> usize {
    match policy {
        ClassPolicy::Zsmalloc { chain_size } => {
            let table = zsalloc::size_class::table(4096, chain_size);
            let class = table.iter().find(|class| class.size() == size).unwrap();
            objects.div_ceil(class.objects_per_zspage()) * class.pages_per_zspage()
        }
        ClassPolicy::Adaptive { max_pages } => {
            // The run of at most `max_pages` pages that has the most slots a page; the shortest such.
            let slots = |pages: usize| pages * 4096 / size;
            let full = (2..=max_pages).fold(1, |best, pages| {
                if slots(pages) * best > slots(best) * pages {
                    pages
                } else {
                    best
                }
            });
            let tail = (objects % slots(full) * size).div_ceil(4096);
            objects / slots(full) * full + tail
        }
    }
}

/// The pages that can be freed from this layout when mapped zspages are destinations only, and
/// those that could be if nothing were mapped.
fn optimum(pool: &HeapPool, policy: ClassPolicy) -> (usize, usize) {
    let zspages: Vec<_> = pool.zspages().collect();
    let (mut optimum, mut freeable) = (0, 0);
    for class in zspages.chunk_by(|one, next| one.size == next.size) {
        let objects: usize = class.iter().map(|zspage| zspage.used).sum();
        let pages: usize = class.iter().map(|zspage| zspage.pages).sum();
        let mapped = || class.iter().filter(|zspage| zspage.mapped);
        let mapped_pages: usize = mapped().map(|zspage| zspage.pages).sum();
        let mapped_slots: usize = mapped().map(|zspage| zspage.slots).sum();
        let beyond = objects.saturating_sub(mapped_slots);
        let size = class[0].size;
        optimum += pages.saturating_sub(mapped_pages + needed(policy, size, beyond));
        freeable += pages.saturating_sub(needed(policy, size, objects));
    }
    (optimum, freeable)
}

#[test]
fn compaction_frees_the_optimum_around_mapped_objects() {
    let pattern = pattern();
    for policy in [
        ClassPolicy::Zsmalloc { chain_size: 8 },
        ClassPolicy::Adaptive { max_pages: 16 },
    ] {
        for count in [10, 100, 1000, 4000] {
            let (pool, objects) = half_freed(policy, &pattern);
            let intact = |(handle, cut): &Cut| *pool.read(handle) == pattern[cut.clone()];
            let mapped = objects[..count].iter();
            // Owned: a validator would have to compare every lock with thousands of borrowed ones.
            let maps: Vec<_> = mapped.map(|(h, _)| Pool::read_owned(&pool, h)).collect();
            let (optimum, freeable) = optimum(&pool, policy);
            assert_eq!(freeable, pool.freeable());
            let report = pool.compact();
            let of = |pages: usize, whole: usize| pages as f64 / whole as f64;
            let with_discarded = report.pages_freed + report.pages_discarded;
            println!(
                "{policy:?}: {count:4} of 16000 mapped: {:.3} of the optimum and {:.3} of the \
                 freeable pages freed, {:.3} with discarded ones; {:.2} moves a page",
                of(report.pages_freed, optimum),
                of(report.pages_freed, freeable),
                of(with_discarded, freeable),
                report.moves_per_page().unwrap_or(0.0),
            );
            assert!(of(report.pages_freed, optimum) >= 0.98);
            assert_explained(&report, pool.freeable());
            let mut classes = report.classes.iter();
            assert!(classes.all(|class| class.pages_unfinished == 0));
            assert_eq!(pool.stats().discarded_pages, report.pages_discarded);
            if count == 4000 {
                // Much of what maps hold back has no object in it.
                assert!(report.pages_discarded * 4 > freeable - report.pages_freed);
            }
            assert!(objects.iter().all(intact));
            drop(maps);
            let left = pool.freeable();
            assert_eq!(pool.compact().pages_freed, left);
            assert!(objects.iter().all(intact));
        }
    }
}

/// One zspage of five pages and sixteen slots of 1280 bytes, full.
fn one_zspage<S: PageSource>(pool: &Pool<RawZsLock, S>) -> Vec<Handle> {
    let handles = (0..16).map(|name| pool.insert(&object(1280, name)).unwrap());
    let handles = handles.collect();
    let shapes: Vec<_> = pool.zspages().map(|z| (z.pages, z.slots, z.used)).collect();
    assert_eq!(shapes, [(5, 16, 16)]);
    handles
}

fn five_pages<S: PageSource>(source: S) -> Pool<RawZsLock, S> {
    let policy = ClassPolicy::Zsmalloc { chain_size: 8 };
    let builder = Pool::builder().classes(policy).backend(source);
    builder.build().unwrap()
}

#[test]
fn idle_pages_are_discarded_once_and_come_back_when_touched() {
    let pool = five_pages(Heap::new());
    let mut handles = one_zspage(&pool);
    // Slot 3 is the first that reaches into the second page, slot 6 the last.
    let last = handles.split_off(4);
    let map = pool.read(&handles[0]);
    pool.free_many(last);
    let report = pool.compact();
    assert_eq!((report.pages_freed, report.pages_discarded), (0, 3));
    assert_eq!((pool.resident_pages(), pool.freeable()), (5, 0));
    assert_eq!(pool.stats().discarded_pages, 3);
    assert_eq!(report.classes[0].pages_discarded, 3);
    assert!(is_intact(&map));
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    assert_eq!(
        pool.compact().pages_discarded,
        0,
        "they are discarded already"
    );

    let mut more = Vec::new();
    // The slots are taken in ascending order; each page comes back with the first slot in it.
    for (slot, discarded) in (4..16).zip([3, 3, 2, 2, 2, 1, 1, 1, 0, 0, 0, 0]) {
        let handle = pool.alloc(1280).unwrap();
        assert!(pool.read(&handle).iter().all(|&byte| byte == 0));
        assert_eq!(pool.stats().discarded_pages, discarded, "slot {slot}");
        more.push(handle);
    }
    assert_eq!(pool.zspages().count(), 1);
    assert!(is_intact(&map));
    drop(map);
    // What goes with its zspage is not counted any more.
    pool.free_many(handles.split_off(1));
    pool.free_many(more);
    assert_eq!(pool.compact().pages_discarded, 4);
    pool.free_many(handles);
    assert_eq!(
        (pool.stats().discarded_pages, pool.resident_pages()),
        (0, 0)
    );
}

/// Of mapped zspages the fullest are filled, so that the sparse ones keep idle pages.
#[test]
fn the_fullest_mapped_zspage_is_the_first_destination() {
    let pool = five_pages(Heap::new());
    let mut handles: Vec<Handle> = (0..48).map(|_| pool.alloc(1280).unwrap()).collect();
    let mut freed = handles.split_off(36);
    freed.extend(handles.drain(28..32));
    freed.extend(handles.drain(1..16));
    pool.free_many(freed);
    let used = |pool: &HeapPool| pool.zspages().map(|zspage| zspage.used).collect::<Vec<_>>();
    assert_eq!(used(&pool), [1, 12, 4]);
    let maps = [&handles[0], &handles[1]].map(|handle| pool.read(handle));
    let report = pool.compact();
    assert_eq!(used(&pool), [1, 16]);
    assert_eq!((report.pages_freed, report.pages_discarded), (5, 4));
    drop(maps);
}

#[test]
fn pages_that_were_never_touched_are_not_discarded() {
    let pool = five_pages(Heap::new());
    let _handle = pool.alloc(1280).unwrap();
    assert_eq!(pool.resident_pages(), 5);
    assert_eq!(pool.compact().pages_discarded, 0);
}

#[test]
fn pages_of_a_migrated_zspage_are_new() {
    let pool = five_pages(Heap::new());
    let mut handles = one_zspage(&pool);
    let id = pool.zspages().next().unwrap().id;
    pool.free_many(handles.split_off(8));
    assert_eq!(pool.compact().pages_discarded, 2);
    pool.free_many(handles.split_off(3));
    assert_eq!(
        (pool.migrate(id), pool.stats().discarded_pages),
        (Ok(()), 0)
    );
    // None of the new ones was touched but the first.
    assert_eq!(pool.compact().pages_discarded, 0);
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
}

/// A retained run may hold memory wherever it was used before.
#[test]
fn pages_that_were_retained_are_discarded() {
    let policy = ClassPolicy::Zsmalloc { chain_size: 8 };
    let builder = Pool::builder().classes(policy).backend(Heap::new());
    let pool = builder.retain_pages(10).build().unwrap();
    let handles = one_zspage(&pool);
    pool.free_many(handles);
    let handle = pool.alloc(1280).unwrap();
    assert_eq!(pool.compact().pages_discarded, 4);
    assert_eq!(pool.stats().discarded_pages, 4);
    pool.free(handle);
    assert_eq!(pool.stats().discarded_pages, 0);
}

/// While pages of a zspage are discarded its objects are read, stored and freed, down to the last.
#[test]
fn a_zspage_may_change_while_its_pages_are_discarded() {
    static POOL: OnceLock<Pool<RawZsLock, Arc<CallingBack>>> = OnceLock::new();
    static LEFT: Mutex<Vec<Handle>> = Mutex::new(Vec::new());
    static STORED: Mutex<Vec<Handle>> = Mutex::new(Vec::new());
    let source = Arc::new(CallingBack::default());
    let pool = POOL.get_or_init(|| five_pages(source.clone()));
    let mut handles = one_zspage(pool);
    let id = pool.zspages().next().unwrap().id;
    pool.free_many(handles.split_off(2));
    *LEFT.lock().unwrap() = handles;
    source.set(Some(|call| {
        if call != Call::Discard {
            return;
        }
        let pool = POOL.get().unwrap();
        let before = pool.zspages().next().unwrap();
        // It stays where it is, nothing is stored in it, and nobody compacts it.
        assert_eq!(pool.migrate(before.id), Err(MigrateError::Busy));
        let stored = pool.insert(&object(1280, 99)).unwrap();
        assert_eq!(pool.zspages().count(), 2);
        assert_eq!(pool.compact().objects_moved, 0);
        STORED.lock().unwrap().push(stored);
        for handle in LEFT.lock().unwrap().drain(..) {
            assert!(is_intact(&pool.read(&handle)));
            pool.free(handle);
        }
        // Empty, but not gone: that is for the compaction to do.
        assert!(pool.zspages().any(|zspage| zspage.id == before.id));
    }));
    let report = pool.compact();
    source.set(None);
    assert_eq!(report.pages_discarded, 4);
    assert!(pool.zspages().all(|zspage| zspage.id != id));
    assert_eq!(
        (pool.resident_pages(), pool.stats().discarded_pages),
        (5, 0)
    );
    let stored = STORED.lock().unwrap().pop().unwrap();
    assert!(is_intact(&pool.read(&stored)));
    pool.free(stored);
    assert_eq!(pool.resident_pages(), 0);
}

/// Threads store, read, free and migrate while others compact around their maps. The source zeroes
/// what it discards, so a byte of an object in a discarded page would be seen.
#[test]
fn discarding_takes_no_byte_of_an_object() {
    let discarded = AtomicUsize::new(0);
    for policy in [
        ClassPolicy::Zsmalloc { chain_size: 8 },
        ClassPolicy::Adaptive { max_pages: 16 },
    ] {
        let builder = Pool::builder().classes(policy).backend(Heap::new());
        let pool = builder.build().unwrap();
        let (pool, discarded) = (&pool, &discarded);
        std::thread::scope(|scope| {
            for seed in 0..3 {
                scope.spawn(move || {
                    let mut random = Random::new(seed);
                    let mut handles: Vec<Handle> = Vec::new();
                    for name in 0..800 {
                        // Sizes with long zspages, in few classes.
                        let len = 1 + 320 * (1 + random.below(4));
                        handles.push(pool.insert(&object(len, name)).unwrap());
                        let zeroed = pool.alloc(len).unwrap();
                        assert!(pool.read(&zeroed).iter().all(|&byte| byte == 0));
                        pool.free(zeroed);
                        if handles.len() > 60 {
                            for _ in 0..50 {
                                let victim = random.below(handles.len());
                                pool.free(handles.swap_remove(victim));
                            }
                            let map = pool.read(&handles[0]);
                            let report = pool.compact();
                            discarded.fetch_add(report.pages_discarded, Ordering::Relaxed);
                            assert!(is_intact(&map));
                            drop(map);
                            let zspage = pool.zspages().next().map(|zspage| zspage.id);
                            let _ = zspage.map(|id| pool.migrate(id));
                        }
                        assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
                    }
                    pool.free_many(handles);
                });
            }
        });
        assert_eq!(
            (pool.resident_pages(), pool.stats().discarded_pages),
            (0, 0)
        );
    }
    assert!(discarded.into_inner() > 0);
}
