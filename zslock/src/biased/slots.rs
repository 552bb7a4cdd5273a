//! Where readers announce themselves: a few slots a thread, in memory that is never freed.
//!
//! Invariants:
//!
//! 1. A slot names the lock that is read through it, by address, or nothing (0). Only the thread that leases the slot writes an
//!    address, and only over nothing; only the holder of the guard, on whatever thread, writes nothing over it. (And the drop of a
//!    lock, over the address of a guard that was forgotten.)
//! 2. A slot names a lock for longer than a failing attempt only while that lock is biased or its bias is being revoked.
//! 3. Every store to `lock` is a Release and every load that decides anything an Acquire, so who sees any value of a slot sees
//!    what came before every earlier one: a section read through the slot is over for whoever finds another lock's name in it.

use crate::order::{self, Site};
use crate::park::{self, Parked, Waiter, Wake};
use crate::primitive::{AtomicBool, AtomicUsize, const_unless_loom, ordering};
use crate::spin::Wait;

use super::fence::{self, Fence};

/// Locks that a thread holds at the same time without counting.
const SLOTS: usize = if cfg!(zslock_loom) { 1 } else { 4 };

const NOBODY: usize = 0;

/// One place for one read guard. A cache line of its own: it is written by its thread, and read by few.
#[repr(align(64))]
pub(crate) struct Slot {
    /// The address of the lock that is read through the slot, or [`NOBODY`].
    lock: AtomicUsize,
    /// Set by a writer that waits for the slot to be released, before it parks; cleared by who wakes it.
    waiter: AtomicBool,
}

/// The slots of one thread.
pub(crate) struct Block {
    pub(super) slots: [Slot; SLOTS],
}

impl Slot {
    const_unless_loom! {
        fn new() -> Self {
            Self {
                lock: AtomicUsize::new(NOBODY),
                waiter: AtomicBool::new(false),
            }
        }
    }

    /// Announces a reader of the lock at `address`.
    #[inline]
    pub(super) fn take(&self, address: usize) {
        // Release: pairs with the scan. What was read through this slot before is over.
        self.lock.store(address, ordering(order::SLOT_TAKE));
    }

    /// Ends a read section, or an attempt at one. The lock is not touched: it may be gone as soon as the slot is empty.
    #[inline]
    pub(super) fn release(&self) {
        self.empty();
        fence::light(Fence::ReaderLeaves);
        if self.waiter.load(ordering(order::BOOKKEEPING)) {
            self.wake();
        }
    }

    /// The first half of [`release`](Self::release).
    #[inline]
    pub(super) fn empty(&self) {
        // Release: pairs with the scan of whoever writes next.
        self.lock.store(NOBODY, ordering(order::SLOT_RELEASE));
    }

    #[cold]
    #[inline(never)]
    fn wake(&self) {
        park::unpark_all(self.key(), |_| {
            // Under the queue's lock: a waiter that has not parked yet will find its announcement gone.
            self.waiter.store(false, ordering(order::BOOKKEEPING));
            Wake::Retry
        });
    }

    #[inline]
    pub(super) fn names(&self, address: usize, site: Site) -> bool {
        self.lock.load(ordering(site)) == address
    }

    /// Waits until no reader of the lock at `address` is in this slot. `false` if the deadline passed.
    pub(super) fn await_release(&self, address: usize, wait: &mut Wait) -> bool {
        loop {
            // Acquire: pairs with the Release of the reader.
            if !self.names(address, order::SLOT_SCAN) {
                return true;
            }
            if wait.spin() {
                continue;
            }
            self.waiter.store(true, ordering(order::BOOKKEEPING));
            fence::heavy(Fence::WriterAnnounces);
            // Either the reader sees the announcement, or this look sees that it has left. Parking looks at both again,
            // under the lock under which the announcement is taken back.
            let still_blocked = || {
                self.waiter.load(ordering(order::BOOKKEEPING))
                    && self.names(address, order::BOOKKEEPING)
            };
            let timed_out = |was_last| {
                if was_last {
                    self.waiter.store(false, ordering(order::BOOKKEEPING));
                }
            };
            let parked = park::park(
                self.key(),
                Waiter::Other,
                still_blocked,
                timed_out,
                wait.deadline,
            );
            wait.unparked();
            if parked == Parked::TimedOut {
                return false;
            }
        }
    }

    /// A key of the parking table that no lock has: this is the slot's own memory.
    fn key(&self) -> usize {
        (&raw const self.waiter).addr()
    }
}

impl Block {
    /// Empty slots.
    #[cfg(not(zslock_loom))]
    pub(super) const fn new() -> Self {
        Self {
            slots: [const { Slot::new() }; SLOTS],
        }
    }

    /// Empty slots.
    #[cfg(zslock_loom)]
    pub(super) fn new() -> Self {
        Self {
            slots: core::array::from_fn(|_| Slot::new()),
        }
    }

    /// A slot that nothing is read through.
    #[inline]
    pub(super) fn free_slot(&self) -> Option<&Slot> {
        // Acquire: pairs with the Release of a guard that was released on another thread. What it read is passed on by `take`.
        self.slots
            .iter()
            .find(|slot| slot.names(NOBODY, order::SLOT_LOOK))
    }
}
