//! The contended paths: who waits for whom, and who wakes whom.
//!
//! The table of the queues is in the chapter [`docs::waiting`](crate::docs::waiting).

mod drain;
mod read;
mod upgradable;
mod wake;
mod write;

use crate::order;
use crate::park::{self, Parked, Waiter};
use crate::raw::RawLock;
use crate::spin::Wait;
use crate::state::{DRAIN_PARKED, READERS_PARKED, STARVING, WRITERS_PARKED};

/// The four queues of a lock, keyed by the four addresses of its word: no other object can have them.
#[derive(Clone, Copy)]
pub(crate) enum Queue {
    Readers = 0,
    Writers = 1,
    Drain = 2,
    Starving = 3,
}

impl Queue {
    /// The bit that says that someone may be parked here.
    pub(crate) const fn bit(self) -> u32 {
        match self {
            Queue::Readers => READERS_PARKED,
            Queue::Writers => WRITERS_PARKED,
            Queue::Drain => DRAIN_PARKED,
            Queue::Starving => STARVING,
        }
    }
}

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// Sleeps in `queue`, whose bit is set, for as long as the word `is_blocked`. Comes back when woken, when the bit or the word
    /// says that there is nothing to wait for, or when the deadline has passed.
    fn park_on(
        &self,
        queue: Queue,
        waiter: Waiter,
        wait: &mut Wait,
        is_blocked: impl Fn(u32) -> bool,
    ) -> Parked {
        let still_blocked = || {
            let word = self.word.load(order::BOOKKEEPING);
            word & queue.bit() != 0 && is_blocked(word)
        };
        let timed_out = |was_last| {
            if was_last {
                self.word.clear(queue.bit());
            }
        };
        let parked = park::park(
            self.key(queue),
            waiter,
            still_blocked,
            timed_out,
            wait.deadline,
        );
        wait.unparked();
        parked
    }

    /// Sets the bit of `queue` in `word`; `false` if the word has changed meanwhile.
    fn mark(&self, word: u32, queue: Queue) -> bool {
        let marked = word | queue.bit();
        marked == word || self.word.replace(word, marked, order::BOOKKEEPING).is_ok()
    }

    /// What the lock is known by where it is named from outside: in the parking table, and in readers' slots.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        (&raw const self.word).addr()
    }

    pub(crate) fn key(&self, queue: Queue) -> usize {
        self.address() + queue as usize
    }
}
