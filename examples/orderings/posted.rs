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
    /// `atomic_try_cmpxchg`: a successful read-modify-write that returns a value is fully ordered in the kernel.
    fn try_change(&self, old: i32, new: i32) -> bool {
        let changed = self
            .lock
            .compare_exchange(old, new, Ordering::AcqRel, Ordering::Relaxed);
        changed.is_ok()
    }
}

fn model(reader_unlock: Ordering) {
    let zspage = Arc::new(Zspage {
        lock: AtomicI32::new(0),
        object: Object::new(),
    });
    let migrated = Arc::clone(&zspage);
    let migrator = thread::spawn(move || {
        if migrated.try_change(0, WRITE_LOCKED) {
            step("migrator", "locks for writing:  0 -> -1  (fully ordered)");
            migrated.object.migrate();
            migrated.lock.store(0, Ordering::Release);
            step("migrator", "unlocks:           -1 ->  0  (release)");
        }
    });
    if zspage.try_change(0, 1) {
        step("reader", "locks for reading:  0 ->  1  (fully ordered)");
        zspage.object.read();
        zspage.lock.fetch_sub(1, reader_unlock);
        let order = if reader_unlock == Ordering::Relaxed {
            "relaxed"
        } else {
            "release"
        };
        step("reader", format!("unlocks:            1 ->  0  ({order})"));
    }
    migrator.join().unwrap();
}

/// `atomic_dec` returns nothing, and so orders nothing.
pub(crate) fn as_posted() {
    model(Ordering::Relaxed);
}

/// `atomic_dec_return_release`, or here: Release.
pub(crate) fn fixed() {
    model(Ordering::Release);
}
