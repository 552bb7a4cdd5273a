//! Automatic compaction: off unless asked for, dense where it is on, and never more moves than the
//! frees have paid for.

mod common;

use std::sync::Arc;
use std::sync::atomic::Ordering;

use common::watched::{ASKED, Watched};
use common::{Random, assert_at_rest, equal_objects, is_intact, object};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{AllocError, AutoCompact, BuildError, ClassPolicy, Failing, Handle, Heap, Pool};
use zslock::RawZsLock;

const POLICIES: [ClassPolicy; 2] = [
    ClassPolicy::Adaptive { max_pages: 16 },
    ClassPolicy::Zsmalloc { chain_size: 8 },
];

type TestPool = Pool<RawZsLock, Heap>;

fn pool(classes: ClassPolicy, slack: Option<f32>, max_pages: usize) -> TestPool {
    let builder = Pool::builder().classes(classes).backend(Heap::new());
    let builder = builder.max_pages(max_pages);
    match slack {
        Some(slack) => builder.auto_compact(AutoCompact::default().slack(slack)),
        None => builder,
    }
    .build()
    .unwrap()
}

#[test]
fn nothing_moves_unless_it_is_asked_for() {
    let pool = pool(ClassPolicy::default(), None, usize::MAX);
    let mut handles = equal_objects(&pool, 2000, 700);
    let mut random = Random::new(1);
    while handles.len() > 200 {
        pool.free(handles.swap_remove(random.below(handles.len())));
    }
    assert_eq!(pool.stats().objects_moved, 0);
    assert!(pool.freeable() > pool.resident_pages() / 2);
}

#[test]
fn a_slack_that_is_no_share_is_refused() {
    for slack in [-0.01, 1.01, f32::NAN, f32::INFINITY] {
        let policy = AutoCompact::default().slack(slack);
        let error = Pool::builder().auto_compact(policy).build().unwrap_err();
        assert_eq!(error, BuildError::Slack, "{slack}");
        assert!(error.to_string().contains("from 0.0"), "{error}");
    }
    for slack in [0.0, 1.0] {
        let policy = AutoCompact::default().slack(slack);
        assert!(Pool::builder().auto_compact(policy).build().is_ok());
    }
}

/// Frees one object of each zspage in turn, so that all are equally full: every page gained costs as
/// many moves as it can.
#[test]
fn moves_never_exceed_half_the_frees() {
    for classes in POLICIES {
        let pool = pool(classes, Some(0.0), usize::MAX);
        let handles = equal_objects(&pool, 20_000, 400);
        let mut rest: Vec<_> = handles.into_iter().map(Some).collect();
        let mut freed = 0;
        for first in 0..16 {
            for handle in rest[first..].iter_mut().step_by(16) {
                pool.free(handle.take().unwrap());
                freed += 1;
                let moved = pool.stats().objects_moved;
                assert!(2 * moved <= freed, "{moved} moves for {freed} frees");
            }
            let rest: Vec<_> = rest.iter().flatten().collect();
            assert!(rest.iter().all(|handle| is_intact(&pool.read(handle))));
        }
        // There was need for all of it: this is the bound and not an accident.
        let moved = pool.stats().objects_moved;
        assert!(
            2 * moved > freed * 9 / 10,
            "{moved} moves for {freed} frees"
        );
        assert_eq!(pool.resident_pages(), 0);
    }
}

