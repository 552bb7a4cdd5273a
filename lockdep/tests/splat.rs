//! The text of whole reports, each a file in `snapshots/`.
//!
//! A report names lines of this file. Every line that may be named ends in a
//! comment `//~ name`, and in the snapshot that name stands for the line and
//! column: a report that named any other line would fail.

mod support;

use lockdep::Mode::{Exclusive, Shared, SharedRecursive, Upgradable};
use lockdep::{Attempt, LockClassKey, LockMap, Report, ReportKind, WaitType};
use support::{Hold, Lock, reports};

/// The report, with names in the place of lines and columns.
fn text(report: &Report) -> String {
    let source: Vec<&str> = include_str!("splat.rs").lines().collect();
    let splat = report.to_string();
    let mut parts = splat.split(concat!(file!(), ":"));
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (line, rest) = part.split_once(':').expect("a column after the line");
        let line: usize = line.parse().expect("a line number");
        let (_, name) = source[line - 1]
            .split_once("//~ ")
            .unwrap_or_else(|| panic!("a report names line {line}, which nothing expects"));
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        text.push_str(&format!("splat.rs:[{name}]{rest}"));
    }
    text
}

/// The one report of `f`, which runs on a thread of this name.
fn report(thread: &str, f: impl FnOnce() + Send) -> Report {
    let mut found = on_thread(thread, || reports(f));
    assert_eq!(found.len(), 1, "{found:#?}");
    found.remove(0)
}

fn on_thread<R: Send>(name: &str, f: impl FnOnce() -> R + Send) -> R {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn_scoped(scope, f).unwrap().join().unwrap()
    })
}

/// Releases all, the newest first.
fn unlock<const N: usize>(held: [(&Lock, Hold); N]) {
    for (lock, hold) in held.into_iter().rev() {
        lock.unlock(hold);
    }
}

macro_rules! locks {
    ($($name:ident),*) => {
        $(
            let $name = {
                static KEY: LockClassKey = LockClassKey::new(stringify!($name));
                Lock::of(&KEY)
            };
        )*
    };
}

#[test]
fn cycle_of_two() {
    locks!(accounts, journal);
    on_thread("deposit", || {
        let outer = accounts.read(); //~ deposit reads accounts
        let inner = journal.lock(); //~ deposit locks journal
        unlock([(&accounts, outer), (&journal, inner)]);
    });
    let found = report("audit", || {
        let outer = journal.read(); //~ audit reads journal
        let inner = accounts.lock(); //~ audit locks accounts
        unlock([(&journal, outer), (&accounts, inner)]);
    });
    assert_eq!(found.kind(), ReportKind::CircularDependency);
    insta::assert_snapshot!(text(&found));
}

