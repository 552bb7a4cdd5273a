//! The memory of idle pages in zspages that maps keep really goes back to the operating system. One
//! test in a process of its own: it looks at the resident set of the whole process.

mod common;

use common::{Random, is_intact, object};
use zsalloc::{Handle, Pool};

/// The resident pages of the process, of 4096 bytes.
fn resident() -> usize {
    let statm = std::fs::read_to_string("/proc/self/statm").unwrap();
    let pages: usize = statm.split(' ').nth(1).unwrap().parse().unwrap();
    pages * rustix::param::page_size() / 4096
}

#[test]
fn compaction_around_maps_returns_idle_pages_to_the_system() {
    let pool = Pool::new();
    let mut random = Random::new(7);
    let mut handles: Vec<Handle> = (0..32_000)
        .map(|name| pool.insert(&object(1 + random.below(4096), name)).unwrap())
        .collect();
    for i in 0..handles.len() {
        handles.swap(i, random.below(i + 1));
    }
    pool.free_many(handles.drain(16_000..));
    // Owned: a validator would have to compare every lock with thousands of borrowed ones.
    let mapped = handles[..4000].iter();
    let maps: Vec<_> = mapped.map(|h| Pool::read_owned(&pool, h)).collect();

    let (freeable, before) = (pool.freeable(), resident());
    let report = pool.compact();
    let returned = before - resident();
    let share = |pages: usize| pages as f64 / freeable as f64;
    println!(
        "of {freeable} freeable pages {} were freed ({:.3}) and {} discarded (with them {:.3}); \
         the process returned {returned} pages ({:.3})",
        report.pages_freed,
        share(report.pages_freed),
        report.pages_discarded,
        share(report.pages_freed + report.pages_discarded),
        share(returned),
    );
    assert!(report.pages_discarded > 1000);
    // Not quite all: the last page of a slot has no memory if no object of it was that long, and
    // the process needs some for lists.
    let promised = report.pages_freed + report.pages_discarded;
    assert!(returned * 10 > promised * 9, "{returned} of {promised}");
    assert!(returned > report.pages_freed + report.pages_discarded / 2);
    assert!(maps.iter().all(|map| is_intact(map)));
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
}
