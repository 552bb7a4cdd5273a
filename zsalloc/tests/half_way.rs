//! Compaction that ends half-way, because the source fails, others fill its destinations or map its
//! sources: the report says what happened to the pages, and why.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use common::calling_back::{Call, CallingBack, outgrown};
use common::{assert_explained, is_intact, object};
use zsalloc::{CompactReport, Failing, Handle, Heap, PageSource, Pool};
use zslock::RawZsLock;

/// Compacts, and checks that the report tells how the number of pages changed.
fn compact<S: PageSource>(pool: &Pool<RawZsLock, S>) -> CompactReport {
    let before = pool.resident_pages();
    let report = pool.compact();
    let after = pool.resident_pages();
    assert_eq!(
        before + report.pages_grown,
        after + report.pages_freed,
        "{report:?}"
    );
    assert!(report.pages_freed == 0 || report.pages_grown == 0);
    assert_explained(&report, pool.freeable());
    report
}

#[test]
fn a_failing_source_shows_in_the_report() {
    let mut failures = 0;
    for len in (100..4096).step_by(150) {
        for (count, keep) in [18, 40, 90]
            .into_iter()
            .flat_map(|n| (2..6).map(move |k| (n, k)))
        {
            for allocations in 0..3 {
                let source = Arc::new(Failing::new(Heap::new()));
                let pool = Pool::builder().backend(source.clone()).build().unwrap();
                let handles: Vec<_> = (0..count)
                    .map(|i| pool.insert(&object(len, i)).unwrap())
                    .collect();
                let (kept, freed): (Vec<_>, Vec<_>) = handles
                    .into_iter()
                    .enumerate()
                    .partition(|(i, _)| i % keep == 0);
                freed.into_iter().for_each(|(_, handle)| pool.free(handle));

                let fails_at = source.calls() + allocations;
                source.fail_from(fails_at);
                let report = compact(&pool);
                let failed = report.classes.iter().any(|class| class.source_failed);
                assert_eq!(failed, source.calls() > fails_at, "{report:?}");
                failures += usize::from(failed);
                assert!(report.pages_grown == 0 || failed);
                assert!(kept.iter().all(|(_, handle)| is_intact(&pool.read(handle))));
            }
        }
    }
    assert!(failures > 0);
}

/// While compaction fetches its first zspage, others fill all that are there: a source has more objects
/// than planned, and the zspages made for them do not suffice.
#[test]
fn being_overtaken_shows_in_the_report() {
    static POOL: OnceLock<Pool<RawZsLock, Arc<CallingBack>>> = OnceLock::new();
    static STORED: Mutex<Vec<Handle>> = Mutex::new(Vec::new());
    static ALLOCATIONS: AtomicUsize = AtomicUsize::new(0);
    let source = Arc::new(CallingBack::default());
    let pool = POOL.get_or_init(|| Pool::builder().backend(source.clone()).build().unwrap());
    let handles = outgrown(pool);
    source.set(Some(|call| {
        if call == Call::Alloc && ALLOCATIONS.fetch_add(1, Ordering::Relaxed) == 0 {
            let pool = POOL.get().unwrap();
            let free: usize = pool.zspages().map(|z| z.slots - z.used).sum();
            let store = |i| pool.insert(&object(3328, i as u64)).unwrap();
            STORED.lock().unwrap().extend((0..free).map(store));
        }
    }));
    let report = compact(pool);
    source.set(None);
    let [class] = report.classes.as_slice() else {
        panic!("one class: {report:?}");
    };
    assert!(class.overtaken && !class.source_failed, "{class:?}");
    assert!(class.pages_unfinished > 0, "{class:?}");
    assert_eq!(class.pages_mapped, 0);
    assert_eq!(class.pages_left, pool.freeable());

    let mut stored = STORED.lock().unwrap();
    assert!(
        handles
            .iter()
            .chain(&*stored)
            .all(|h| is_intact(&pool.read(h)))
    );
    // The next compaction has its turn.
    let freeable = pool.freeable();
    let report = compact(pool);
    assert_eq!(report.pages_freed, freeable);
    assert!(report.classes.iter().all(|class| !class.overtaken));
    handles
        .into_iter()
        .chain(stored.drain(..))
        .for_each(|h| pool.free(h));
    assert_eq!(pool.resident_pages(), 0);
}

/// While compaction fetches a zspage to move objects to, others map every object.
#[test]
fn maps_that_arrive_meanwhile_show_in_the_report() {
    type Map = zsalloc::Mapped<'static, RawZsLock, Arc<CallingBack>>;
    static POOL: OnceLock<Pool<RawZsLock, Arc<CallingBack>>> = OnceLock::new();
    static HANDLES: OnceLock<Vec<Handle>> = OnceLock::new();
    static MAPS: Mutex<Vec<Map>> = Mutex::new(Vec::new());
    let source = Arc::new(CallingBack::default());
    let pool = POOL.get_or_init(|| Pool::builder().backend(source.clone()).build().unwrap());
    HANDLES.set(outgrown(pool)).unwrap();
    source.set(Some(|call| {
        let mut maps = MAPS.lock().unwrap();
        if call == Call::Alloc && maps.is_empty() {
            let pool = POOL.get().unwrap();
            maps.extend(HANDLES.get().unwrap().iter().map(|h| pool.read(h)));
        }
    }));
    let report = compact(pool);
    source.set(None);
    let mut maps = MAPS.lock().unwrap();
    assert!(maps.iter().all(|map| is_intact(map)));
    let [class] = report.classes.as_slice() else {
        panic!("one class: {report:?}");
    };
    assert_eq!((class.objects_moved, class.pages_freed), (0, 0));
    assert_eq!(class.pages_left, pool.freeable());
    assert!(class.zspages_mapped > 0, "{class:?}");
    assert_eq!(class.pages_mapped, class.pages_left);
    maps.clear();
    let freeable = pool.freeable();
    assert_eq!(compact(pool).pages_freed, freeable);
}
