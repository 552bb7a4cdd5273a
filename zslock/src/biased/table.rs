//! All slots of the process: leased by threads, scanned by writers, never freed.
//!
//! A lease that ends leaves the slots as they are. The next tenant sees which are taken, and leaves them alone until their guards
//! are released.

use crate::order;
use crate::primitive::{AtomicBool, AtomicUsize, ordering};
use crate::spin::Wait;

use super::slots::{Block, Slot};

/// Whether readers can do without counting at all: it takes thread-locals and `membarrier`.
const IS_SUPPORTED: bool = cfg!(zslock_loom) || cfg!(all(feature = "std", target_os = "linux"));
/// Threads that have slots at the same time; the others count. 256 KiB of zeroes, of which only what is used takes memory.
const THREADS: usize = if cfg!(zslock_loom) {
    3
} else if IS_SUPPORTED {
    1024
} else {
    0
};
struct Table {
    blocks: [Block; THREADS],
    leased: [AtomicBool; THREADS],
    /// No block from here on was ever leased: what is not worth looking at.
    used: AtomicUsize,
}

#[cfg(not(zslock_loom))]
fn table() -> &'static Table {
    static TABLE: Table = Table {
        blocks: [const { Block::new() }; THREADS],
        leased: [const { AtomicBool::new(false) }; THREADS],
        used: AtomicUsize::new(0),
    };
    &TABLE
}

/// A table for each execution. It is leaked, as loom drops its statics before the thread-locals that lease from it.
#[cfg(zslock_loom)]
fn table() -> &'static Table {
    loom::lazy_static! {
        static ref TABLE: &'static Table = Box::leak(Box::new(Table {
            blocks: core::array::from_fn(|_| Block::new()),
            leased: core::array::from_fn(|_| AtomicBool::new(false)),
            used: AtomicUsize::new(0),
        }));
    }
    *TABLE
}

/// The slots that some reader may be in.
///
/// A reader whose block is not seen here has leased it after the caller's fence, and will see what the caller did before.
fn in_use() -> impl Iterator<Item = &'static Slot> {
    let table = table();
    let used = table.used.load(ordering(order::BOOKKEEPING));
    table.blocks[..used].iter().flat_map(|block| &block.slots)
}

/// Whether some slot names the lock, seen through a look that orders nothing.
pub(super) fn may_have_reader(address: usize) -> bool {
    in_use().any(|slot| slot.names(address, order::BOOKKEEPING))
}

/// Whether some slot names the lock. If not, every section that was read through a slot happened before.
pub(super) fn has_reader(address: usize) -> bool {
    // Acquire: pairs with the Release of the readers.
    in_use().any(|slot| slot.names(address, order::SLOT_SCAN))
}

/// How many slots name the lock, seen through a look that orders nothing.
pub(super) fn count_readers(address: usize) -> usize {
    in_use()
        .filter(|slot| slot.names(address, order::BOOKKEEPING))
        .count()
}

/// Waits until no slot names the lock, of which the caller owns the revocation: no reader enters any more, so one look at
/// each slot is enough. `false` if the deadline passed.
pub(super) fn await_readers(address: usize, wait: &mut Wait) -> bool {
    in_use().all(|slot| slot.await_release(address, wait))
}

/// The lock is dropped: whoever is still named a reader of it is a guard that was forgotten.
pub(super) fn forget_readers(address: usize) {
    for slot in in_use() {
        if slot.names(address, order::SLOT_LOOK) {
            slot.release();
        }
    }
}

/// The right of a thread to take free slots of one block.
#[derive(Clone, Copy)]
#[cfg_attr(
    not(any(feature = "std", zslock_loom)),
    expect(dead_code, reason = "without thread-locals nobody has slots")
)]
pub(super) struct Lease {
    pub(super) block: &'static Block,
    leased: &'static AtomicBool,
}

#[cfg_attr(
    not(any(feature = "std", zslock_loom)),
    expect(dead_code, reason = "without thread-locals nobody has slots")
)]
impl Lease {
    /// Slots for a thread. `None` if all are leased.
    pub(super) fn begin() -> Option<Self> {
        let table = table();
        let at = table.leased.iter().position(|leased| {
            // Acquire: pairs with the end of the last lease. Which of the slots were left taken has to be seen.
            let (taken, lost) = (ordering(order::LEASE), ordering(order::BOOKKEEPING));
            leased.compare_exchange(false, true, taken, lost).is_ok()
        })?;
        // Before the first slot is taken: the fence of the reader covers both.
        table.used.fetch_max(at + 1, ordering(order::BOOKKEEPING));
        Some(Self {
            block: &table.blocks[at],
            leased: &table.leased[at],
        })
    }

    /// Slots that are taken stay taken: their guards are on other threads, or were forgotten.
    pub(super) fn end(self) {
        // Release: pairs with the next lease.
        self.leased.store(false, ordering(order::LEASE_END));
    }
}
