//! The lock of "zsmalloc: make zspage lock preemptible" as it was posted (LKML, February 2025): an atomic, -1 when
//! write-locked, else the number of readers.

use loom::sync::Arc;
use loom::sync::atomic::{AtomicI32, Ordering};
use loom::thread;

use crate::explore::{Object, step};

const WRITE_LOCKED: i32 = -1;

struct Zspage {
    lock: AtomicI32,
    object: Object,
}

impl Zspage {
    /// `atomic_try_cmpxchg`: a successful read-modify-write that returns a value is fully ordered in the kernel, unless it says
    /// `_relaxed`.
    fn try_change(&self, old: i32, new: i32, order: Ordering) -> bool {
        let changed = self
            .lock
            .compare_exchange(old, new, order, Ordering::Relaxed);
        changed.is_ok()
    }
}

fn model(reader_unlock: Ordering, migrator_lock: Ordering) {
    let zspage = Arc::new(Zspage {
        lock: AtomicI32::new(0),
        object: Object::new(),
    });
    let migrated = Arc::clone(&zspage);
    let migrator = thread::spawn(move || {
        if migrated.try_change(0, WRITE_LOCKED, migrator_lock) {
            let order = name(migrator_lock);
            step(
                "migrator",
                format!("locks for writing:  0 -> -1  ({order})"),
            );
            migrated.object.migrate();
            migrated.lock.store(0, Ordering::Release);
            step("migrator", "unlocks:           -1 ->  0  (release)");
        }
    });
    if zspage.try_change(0, 1, Ordering::AcqRel) {
        step("reader", "locks for reading:  0 ->  1  (fully ordered)");
        zspage.object.read();
        zspage.lock.fetch_sub(1, reader_unlock);
        let order = name(reader_unlock);
        step("reader", format!("unlocks:            1 ->  0  ({order})"));
    }
    migrator.join().unwrap();
}

fn name(order: Ordering) -> &'static str {
    match order {
        Ordering::Relaxed => "relaxed",
        Ordering::Release => "release",
        _ => "fully ordered",
    }
}

/// `atomic_dec` returns nothing, and so orders nothing.
pub(crate) fn as_posted() {
    model(Ordering::Relaxed, Ordering::AcqRel);
}

/// `atomic_dec_return_release`, or here: Release.
pub(crate) fn fixed() {
    model(Ordering::Release, Ordering::AcqRel);
}

/// What the thread was afraid of: a lock operation of the migrator that does not ACQUIRE.
pub(crate) fn without_acquire() {
    model(Ordering::Release, Ordering::Relaxed);
}
