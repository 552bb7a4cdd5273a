//! Under lockdep the pool's own order is clean, and there is an order to see: a validator that was off would show no
//! classes. One test in a process of its own, as the counts are the process's.

#![cfg(feature = "debug-lockdep")]

mod common;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use common::{Random, is_intact, object};
use lockdep::{collect, graph, stats};
use zsalloc::{AllocError, AutoCompact, Budget, Handle, Pool};

#[test]
fn the_pool_is_clean_and_its_order_is_seen() {
    let ((), reports) = collect(|| {
        let builder = Pool::builder().retain_pages(4).max_pages(1500);
        let builder = builder.auto_compact(AutoCompact::default().slack(0.0));
        let pool = Arc::new(builder.build().unwrap());
        std::thread::scope(|scope| {
            // What is reported there is a panic.
            for seed in 1..=2 {
                let pool = &pool;
                scope.spawn(move || exercise(pool, seed));
            }
        });
        exercise(&pool, 3);
        meet_the_limit(&pool);
    });
    assert!(reports.is_empty(), "{}", reports[0]);

    let stats = stats();
    println!(
        "zsalloc: clean, {} classes, {} dependencies",
        stats.classes, stats.dependencies
    );
    let graph = graph();
    const LEAVES: [&str; 4] = ["handle table", "zspage table", "retained pages", "regions"];
    for name in ["zspage", "class"].iter().chain(&LEAVES) {
        let name = format!("zsalloc {name}");
        assert!(
            graph.classes.contains(&name),
            "{name} is not in {:?}",
            graph.classes
        );
    }
    // The order is the documented one: zspage (read) > class > leaf.
    let dependencies = graph.dependencies.iter().filter_map(|dependency| {
        let held = dependency.held.strip_prefix("zsalloc ")?;
        Some((held, dependency.wanted.strip_prefix("zsalloc ")?))
    });
    let dependencies: BTreeSet<_> = dependencies.collect();
    for (held, wanted) in &dependencies {
        let allowed = match *held {
            "zspage" => true,
            "class" => LEAVES.contains(wanted),
            _ => false,
        };
        assert!(allowed, "{wanted} was waited for with {held} locked");
    }
    for seen in [("zspage", "class"), ("class", "handle table")] {
        assert!(
            dependencies.contains(&seen),
            "{seen:?} is not in {dependencies:?}"
        );
    }
}

/// Every operation that takes a lock, with maps held meanwhile.
fn exercise(pool: &Arc<Pool>, seed: u64) {
    let mut random = Random::new(seed);
    let store = |random: &mut Random| {
        let bytes = object(100 + random.below(3000), random.next());
        pool.insert(&bytes).unwrap()
    };
    let held = Arc::new(store(&mut random));
    let mut handles: Vec<_> = (1..300).map(|_| store(&mut random)).collect();
    // Held here or there until the end.
    let owned = || Pool::read_owned(Arc::clone(pool), Arc::clone(&held));
    let (here, elsewhere) = (owned(), owned());
    let elsewhere = std::thread::spawn(move || is_intact(&elsewhere));
    for _ in 0..200 {
        let (map, other) = (pool.read(&handles[0]), pool.read(&handles[1]));
        let stored = store(&mut random);
        assert!(is_intact(&map) && is_intact(&other));
        drop((map, other));
        handles.push(stored);
        let victim = 2 + random.below(handles.len() - 2);
        change(pool, &mut handles, victim, &mut random);
    }
    compact(pool);
    // With a map held by this thread, nothing else may be waited for in a wrong order, either.
    let first = handles.swap_remove(0);
    let map = pool.read(&first);
    compact(pool);
    pool.free_many(handles.drain(..100));
    drop(map);
    handles.push(first);
    assert!(is_intact(&here) && elsewhere.join().unwrap());
    drop(here);
    pool.free_many(handles);
    pool.free(Arc::into_inner(held).unwrap());
}

fn change(pool: &Pool, handles: &mut Vec<Handle>, victim: usize, random: &mut Random) {
    match random.below(4) {
        0 => pool.take(handles.swap_remove(victim), &mut Vec::new()),
        1 => {
            let bytes = object(100 + random.below(3000), random.next());
            pool.replace(&mut handles[victim], &bytes).unwrap();
            pool.write(&mut handles[victim]).fill(0);
        }
        _ => pool.free(handles.swap_remove(victim)),
    }
}

fn compact(pool: &Pool) {
    pool.compact_budget(Budget::Pages(3));
    pool.compact_budget(Budget::Time(Duration::from_millis(1)));
    pool.compact();
    for zspage in pool.zspages() {
        // Busy or gone when another thread is at it.
        let _ = pool.migrate(zspage.id);
    }
    for region in pool.regions() {
        pool.evacuate(region.id);
    }
    pool.trim();
}

/// Insertions that compact because of the page limit, while this thread holds a map.
fn meet_the_limit(pool: &Pool) {
    let fill = |len| {
        let mut handles = Vec::new();
        loop {
            match pool.alloc(len) {
                Ok(handle) => handles.push(handle),
                Err(AllocError::Limit { .. }) => break handles,
                Err(other) => panic!("{other}"),
            }
        }
    };
    let first = pool.alloc(1).unwrap();
    let _map = pool.read(&first);
    let small = fill(256).into_iter().enumerate();
    let (kept, freed): (Vec<_>, Vec<_>) = small.partition(|(i, _)| i % 2 == 0);
    pool.free_many(freed.into_iter().map(|(_, handle)| handle));
    let moved = pool.stats().objects_moved;
    let large = fill(4000);
    assert!(pool.stats().objects_moved > moved, "the limit was not met");
    pool.free_many(
        large
            .into_iter()
            .chain(kept.into_iter().map(|(_, handle)| handle)),
    );
}
