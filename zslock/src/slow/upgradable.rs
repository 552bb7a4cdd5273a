//! Upgradable readers that found a writer or another upgradable reader.

use crate::order;
use crate::park::{self, Deadline, Parked, Waiter};
use crate::raw::RawPolicyLock;
use crate::spin::Wait;
use crate::state::{self, ONE_READER, READERS_PARKED, UPGRADABLE};

use super::Queue;

impl<const GATED: bool> RawPolicyLock<GATED> {
    /// Waits for the upgradable lock. `false` if the deadline passed.
    #[cold]
    #[inline(never)]
    pub(crate) fn upgradable_until(&self, deadline: Deadline) -> bool {
        let mut wait = Wait::until(deadline);
        loop {
            let word = self.word.load(order::BOOKKEEPING);
            if state::is_upgradable_lockable(word) {
                let entered = word | UPGRADABLE;
                if self
                    .word
                    .replace(word, entered, order::UPGRADABLE_WAITED)
                    .is_ok()
                {
                    return true;
                }
                continue;
            }
            if wait.spin() || !self.mark(word, READERS_PARKED) {
                continue;
            }
            if self.park_upgradable(&mut wait) == Parked::TimedOut {
                return false;
            }
        }
    }

    fn park_upgradable(&self, wait: &mut Wait) -> Parked {
        let still_shut_out = || {
            let word = self.word.load(order::BOOKKEEPING);
            word & READERS_PARKED != 0 && !state::is_upgradable_lockable(word)
        };
        // Among the readers, because a writer that leaves ends this wait even when readers take its place.
        let parked = park::park(
            self.key(Queue::Readers),
            Waiter::Other,
            still_shut_out,
            self.unmark_if_last(READERS_PARKED),
            wait.deadline,
        );
        wait.unparked();
        parked
    }

    /// The upgradable lock became a read lock, and `word` is what that left: wake those who waited for U, unless the count
    /// overflowed.
    #[cold]
    #[inline(never)]
    pub(crate) fn turned_into_read(&self, word: u32) -> bool {
        let fits = !state::has_overflowed(word);
        if !fits {
            // Release: this gives up the read access that the upgradable lock was.
            self.word.sub(ONE_READER, order::UPGRADABLE_OVERFLOW);
        }
        self.wake_after_upgradable(word, false);
        fits
    }
}
