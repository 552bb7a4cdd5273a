//! How dense automatic compaction keeps a pool in which objects are replaced, and what that costs.

mod common;

use common::Random;
use zsalloc::{AutoCompact, ClassPolicy, Pool};

const POLICIES: [ClassPolicy; 2] = [
    ClassPolicy::Adaptive { max_pages: 16 },
    ClassPolicy::Zsmalloc { chain_size: 8 },
];

/// About the sizes that LZ4 makes of pages: log-normal, and some that do not compress.
fn compressed_len(random: &mut Random) -> usize {
    let mut uniform = || (random.next() >> 11) as f64 / (1u64 << 53) as f64;
    let normal: f64 = (0..12).map(|_| uniform()).sum::<f64>() - 6.0;
    ((1300.0 * (0.55 * normal).exp()) as usize).clamp(48, 4096)
}

/// A pool in which objects were replaced at random, each about twice, and the bytes stored.
fn churned(objects: usize, classes: ClassPolicy, slack: Option<f32>) -> (Pool, usize) {
    let pool = Pool::builder().classes(classes);
    let pool = match slack {
        Some(slack) => pool.auto_compact(AutoCompact::default().slack(slack)),
        None => pool,
    };
    let pool = pool.build().unwrap();
    let mut random = Random::new(11);
    let store = |random: &mut Random| pool.alloc(compressed_len(random)).unwrap();
    let mut handles: Vec<_> = (0..objects).map(|_| store(&mut random)).collect();
    for _ in 0..2 * objects {
        let handle = &mut handles[random.below(objects)];
        pool.free(std::mem::replace(handle, store(&mut random)));
    }
    let live = handles.iter().map(|handle| pool.len(handle)).sum();
    (pool, live)
}

/// Bytes of pages and metadata for each byte stored.
fn density((pool, live): &(Pool, usize)) -> f64 {
    let stats = pool.stats();
    (stats.resident_pages * 4096 + stats.metadata_bytes) as f64 / *live as f64
}

/// The goal for 128 MiB: 1.06 bytes for each byte stored, at half a move for each replacement.
#[test]
fn churn_stays_dense() {
    const OBJECTS: usize = 90_000;
    for classes in POLICIES {
        let churned = churned(OBJECTS, classes, Some(0.03));
        let (density, moved) = (density(&churned), churned.0.stats().objects_moved);
        println!(
            "{classes:?}: {density:.4}, {moved} moves for {} replacements",
            2 * OBJECTS
        );
        // lockdep's locks are larger.
        let goal = if cfg!(feature = "debug-lockdep") {
            1.07
        } else {
            1.06
        };
        assert!(density <= goal, "{density}");
        assert!(moved > 0 && moved <= OBJECTS as u64);
        for class in churned.0.class_stats() {
            // The slack, or about a zspage; and what the frees between two looks leave.
            let between = 1.0 / 64.0;
            let excess = class.freeable as f64 > (0.03 + between) * class.pages_used as f64;
            let free = (class.obj_allocated - class.obj_used) as f64;
            let zspage = (class.pages_per_zspage * 4096 / class.size) as f64;
            let spare = free > zspage * 17.0 / 16.0 + 2.0 + between * class.obj_used as f64;
            assert!(!(excess && spare), "{class:?}");
        }
    }
}

/// The figures of `PoolBuilder::auto_compact`.
#[test]
#[ignore = "takes a minute without optimisation"]
fn figures() {
    const OBJECTS: usize = 90_000;
    for classes in POLICIES {
        let mut before = f64::INFINITY;
        for slack in [
            None,
            Some(0.1),
            Some(0.05),
            Some(0.03),
            Some(0.02),
            Some(0.0),
        ] {
            let churned = churned(OBJECTS, classes, slack);
            let density = density(&churned);
            let moves = churned.0.stats().objects_moved as f64 / (2 * OBJECTS) as f64;
            println!("{classes:?}, slack {slack:?}: {density:.3} bytes a byte, {moves:.3} moves");
            assert!(density <= before && moves <= 0.5);
            before = density;
        }
    }
}

#[test]
fn less_slack_is_denser() {
    for classes in POLICIES {
        let pools =
            [None, Some(1.0), Some(0.1), Some(0.0)].map(|slack| churned(10_000, classes, slack));
        let moved = pools.each_ref().map(|(pool, _)| pool.stats().objects_moved);
        // Not their metadata, of which more or less waits for the epoch.
        let [off, none, ..] = pools.each_ref().map(|(pool, _)| pool.resident_pages());
        assert_eq!((off, moved[0], moved[1]), (none, 0, 0));
        let [off, _, some, densest] = pools.each_ref().map(density);
        assert!(0 < moved[2] && moved[2] < moved[3], "{moved:?}");
        assert!(some < off && densest < some, "{off} {some} {densest}");
    }
}