#[test]
fn cycle_of_three_with_queued_readers() {
    locks!(inode, page, queue);
    on_thread("writeback", || {
        let outer = inode.wait(Shared); //~ writeback reads inode
        let inner = page.lock(); //~ writeback locks page
        unlock([(&inode, outer), (&page, inner)]);
    });
    on_thread("reclaim", || {
        let outer = page.read(); //~ reclaim reads page
        let inner = queue.lock(); //~ reclaim locks queue
        unlock([(&page, outer), (&queue, inner)]);
    });
    let found = report("truncate", || {
        let outer = queue.lock(); //~ truncate locks queue
        let inner = inode.queued_read(); //~ truncate reads inode
        unlock([(&queue, outer), (&inode, inner)]);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn cycle_of_five_with_readers() {
    locks!(a, b, c, d, e);
    on_thread("one", || {
        let outer = a.read(); //~ one reads a
        let inner = b.lock(); //~ one locks b
        unlock([(&a, outer), (&b, inner)]);
    });
    on_thread("two", || {
        let outer = b.lock(); //~ two locks b
        let inner = c.read(); //~ two reads c
        unlock([(&b, outer), (&c, inner)]);
    });
    on_thread("three", || {
        let outer = c.lock(); //~ three locks c
        let inner = d.lock(); //~ three locks d
        unlock([(&c, outer), (&d, inner)]);
    });
    on_thread("four", || {
        let outer = d.wait(Shared); //~ four reads d
        let inner = e.lock(); //~ four locks e
        unlock([(&d, outer), (&e, inner)]);
    });
    let found = report("five", || {
        let outer = e.wait(Upgradable); //~ five reads e upgradably
        let inner = a.lock(); //~ five locks a
        unlock([(&e, outer), (&a, inner)]);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn cycle_with_a_timed_wait() {
    locks!(device, bus);
    on_thread("probe", || {
        let outer = device.lock(); //~ probe locks device
        let inner = bus.0.acquire(Exclusive, Attempt::Timed); //~ probe locks bus, for a while
        unlock([(&device, outer), (&bus, inner)]);
    });
    let found = report("remove", || {
        let outer = bus.lock(); //~ remove locks bus
        let inner = device.lock(); //~ remove locks device
        unlock([(&bus, outer), (&device, inner)]);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn cycle_with_an_upgrade() {
    locks!(map, index);
    on_thread("lookup", || {
        let outer = map.read(); //~ lookup reads map
        let inner = index.lock(); //~ lookup locks index
        unlock([(&map, outer), (&index, inner)]);
    });
    let found = report("insert", || {
        let mut outer = map.wait(Upgradable); //~ insert reads map upgradably
        let inner = index.lock(); //~ insert locks index
        map.0.upgrade(&mut outer, Attempt::Block); //~ insert upgrades map
        unlock([(&map, outer), (&index, inner)]);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn cycle_under_a_guard_lock() {
    locks!(big, left, right);
    on_thread("there", || {
        let guard = big.lock();
        let outer = left.lock(); //~ there locks left
        let inner = right.lock(); //~ there locks right
        unlock([(&big, guard), (&left, outer), (&right, inner)]);
    });
    let found = report("back", || {
        let guard = big.lock(); //~ back locks big
        let outer = right.lock(); //~ back locks right
        let inner = left.lock(); //~ back locks left
        unlock([(&big, guard), (&right, outer), (&left, inner)]);
    });
    assert_eq!(found.guard.as_deref(), Some("big"));
    insta::assert_snapshot!(text(&found));
}

#[test]
fn cycle_with_backtraces() {
    locks!(north, south);
    on_thread("up", || {
        let outer = north.lock(); //~ up locks north
        let inner = south.lock(); //~ up locks south
        unlock([(&north, outer), (&south, inner)]);
    });
    let mut found = report("down", || {
        let outer = south.lock(); //~ down locks south
        let inner = north.lock(); //~ down locks north
        unlock([(&south, outer), (&north, inner)]);
    });
    // Real ones are different on each machine; `tests/backtrace.rs` has them.
    let trace = |function: &str| Some(format!("0: {function}\n1: main"));
    found.cycle[0].backtrace = trace("down");
    found.cycle[1].backtrace = trace("up");
    found.backtrace = trace("down");
    insta::assert_snapshot!(text(&found));
    // That of the acquisition is the new dependency's, once.
    assert_eq!(found.to_string().matches("0: down").count(), 1);
    found.backtrace = trace("elsewhere");
    assert!(
        found
            .to_string()
            .contains("    0: elsewhere\n    1: main\nwhile it holds:")
    );
}

/// The scenario's columns are then narrower than the names.
#[test]
fn cycle_of_three_with_long_names() {
    static FIRST: LockClassKey = LockClassKey::new("storage::engine::Compactor::pending_ranges");
    static SECOND: LockClassKey = LockClassKey::new("storage::engine::Manifest::live_versions");
    static THIRD: LockClassKey = LockClassKey::new("storage::engine::Journal::active_segment");
    let locks = [&FIRST, &SECOND, &THIRD].map(Lock::of);
    let found = report("main", || {
        for (outer, inner) in [(0, 1), (1, 2), (2, 0)].map(|(a, b)| (&locks[a], &locks[b])) {
            let held = outer.lock(); //~ locks the outer
            let hold = inner.lock(); //~ locks the inner
            unlock([(outer, held), (inner, hold)]);
        }
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn recursion_on_the_same_lock() {
    locks!(table);
    let found = report("main", || {
        let outer = table.lock(); //~ locks table
        let inner = table.read(); //~ reads table
        unlock([(&table, outer), (&table, inner)]);
    });
    assert_eq!(found.kind(), ReportKind::RecursiveLocking);
    insta::assert_snapshot!(text(&found));
}

#[test]
fn recursion_on_another_lock_of_the_class() {
    static DIR: LockClassKey = LockClassKey::new("dir");
    let (parent, child) = (Lock::of(&DIR), Lock::of(&DIR));
    let found = report("rename", || {
        let outer = parent.lock(); //~ locks the parent
        let inner = child.lock(); //~ locks the child
        unlock([(&parent, outer), (&child, inner)]);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn recursion_of_a_queued_reader() {
    locks!(config);
    let found = report("reload", || {
        let outer = config.wait(Shared); //~ reads config
        let inner = config.queued_read(); //~ reads config again
        unlock([(&config, outer), (&config, inner)]);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn recursion_by_an_upgrade() {
    locks!(cache);
    let found = report("fill", || {
        let reader = cache.read(); //~ reads cache
        let mut writer = cache.0.acquire(Upgradable, Attempt::Try); //~ tries cache
        cache.0.upgrade(&mut writer, Attempt::Block); //~ upgrades cache
        unlock([(&cache, reader), (&cache, writer)]);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn wait_context_of_a_lock() {
    static ZSPAGE: LockClassKey =
        LockClassKey::new("zspage").wait(WaitType::Sleep, WaitType::Bounded);
    locks!(inode);
    let zspage = Lock::of(&ZSPAGE);
    let found = report("migrate", || {
        let outer = zspage.lock(); //~ locks zspage
        let inner = inode.lock(); //~ locks inode
        unlock([(&zspage, outer), (&inode, inner)]);
    });
    assert_eq!(found.kind(), ReportKind::InvalidWaitContext);
    insta::assert_snapshot!(text(&found));
}

#[test]
fn wait_context_of_might_sleep() {
    static ZSPAGE: LockClassKey =
        LockClassKey::new("zspage").wait(WaitType::Sleep, WaitType::Bounded);
    let zspage = Lock::of(&ZSPAGE);
    let found = report("compact", || {
        let outer = zspage.lock(); //~ compact locks zspage
        lockdep::might_sleep(); //~ may sleep
        unlock([(&zspage, outer)]);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn wait_context_of_an_atomic_scope() {
    locks!(stats);
    let found = report("tick", || {
        lockdep::atomic(|| {
            let held = stats.lock(); //~ locks stats
            stats.unlock(held);
        });
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn bad_unlock_by_a_foreign_token() {
    locks!(left, right);
    let found = report("main", || {
        let held = left.lock(); //~ locks left
        right.0.release(held); //~ releases right
    });
    assert_eq!(found.kind(), ReportKind::BadUnlock);
    insta::assert_snapshot!(text(&found));
}

#[test]
fn bad_unlock_by_force() {
    locks!(door, window);
    let found = report("main", || {
        let held = window.lock(); //~ locks window
        door.0.force_release(); //~ releases door
        window.unlock(held);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn held_lock_freed() {
    static KEY: LockClassKey = LockClassKey::new("buffer");
    let found = report("main", || {
        let buffer = LockMap::with_class(&KEY);
        let held = buffer.acquire(SharedRecursive, Attempt::Block); //~ reads buffer
        drop(buffer);
        let _ = held;
    });
    assert_eq!(found.kind(), ReportKind::HeldLockFreed);
    insta::assert_snapshot!(text(&found));
}

#[test]
fn assertion_held() {
    locks!(state, other);
    let found = report("main", || {
        let held = other.lock(); //~ locks other
        lockdep::assert_held!(state.0); //~ asserts that state is held
        other.unlock(held);
    });
    assert_eq!(found.kind(), ReportKind::AssertionFailed);
    insta::assert_snapshot!(text(&found));
}

#[test]
fn assertion_not_held() {
    locks!(state);
    let found = report("main", || {
        let held = state.read(); //~ reads state
        lockdep::assert_not_held!(state.0); //~ asserts that state is not held
        state.unlock(held);
    });
    insta::assert_snapshot!(text(&found));
}

#[test]
fn held_at_thread_exit() {
    static KEY: LockClassKey = LockClassKey::new("registry");
    static REGISTRY: LockMap = LockMap::with_class(&KEY).guard_stays(Exclusive);
    static FOUND: std::sync::Mutex<Vec<Report>> = std::sync::Mutex::new(Vec::new());
    // The thread's end is outside of any `collect`.
    lockdep::on_report(|report| {
        if report.kind() == ReportKind::HeldAtThreadExit {
            FOUND.lock().unwrap().push(report.clone());
        }
    });
    let worker = std::thread::Builder::new().name("worker".to_owned());
    let worker = worker.spawn(|| {
        let _never_released = REGISTRY.acquire(Exclusive, Attempt::Block); //~ locks registry
    });
    worker.unwrap().join().unwrap();
    let found = FOUND.lock().unwrap();
    assert_eq!(found.len(), 1, "{found:#?}");
    insta::assert_snapshot!(text(&found[0]));
}