/// Every way to free an object earns the same.
#[test]
fn all_kinds_of_frees_pay() {
    let kinds: [fn(&TestPool, Handle); 5] = [
        |pool, handle| pool.free(handle),
        |pool, handle| pool.checked_free(handle).unwrap(),
        |pool, handle| pool.free_many([handle]),
        |pool, handle| pool.take(handle, &mut Vec::new()),
        // To another class and, without a gain for the first, away.
        |pool, mut handle| {
            pool.replace(&mut handle, &[1; 4000]).unwrap();
            pool.free(handle);
        },
    ];
    let moved = kinds.map(|free| {
        let pool = pool(ClassPolicy::default(), Some(0.0), usize::MAX);
        let handles = equal_objects(&pool, 4000, 400);
        let (freed, kept): (Vec<_>, Vec<_>) = handles
            .into_iter()
            .enumerate()
            .partition(|(i, _)| i % 3 > 0);
        for (_, handle) in freed {
            free(&pool, handle);
        }
        assert_at_rest(
            &pool,
            &kept
                .into_iter()
                .map(|(_, handle)| handle)
                .collect::<Vec<_>>(),
        );
        pool.stats().objects_moved
    });
    assert!(moved[0] > 0);
    assert_eq!(moved, [moved[0]; 5]);
}

#[test]
fn a_batch_pays_for_a_larger_step() {
    let pool = pool(ClassPolicy::default(), Some(0.0), usize::MAX);
    let handles = equal_objects(&pool, 20_000, 400);
    let (freed, kept): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 4 > 0);
    let freed = freed.into_iter().map(|(_, handle)| handle);
    pool.free_many(freed);
    let stats = pool.stats();
    assert!(stats.objects_moved <= 15_000 / 2, "{stats:?}");
    // A quarter is left, and no page came free by itself.
    assert!(stats.resident_pages < 20_000 / 10 / 3, "{stats:?}");
    assert_at_rest(
        &pool,
        &kept
            .into_iter()
            .map(|(_, handle)| handle)
            .collect::<Vec<_>>(),
    );
}

#[test]
fn mapped_zspages_are_skipped_and_asked_rarely() {
    const ZSPAGES: usize = 300;
    let pool = Pool::builder()
        .lock_with(|| Watched::INIT)
        .backend(Heap::new())
        .classes(ClassPolicy::Zsmalloc { chain_size: 4 })
        .auto_compact(AutoCompact::default().slack(0.0))
        .max_pages(ZSPAGES)
        .build()
        .unwrap();
    let handles = equal_objects(&pool, 16 * ZSPAGES as u64, 256);
    assert_eq!(pool.zspages().count(), ZSPAGES);
    // One object of each zspage is mapped, and all others of it are freed; of the last third, half.
    let (mut mapped, mut freed, mut rest) = (Vec::new(), Vec::new(), Vec::new());
    for (i, handle) in handles.into_iter().enumerate() {
        match i % 16 {
            0 => mapped.push(handle),
            8.. if i / 16 >= ZSPAGES * 2 / 3 => rest.push(handle),
            _ => freed.push(handle),
        }
    }
    let mut maps: Vec<_> = mapped.iter().map(|handle| pool.read(handle)).collect();
    let before: Vec<_> = maps
        .iter()
        .map(|map| (map.as_ptr(), map.to_vec()))
        .collect();
    ASKED.store(0, Ordering::Relaxed);
    let frees = freed.len();
    freed.into_iter().for_each(|handle| pool.free(handle));
    let asked = ASKED.load(Ordering::Relaxed);
    assert!(0 < asked && asked < 2 * frees, "{asked} for {frees} frees");
    assert_eq!(pool.stats().objects_moved, 0);
    for (map, before) in maps.iter().zip(before) {
        assert_eq!((map.as_ptr(), map.to_vec()), before);
    }

    // Nor at the page limit, where the next fifteen insertions do not even ask.
    let asked = |before| ASKED.load(Ordering::Relaxed) - before;
    let (large, refused) = ([1; 4096], AllocError::Limit { max_pages: ZSPAGES });
    let before = asked(0);
    assert_eq!(pool.insert(&large).unwrap_err(), refused);
    let first = asked(before);
    assert!(first >= ZSPAGES, "{first}");
    for _ in 0..15 {
        assert_eq!(pool.insert(&large).unwrap_err(), refused);
    }
    assert_eq!(asked(before), first);
    assert_eq!(pool.insert(&large).unwrap_err(), refused);
    assert_eq!(asked(before), 2 * first);

    // The last third is unmapped now. It is found, though all the others are sparser.
    maps.truncate(ZSPAGES * 2 / 3);
    rest.drain(..ZSPAGES).for_each(|handle| pool.free(handle));
    assert!(pool.stats().objects_moved > 0);
    // And when all are, the class becomes dense again.
    drop(maps);
    rest.into_iter().for_each(|handle| pool.free(handle));
    assert!(pool.freeable() < ZSPAGES / 10, "{}", pool.freeable());
    assert!(mapped.iter().all(|handle| is_intact(&pool.read(handle))));
}

