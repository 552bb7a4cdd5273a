//! Under lockdep the pool's own order is clean, and there is an order to see: a validator that was off would show no
//! classes. One test in a process of its own, as the counts are the process's.

#![cfg(feature = "debug-lockdep")]

mod common;

use common::{Random, is_intact, object};
use lockdep::{collect, graph, stats};
use zsalloc::Pool;

#[test]
fn the_pool_is_clean_and_its_order_is_seen() {
    let ((), reports) = collect(|| {
        let pool = Pool::builder().retain_pages(4).build().unwrap();
        std::thread::scope(|scope| {
            for seed in 1..=2 {
                let pool = &pool;
                scope.spawn(move || exercise(pool, seed));
            }
        });
        exercise(&pool, 3);
    });
    assert!(reports.is_empty(), "{}", reports[0]);

    let stats = stats();
    println!(
        "zsalloc: clean, {} classes, {} dependencies",
        stats.classes, stats.dependencies
    );
    let graph = graph();
    let names = &graph.classes;
    for name in [
        "zspage",
        "class",
        "handle table",
        "zspage table",
        "retained pages",
    ] {
        let name = format!("zsalloc {name}");
        assert!(names.contains(&name), "{name} is not in {names:?}");
    }
    // Readers of zspages store, and storing with a class locked uses the tables.
    assert!(stats.dependencies >= 3, "{stats:?}");
}

/// Every operation that takes a lock, with maps held meanwhile.
fn exercise(pool: &Pool, seed: u64) {
    let mut random = Random::new(seed);
    let mut handles: Vec<_> = (0..300)
        .map(|name| {
            pool.insert(&object(100 + random.below(3000), name))
                .unwrap()
        })
        .collect();
    for _ in 0..200 {
        let (map, other) = (pool.read(&handles[0]), pool.read(&handles[1]));
        let name = random.next();
        let len = 100 + random.below(3000);
        let stored = pool.insert(&object(len, name)).unwrap();
        assert!(is_intact(&map) && is_intact(&other));
        drop((map, other));
        handles.push(stored);
        let victim = 2 + random.below(handles.len() - 2);
        pool.free(handles.swap_remove(victim));
    }
    pool.compact();
    for zspage in pool.zspages().collect::<Vec<_>>() {
        // Busy or gone when another thread is at it.
        let _ = pool.migrate(zspage.id);
    }
    pool.trim();
    handles.into_iter().for_each(|handle| pool.free(handle));
}
