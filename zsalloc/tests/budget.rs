//! Compaction with a budget.

mod common;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use common::calling_back::{Call, CallingBack, outgrown};
use common::{Random, assert_explained, half_freed, is_intact, object};
use zsalloc::{Budget, ClassPolicy, CompactReport, Failing, Handle, Heap, PageSource, Pool};
use zslock::RawZsLock;

const POLICIES: [ClassPolicy; 4] = [
    ClassPolicy::Zsmalloc { chain_size: 4 },
    ClassPolicy::Zsmalloc { chain_size: 16 },
    ClassPolicy::Adaptive { max_pages: 16 },
    ClassPolicy::Adaptive { max_pages: 3 },
];

fn heap_pool(policy: ClassPolicy) -> Pool<RawZsLock, Heap> {
    let builder = Pool::builder().classes(policy).backend(Heap::new());
    builder.build().unwrap()
}

/// Compacts, and checks what holds for every budget.
fn compact<S: PageSource>(pool: &Pool<RawZsLock, S>, budget: Budget) -> CompactReport {
    let longest = pool.zspages().map(|zspage| zspage.pages).max();
    let (before, freeable) = (pool.resident_pages(), pool.freeable());
    let report = pool.compact_budget(budget);
    let after = pool.resident_pages();
    assert_eq!(before + report.pages_grown, after + report.pages_freed);
    assert_eq!(
        pool.freeable() + report.pages_freed,
        freeable + report.pages_grown
    );
    assert!(pool.zspages().all(|zspage| zspage.used > 0));
    assert_explained(&report, pool.freeable());
    if let Budget::Pages(pages) = budget {
        let allowed = if pages == 0 {
            0
        } else {
            pages.max(longest.unwrap_or(0))
        };
        assert!(report.pages_freed <= allowed, "{budget:?}: {report:?}");
    }
    report
}

#[test]
fn calls_in_a_loop_reach_what_one_compaction_reaches() {
    for policy in POLICIES {
        for pages in [1, 2, 5, 16, 100, usize::MAX] {
            let pool = heap_pool(policy);
            let handles = half_freed(&pool, &mut Random::new(pages as u64), 1200);
            let freeable = pool.freeable();
            let (mut freed, mut calls) = (0, 0);
            loop {
                let report = compact(&pool, Budget::Pages(pages));
                freed += report.pages_freed;
                calls += 1;
                assert_eq!(report.pages_grown, 0);
                if !report.budget_spent {
                    break;
                }
                assert!(report.pages_freed > 0, "a call gains nothing: {report:?}");
            }
            assert_eq!((freed, pool.freeable()), (freeable, 0), "{policy:?}");
            assert!(calls >= freeable / pages.max(16), "{calls} calls");
            assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
        }
    }
}

#[test]
fn nothing_buys_nothing_and_the_largest_budgets_everything() {
    for policy in POLICIES {
        let pool = heap_pool(policy);
        let handles = half_freed(&pool, &mut Random::new(1), 600);
        let freeable = pool.freeable();
        for budget in [Budget::Pages(0), Budget::Time(Duration::ZERO)] {
            let before: Vec<_> = pool.zspages().collect();
            let report = compact(&pool, budget);
            assert!(report.budget_spent && report.objects_moved == 0);
            assert_eq!(report.longest_zspage_hold, Duration::ZERO);
            assert_eq!(pool.zspages().collect::<Vec<_>>(), before);
        }
        let report = compact(&pool, Budget::Time(Duration::MAX));
        assert_eq!((report.pages_freed, report.budget_spent), (freeable, false));
        for budget in [Budget::Pages(0), Budget::Time(Duration::ZERO)] {
            assert!(
                !compact(&pool, budget).budget_spent,
                "nothing is left to be done"
            );
        }
        drop(handles);
    }
}

/// One class has free slots anew at each call. The others get their turn nevertheless.
#[test]
fn a_class_that_is_always_sparse_starves_no_other() {
    let pool = heap_pool(ClassPolicy::Zsmalloc { chain_size: 8 });
    // Every other one is freed again.
    let fill = |len| {
        let handles = (0..400).map(|name| pool.insert(&object(len, name)).unwrap());
        let handles: Vec<_> = handles.collect();
        let handles = handles.into_iter().enumerate();
        let (kept, freed): (Vec<_>, Vec<_>) = handles.partition(|(i, _)| i % 2 == 0);
        pool.free_many(freed.into_iter().map(|(_, handle)| handle));
        kept
    };
    let mut kept = Vec::new();
    for len in [500, 1000, 2000] {
        kept.extend(fill(len));
    }
    let left = |len: usize| {
        let stats = pool.class_stats();
        stats
            .iter()
            .find(|class| class.size >= len)
            .unwrap()
            .freeable
    };
    let mut calls = 0;
    while left(1000) > 0 || left(2000) > 0 {
        kept.extend(fill(500));
        assert!(left(500) > 4);
        compact(&pool, Budget::Pages(4));
        calls += 1;
        assert!(calls < 1000, "{} and {} pages left", left(1000), left(2000));
    }
}

