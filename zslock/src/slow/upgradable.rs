//! Upgradable readers that found a writer or another upgradable reader.

use crate::order;
use crate::park::{Deadline, Parked, Waiter};
use crate::raw::RawLock;
use crate::spin::Wait;
use crate::state::{self, ONE_READER, UPGRADABLE};

use super::Queue;

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// Waits for the upgradable lock. `false` if the deadline passed.
    #[cold]
    #[inline(never)]
    pub(crate) fn upgradable_until(&self, deadline: Deadline) -> bool {
        let mut wait = Wait::until::<GATED>(deadline);
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
            if wait.spin() || !self.mark(word, Queue::Readers) {
                continue;
            }
            // Among the readers, because a writer that leaves ends this wait even when readers take its place.
            let is_blocked = |word| !state::is_upgradable_lockable(word);
            if self.park_on(Queue::Readers, Waiter::Other, &mut wait, is_blocked)
                == Parked::TimedOut
            {
                return false;
            }
        }
    }

    /// Ends an upgradable lock whose downgrade found the count full. What it added is still in the word.
    #[cold]
    #[inline(never)]
    pub(crate) fn refuse_downgrade(&self) {
        // Release: this gives up the read access that the upgradable lock was.
        let word = self.word.sub(ONE_READER, order::UPGRADABLE_OVERFLOW) - ONE_READER;
        self.wake_after_upgradable(word, false);
        // The forgotten readers may have been given back meanwhile, and then this was the last one counted.
        if Self::was_last_reader(word) {
            self.wake_after_readers(word, false);
        }
    }
}