/// A pool at its limit in which one class has pages to spare, and the other needs one.
fn at_the_limit(slack: Option<f32>) -> (TestPool, Vec<Handle>) {
    let pool = pool(ClassPolicy::Zsmalloc { chain_size: 4 }, slack, 50);
    let handles = equal_objects(&pool, 16 * 50, 256);
    assert_eq!(pool.resident_pages(), 50);
    let (freed, kept): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 16 > 7);
    freed.into_iter().for_each(|(_, handle)| pool.free(handle));
    (pool, kept.into_iter().map(|(_, handle)| handle).collect())
}

#[test]
fn before_an_insertion_is_refused_the_pool_compacts() {
    let refused = AllocError::Limit { max_pages: 50 };
    let (pool, _kept) = at_the_limit(None);
    assert_eq!(pool.insert(&[1; 4096]).unwrap_err(), refused);
    assert_eq!(pool.compact().pages_freed, 25);

    // A slack of 1 forbids everything else.
    let (pool, mut small) = at_the_limit(Some(1.0));
    assert_eq!((pool.stats().objects_moved, pool.resident_pages()), (0, 50));
    let bytes = object(4096, 1);
    let mut large = vec![pool.insert(&bytes).unwrap()];
    let stats = pool.stats();
    // No more than it takes.
    assert!(stats.objects_moved <= 64 && stats.freeable > 0, "{stats:?}");
    large.extend((0..24).map(|_| pool.insert(&bytes).unwrap()));
    assert_eq!((pool.resident_pages(), pool.freeable()), (50, 0));
    let moved = pool.stats().objects_moved;
    for _ in 0..3 {
        assert_eq!(pool.insert(&bytes).unwrap_err(), refused);
    }
    assert_eq!(pool.stats().objects_moved, moved);

    // A refusal is remembered only until something is freed; sixteen objects are a page.
    for n in 0..15 {
        pool.free(small.swap_remove(n * 20));
        assert_eq!(pool.insert(&bytes).unwrap_err(), refused, "{n}");
    }
    pool.free(small.swap_remove(15 * 20));
    large.push(pool.insert(&bytes).unwrap());
    assert_at_rest(&pool, &small);
    assert_at_rest(&pool, &large);
}

/// One object more or less does not cost a zspage each time.
#[test]
fn a_class_at_the_edge_of_a_zspage_keeps_it() {
    let source = Arc::new(Failing::new(Heap::new()));
    let builder = Pool::builder().backend(source.clone());
    let builder = builder.classes(ClassPolicy::Zsmalloc { chain_size: 4 });
    let pool = builder
        .auto_compact(AutoCompact::default().slack(0.0))
        .build()
        .unwrap();
    // Ten full zspages and an eleventh with one object.
    let mut handles = equal_objects(&pool, 161, 256);
    let mut random = Random::new(3);
    let before = source.calls();
    for name in 0..1000 {
        pool.free(handles.swap_remove(random.below(handles.len())));
        handles.push(pool.insert(&object(256, name)).unwrap());
    }
    // The lone object is freed itself now and then, which empties the eleventh.
    assert!(
        source.calls() - before < 1000 / 10,
        "{} zspages",
        source.calls() - before
    );
    assert_at_rest(&pool, &handles);
    // Twenty less do not need it.
    handles.drain(..20).for_each(|handle| pool.free(handle));
    assert_eq!(pool.resident_pages(), 9);
}