/// Zspages of one class, of which an ever larger part stays in use: the first calls gain their pages
/// with fewer moves than the last ones.
#[test]
fn cheap_pages_are_bought_first() {
    let pool = heap_pool(ClassPolicy::Adaptive { max_pages: 16 });
    let handles: Vec<_> = (0..4000)
        .map(|name| pool.insert(&object(600, name)).unwrap())
        .collect();
    let mut random = Random::new(5);
    let (kept, freed): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .enumerate()
        .partition(|(i, _)| random.below(4000) < *i);
    pool.free_many(freed.into_iter().map(|(_, handle)| handle));
    let (mut costs, mut spent) = (Vec::new(), true);
    while spent {
        let report = compact(&pool, Budget::Pages(32));
        costs.extend(report.moves_per_page());
        spent = report.budget_spent;
    }
    println!("moves a page, one budget after another: {costs:.2?}");
    assert!(costs.len() > 4);
    assert!(costs[0] * 2.0 < costs[costs.len() - 2]);
    assert!(kept.iter().all(|(_, handle)| is_intact(&pool.read(handle))));
}

/// Time runs out when a long zspage was taken and only one short one has gone: the call goes on until
/// all is earned back.
#[test]
fn a_call_that_runs_out_of_time_pays_its_debt() {
    static END: Mutex<Option<Instant>> = Mutex::new(None);
    static RELEASES: AtomicUsize = AtomicUsize::new(0);
    let source = Arc::new(CallingBack::default());
    let pool = Pool::builder().backend(source.clone()).build().unwrap();
    let handles = outgrown(&pool);
    // Another class, larger, that the call would go on with.
    let mut others = Vec::new();
    for name in 0..200 {
        others.push(pool.insert(&object(4000, name)).unwrap());
        others.push(pool.insert(&object(3600, name)).unwrap());
    }
    let (freed, kept): (Vec<_>, Vec<_>) = others
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 3 == 0);
    pool.free_many(freed.into_iter().map(|(_, handle)| handle));

    source.set(Some(|call| {
        if call == Call::Release {
            RELEASES.fetch_add(1, Ordering::Relaxed);
            while Instant::now() < END.lock().unwrap().unwrap() {
                std::thread::yield_now();
            }
        }
    }));
    let mut time = Duration::from_millis(100);
    for _ in 0..10 {
        if RELEASES.load(Ordering::Relaxed) > 0 {
            break;
        }
        // On a machine so slow that the time was up before: more of it.
        time *= 2;
        let before = pool.resident_pages();
        // A little later than the call's own end.
        *END.lock().unwrap() = Some(Instant::now() + time + Duration::from_millis(20));
        let report = pool.compact_budget(Budget::Time(time));
        assert!(report.budget_spent && report.pages_grown == 0, "{report:?}");
        assert!(pool.resident_pages() <= before);
    }
    source.set(None);
    // It went on after the first.
    assert!(RELEASES.load(Ordering::Relaxed) > 1);
    assert!(pool.freeable() > 0);
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    assert!(kept.iter().all(|(_, handle)| is_intact(&pool.read(handle))));
}

/// The shortest of times, and a class whose plan takes longer than that: most of its sparse zspages are
/// mapped, more than a step looks at, so the class is planned as a whole.
#[test]
fn calls_with_a_budget_of_time_get_somewhere() {
    let pool = heap_pool(ClassPolicy::Zsmalloc { chain_size: 4 });
    let handles: Vec<_> = (0..1200 * 4).map(|_| pool.alloc(1024).unwrap()).collect();
    let (kept, freed): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 4 == 0);
    pool.free_many(freed.into_iter().map(|(_, handle)| handle));
    for mapped in [1000, 0] {
        let maps: Vec<_> = kept[..mapped].iter().map(|(_, h)| pool.read(h)).collect();
        let freeable = pool.freeable();
        let (mut freed, mut calls, mut spent) = (0, 0, true);
        while spent && calls < 2000 {
            let report = pool.compact_budget(Budget::Time(Duration::from_nanos(1)));
            freed += report.pages_freed;
            spent = report.budget_spent;
            calls += 1;
        }
        // What is not mapped went to where something is.
        let expected = if mapped > 0 { 1200 - mapped } else { freeable };
        assert_eq!((freed, spent), (expected, false), "{calls} calls");
        drop(maps);
    }
    assert_eq!(pool.freeable(), 0);
}

