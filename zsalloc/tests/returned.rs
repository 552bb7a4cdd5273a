//! Freed memory really goes back to the operating system. One test in a process of its own: it
//! looks at the resident set of the whole process.

mod common;

use common::{Random, object};
use zsalloc::Pool;

const MIB: usize = 1 << 20;

fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size()
}

#[test]
fn free_and_compact_return_memory_to_the_system() {
    let before = resident();
    let pool = Pool::new();
    let mut random = Random::new(1);
    let mut handles: Vec<_> = (0..16_000)
        .map(|name| {
            pool.insert(&object(1000 + random.below(2000), name))
                .unwrap()
        })
        .collect();
    let full = resident();
    assert!(
        full - before > 28 * MIB,
        "{} bytes for 32 MB",
        full - before
    );

    // Random victims leave holes in almost every page, and little comes back.
    for _ in 0..12_000 {
        let victim = random.below(handles.len());
        pool.free(handles.swap_remove(victim));
    }
    let sparse = resident();
    let freed = pool.compact().pages_freed * 4096;
    let compacted = resident();
    assert!(freed > 8 * MIB);
    assert!(
        sparse - compacted > freed - MIB,
        "{} of {freed} returned",
        sparse - compacted
    );
    // A quarter of the objects, and what the process needs besides.
    assert!(compacted - before < full.abs_diff(before) / 4 + 2 * MIB);

    handles.into_iter().for_each(|handle| pool.free(handle));
    assert_eq!(pool.resident_pages(), 0);
    // Their pages went back at once; headers may still wait for readers.
    pool.trim();
    assert!(
        resident() - before < 2 * MIB,
        "{} bytes stayed",
        resident() - before
    );
}
