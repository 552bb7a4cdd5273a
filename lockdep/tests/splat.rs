//! The text of whole reports.

mod support;

use lockdep::Mode::{Exclusive, Shared, SharedRecursive};
use lockdep::{LockClassKey, Report};
use support::{Lock, nest, nest_modes, reports};

/// The report with each place of this file as the line's distance from `base`.
fn text(report: &Report, base: u32) -> String {
    let splat = report.to_string();
    let mut parts = splat.split(concat!(file!(), ":"));
    let mut text = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (line, rest) = part.split_once(':').expect("a column after the line");
        let line: u32 = line.parse().expect("a line number");
        let rest = rest.trim_start_matches(|c: char| c.is_ascii_digit());
        text.push_str(&format!("line+{}{rest}", line - base));
    }
    text
}

fn on_thread(name: &str, f: impl FnOnce() + Send) {
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name(name.to_owned());
        thread.spawn_scoped(scope, f).unwrap().join().unwrap();
    });
}

#[test]
fn a_cycle_of_two_classes() {
    static A: LockClassKey = LockClassKey::new("A");
    static B: LockClassKey = LockClassKey::new("B");
    let (a, b) = (Lock::of(&A), Lock::of(&B));
    let base = line!();
    on_thread("one", || {
        let held = a.read();
        let inner = b.lock();
        b.unlock(inner);
        a.unlock(held);
    });
    let found = reports(|| {
        let held = b.read();
        let inner = a.lock();
        a.unlock(inner);
        b.unlock(held);
    });
    assert_eq!(found.len(), 1);
    let expected = "\
======================================================
WARNING: possible deadlock: circular lock dependency
------------------------------------------------------
thread `a_cycle_of_two_classes` wants to acquire:
  A (exclusive), at line+9
while it holds:
  B (shared-recursive), at line+8

the chain of dependencies, in reverse order:
-> #1 B (exclusive), wanted at line+3 by thread `one`
      while holding A (shared-recursive), acquired at line+2
-> #0 A (exclusive), wanted at line+9 by thread `a_cycle_of_two_classes`
      while holding B (shared-recursive), acquired at line+8

possible unsafe scenario:

  thread 0   thread 1
  read(B)
             read(A)
             lock(B)
  lock(A)

  *** DEADLOCK ***

1 lock held by thread `a_cycle_of_two_classes`:
 #0: B (shared-recursive), at line+8
======================================================";
    assert_eq!(text(&found[0], base), expected);
}

#[test]
fn a_cycle_of_three_classes_with_readers() {
    static INODE: LockClassKey = LockClassKey::new("inode");
    static PAGE: LockClassKey = LockClassKey::new("page");
    static QUEUE: LockClassKey = LockClassKey::new("queue");
    let (inode, page, queue) = (Lock::of(&INODE), Lock::of(&PAGE), Lock::of(&QUEUE));
    let base = line!();
    on_thread("writeback", || {
        nest_modes(&inode, Shared, &page, Exclusive);
    });
    on_thread("reclaim", || {
        nest_modes(&page, SharedRecursive, &queue, Exclusive);
    });
    let found = reports(|| {
        let outer = page.try_in(SharedRecursive);
        let held = queue.lock();
        let inner = inode.queued_read();
        inode.unlock(inner);
        queue.unlock(held);
        page.unlock(outer);
    });
    // Page is held too, and inode is taken under it: two inversions.
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].cycle.len(), 2);
    let expected = "\
======================================================
WARNING: possible deadlock: circular lock dependency
------------------------------------------------------
thread `a_cycle_of_three_classes_with_readers` wants to acquire:
  inode (shared), at line+10
while it holds:
  queue (exclusive), at line+9

the chain of dependencies, in reverse order:
-> #2 queue (exclusive), wanted at line+5 by thread `reclaim`
      while holding page (shared-recursive), acquired at line+5
-> #1 page (exclusive), wanted at line+2 by thread `writeback`
      while holding inode (shared), acquired at line+2
-> #0 inode (shared), wanted at line+10 by thread `a_cycle_of_three_classes_with_readers`
      while holding queue (exclusive), acquired at line+9

possible unsafe scenario:

  thread 0           thread 1           thread 2
  lock(queue)
                     read(inode)
                                        read(page)
                     lock(page)
                                        lock(queue)
  read(inode) (*)

  *** DEADLOCK ***
  (*) behind a writer that waits for the readers

2 locks held by thread `a_cycle_of_three_classes_with_readers`:
 #0: page (shared-recursive), at line+8
 #1: queue (exclusive), at line+9
======================================================";
    assert_eq!(text(&found[1], base), expected);
}

#[test]
fn recursion() {
    static KEY: LockClassKey = LockClassKey::new("table");
    let table = Lock::of(&KEY);
    let base = line!();
    let found = reports(|| nest(&[&table, &table]));
    assert_eq!(found.len(), 1);
    let expected = "\
======================================================
WARNING: possible deadlock: recursive locking
------------------------------------------------------
thread `recursion` wants to acquire:
  table (exclusive), at line+1
while it holds:
  table (exclusive), at line+1
it is the very lock that this thread holds, in a way that can block it

possible unsafe scenario:

  thread 0
  lock(table)
  lock(table)

  *** DEADLOCK ***

1 lock held by thread `recursion`:
 #0: table (exclusive), at line+1
======================================================";
    assert_eq!(text(&found[0], base), expected);
}