/// Before the first zspage the lock type is told of the zspages to come, which takes longer than the
/// budget.
#[test]
fn calls_with_a_budget_of_time_get_somewhere_with_a_slow_preparation() {
    let time = Duration::from_millis(1);
    let pool = Pool::builder().prepare_exclusive(|_| std::thread::sleep(Duration::from_millis(3)));
    let pool = pool.build().unwrap();
    let handles: Vec<_> = (0..400).map(|_| pool.alloc(1000).unwrap()).collect();
    let (_kept, freed): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 4 == 0);
    pool.free_many(freed.into_iter().map(|(_, handle)| handle));
    let freeable = pool.freeable();
    assert!(freeable > 50);
    let (mut freed, mut spent) = (0, true);
    for _ in 0..=freeable {
        let report = pool.compact_budget(Budget::Time(time));
        freed += report.pages_freed;
        spent = report.budget_spent;
        if !spent {
            break;
        }
    }
    assert_eq!((freed, spent), (freeable, false));
}

fn random_policy(random: &mut Random) -> ClassPolicy {
    match random.below(2) {
        0 => ClassPolicy::Zsmalloc {
            chain_size: 4 + random.below(13),
        },
        _ => ClassPolicy::Adaptive {
            max_pages: 1 + random.below(16),
        },
    }
}

fn random_budget(random: &mut Random) -> Budget {
    match random.below(4) {
        0 => Budget::Time(Duration::from_micros(random.below(3000) as u64)),
        _ => Budget::Pages(random.below(20)),
    }
}

/// What a random run came across: without it, it shows nothing.
#[derive(Debug, Default)]
struct Met {
    budgets_spent: usize,
    classes_without_source: usize,
    classes_mapped: usize,
}

impl Met {
    fn note(&mut self, report: &CompactReport) {
        let classes = report.classes.iter();
        self.budgets_spent += usize::from(report.budget_spent);
        self.classes_without_source += classes.clone().filter(|c| c.source_failed).count();
        self.classes_mapped += classes.filter(|c| c.pages_mapped > 0).count();
    }
}

/// Compacts under maps, with a source that may fail.
fn compact_disturbed(
    pool: &Pool<RawZsLock, Arc<Failing<Heap>>>,
    source: &Failing<Heap>,
    handles: &[Handle],
    random: &mut Random,
) -> CompactReport {
    let maps = random.below(3) * random.below(handles.len() / 2);
    let maps: Vec<_> = (0..maps)
        .map(|_| pool.read(&handles[random.below(handles.len())]))
        .collect();
    let pages_before: Vec<_> = maps.iter().map(|map| map.as_ptr()).collect();
    if random.below(2) == 0 {
        source.fail_from(source.calls() + random.below(4) as u64);
    }
    let report = compact(pool, random_budget(random));
    source.never_fail();
    let any_failed = report.classes.iter().any(|class| class.source_failed);
    assert!(report.pages_grown == 0 || any_failed, "{report:?}");
    assert!(maps.iter().all(|map| is_intact(map)));
    assert!(maps.iter().map(|map| map.as_ptr()).eq(pages_before));
    report
}

/// Random policies, lengths, maps, budgets and failing allocations: the numbers are right, every
/// object is readable, nothing stays isolated, and in the end everything is gained.
#[test]
fn budgets_and_maps_and_failures_at_random() {
    let mut met = Met::default();
    for seed in 0..60 {
        println!("seed {seed}");
        let mut random = Random::new(seed);
        let source = Arc::new(Failing::new(Heap::new()));
        let builder = Pool::builder().classes(random_policy(&mut random));
        let pool = builder.backend(source.clone()).build().unwrap();
        let mut handles = half_freed(&pool, &mut random, 300);
        for round in 0..6 {
            met.note(&compact_disturbed(&pool, &source, &handles, &mut random));
            for name in 0..30 {
                let victim = random.below(handles.len());
                pool.free(handles.swap_remove(victim));
                if random.below(3) > 0 {
                    let bytes = object(1 + random.below(4096), 1000 * round + name);
                    handles.push(pool.insert(&bytes).unwrap());
                }
            }
            assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
        }
        let freeable = pool.freeable();
        let pages = 1 + random.below(30);
        let mut freed = 0;
        for _ in 0..=freeable {
            freed += compact(&pool, Budget::Pages(pages)).pages_freed;
        }
        assert_eq!((freed, pool.freeable()), (freeable, 0));
        pool.free_many(handles);
        assert_eq!(
            (pool.resident_pages(), pool.stats().discarded_pages),
            (0, 0)
        );
    }
    println!("{met:?}");
    assert!(met.budgets_spent > 50 && met.classes_without_source > 10 && met.classes_mapped > 50);
}
