//! Compaction, its target, and its report.

mod common;

use common::{Random, half_freed, is_intact, object};
use zsalloc::{ClassPolicy, MigrateError, Pool};

const POLICIES: [ClassPolicy; 4] = [
    ClassPolicy::Zsmalloc { chain_size: 8 },
    ClassPolicy::Zsmalloc { chain_size: 16 },
    ClassPolicy::Adaptive { max_pages: 16 },
    ClassPolicy::Adaptive { max_pages: 5 },
];

fn pool(policy: ClassPolicy) -> Pool {
    Pool::builder().classes(policy).build().unwrap()
}

#[test]
fn compaction_frees_exactly_what_freeable_says() {
    for policy in POLICIES {
        for seed in 0..4 {
            let pool = pool(policy);
            let handles = half_freed(&pool, &mut Random::new(seed), 2000);
            let (before, freeable) = (pool.resident_pages(), pool.freeable());
            let report = pool.compact();
            assert!(freeable > 0 && report.objects_moved > 0);
            assert_eq!(report.pages_freed, freeable, "{policy:?}");
            assert_eq!(pool.resident_pages(), before - freeable);
            assert_eq!(pool.freeable(), 0);
            assert_eq!(pool.compact().objects_moved, 0);
            assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
        }
    }
}

#[test]
fn freeable_is_the_kernels_formula_under_the_kernels_classes() {
    let pool = pool(ClassPolicy::Zsmalloc { chain_size: 8 });
    let _handles = half_freed(&pool, &mut Random::new(1), 3000);
    let mut sum = 0;
    for class in pool
        .class_stats()
        .iter()
        .filter(|class| class.obj_allocated > 0)
    {
        let zspages: usize = class.zspages.iter().sum();
        let slots = class.obj_allocated / zspages;
        let freeable = (class.obj_allocated - class.obj_used) / slots * class.pages_per_zspage;
        assert_eq!(class.freeable, freeable);
        sum += freeable;
    }
    assert_eq!(pool.freeable(), sum);
}

/// The pages that could be freed from a layout when mapped zspages are destinations only; all
/// zspages of a class have the same length.
fn optimum(pool: &Pool) -> usize {
    let mut optimum = 0;
    for class in pool.class_stats() {
        let zspages: Vec<_> = pool.zspages().filter(|z| z.size == class.size).collect();
        let Some(first) = zspages.first() else {
            continue;
        };
        let mapped = zspages.iter().filter(|z| z.mapped).count();
        let needed = class.obj_used.div_ceil(first.slots).max(mapped);
        optimum += (zspages.len() - needed) * first.pages;
    }
    optimum
}

#[test]
fn mapped_zspages_are_destinations_and_cost_only_themselves() {
    for mapped in [1, 10, 100, 1000] {
        let pool = pool(ClassPolicy::Zsmalloc { chain_size: 8 });
        let mut random = Random::new(mapped);
        let mut handles = half_freed(&pool, &mut random, 8000);
        for i in 0..handles.len() {
            let j = random.below(i + 1);
            handles.swap(i, j);
        }
        let maps: Vec<_> = handles[..mapped as usize]
            .iter()
            .map(|h| pool.read(h))
            .collect();
        let optimum = optimum(&pool);
        let report = pool.compact();
        assert_eq!(report.pages_freed, optimum, "{mapped} objects mapped");
        // What stayed is what the report says stayed, and it says why.
        let left: usize = report.classes.iter().map(|class| class.pages_left).sum();
        assert_eq!(left, pool.freeable());
        let stats = pool.class_stats();
        for class in &report.classes {
            let stats = stats.iter().find(|stats| stats.size == class.size).unwrap();
            let mapped_pages = class.zspages_mapped * stats.pages_per_zspage;
            assert_eq!(class.pages_left, mapped_pages, "{class:?}");
        }
        assert!(maps.iter().all(|map| is_intact(map)));
        drop(maps);
        assert_eq!(pool.compact().pages_freed, left);
        assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    }
}

/// The report blames maps only for what they held back.
#[test]
fn mapped_zspages_that_stay_anyway_are_not_counted() {
    let pool = pool(ClassPolicy::Zsmalloc { chain_size: 8 });
    // Four objects a page: fifty full mapped zspages, and fifty that are half empty.
    let mut handles: Vec<_> = (0..400).map(|_| pool.alloc(1024).unwrap()).collect();
    let others = handles.split_off(200);
    let maps: Vec<_> = handles.iter().map(|handle| pool.read(handle)).collect();
    let (freed, _kept): (Vec<_>, Vec<_>) = others
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 2 == 0);
    freed.into_iter().for_each(|(_, handle)| pool.free(handle));
    assert!(pool.zspages().filter(|zspage| zspage.mapped).count() == 50);

    let report = pool.compact();
    let [class] = report.classes.as_slice() else {
        panic!("one class: {report:?}");
    };
    assert_eq!((class.pages_freed, class.pages_left), (25, 0));
    assert_eq!(class.zspages_mapped, 0);
    drop(maps);
}

#[test]
fn an_object_never_moves_while_it_is_mapped() {
    for policy in POLICIES {
        let pool = pool(policy);
        let handles = half_freed(&pool, &mut Random::new(3), 500);
        let map = pool.read(&handles[0]);
        let address = map.as_ptr();
        pool.compact();
        for zspage in pool.zspages() {
            match pool.migrate(zspage.id) {
                Ok(()) => assert!(!zspage.mapped),
                Err(error) => assert!(error == MigrateError::Busy && zspage.mapped),
            }
        }
        assert_eq!(map.as_ptr(), address);
        assert!(is_intact(&map));
        assert_eq!(pool.stats().migrations_refused, 1);
        drop(map);
        let zspages: Vec<_> = pool.zspages().collect();
        assert!(zspages.iter().all(|zspage| pool.migrate(zspage.id).is_ok()));
        assert_ne!(pool.read(&handles[0]).as_ptr(), address);
        assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    }
}

#[test]
fn ids_of_retired_zspages_are_gone_for_good() {
    let pool = Pool::new();
    let mut gone = Vec::new();
    for round in 0..200 {
        let handle = pool.insert(&object(2000, round)).unwrap();
        gone.push(pool.zspages().next().unwrap().id);
        pool.free(handle);
    }
    let _alive = pool.insert(b"alive").unwrap();
    assert!(
        gone.iter()
            .all(|&id| pool.migrate(id) == Err(MigrateError::Gone))
    );
}
