//! Waiting for the readers to leave: the gated writer with a claim, and the upgrader of either policy.

use crate::biased::Revoked;
use crate::order;
use crate::park::{Deadline, Parked, Waiter};
use crate::raw::RawLock;
use crate::spin::Wait;
use crate::state::{self, UPGRADABLE, WRITE};

use super::Queue;

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// Gated: the claim is made, no reader enters any more; wait for those inside. If the deadline passes, the claim is
    /// given up (which lets the readers and another writer in) and the answer is `false`.
    pub(crate) fn drain_claim(&self, deadline: Deadline) -> bool {
        let drained = self.await_drain(deadline);
        if !drained {
            self.end_gated_write(0, false);
        }
        drained
    }

    fn await_drain(&self, deadline: Deadline) -> bool {
        let mut wait = Wait::until::<GATED>(deadline);
        loop {
            // Acquire: pairs with the Release of the readers' unlocks.
            let word = self.word.load(order::DRAINED);
            if state::is_drained(word) {
                return true;
            }
            if wait.spin() || !self.mark(word, Queue::Drain) {
                continue;
            }
            let is_blocked = |word| !state::is_drained(word);
            if self.park_on(Queue::Drain, Waiter::Other, &mut wait, is_blocked) == Parked::TimedOut
            {
                return false;
            }
        }
    }

    /// Turns the upgradable lock into the write lock. `false` if the deadline passed: the caller still has its
    /// upgradable lock. Plain: readers keep coming while it waits. Gated: it claims first and then drains.
    #[cold]
    #[inline(never)]
    pub(crate) fn upgrade_until(&self, deadline: Deadline) -> bool {
        let mut wait = Wait::until::<GATED>(deadline);
        loop {
            let word = self.word.load(order::BOOKKEEPING);
            if Self::is_upgrade_admissible(word) {
                let upgraded = word - UPGRADABLE + WRITE;
                if self
                    .word
                    .replace(word, upgraded, order::UPGRADE_WAITED)
                    .is_ok()
                {
                    return state::is_drained(word) || self.drain_upgrade(deadline);
                }
                continue;
            }
            if Self::is_biased(word) {
                match self.revoke_until(UPGRADABLE, Queue::Drain, deadline) {
                    Revoked::Entered => return true,
                    Revoked::TimedOut => return false,
                    Revoked::Retry => continue,
                }
            }
            if wait.spin() || !self.mark(word, Queue::Drain) {
                continue;
            }
            // As in `write_until`: who meets a bias must not sleep.
            let is_blocked = |word| !(Self::is_upgrade_admissible(word) || Self::is_biased(word));
            if self.park_on(Queue::Drain, Waiter::Other, &mut wait, is_blocked) == Parked::TimedOut
            {
                return false;
            }
        }
    }

    fn drain_upgrade(&self, deadline: Deadline) -> bool {
        let drained = self.await_drain(deadline);
        if !drained {
            self.end_gated_write(UPGRADABLE, false);
        }
        drained
    }

    const fn is_upgrade_admissible(word: u32) -> bool {
        if GATED {
            state::is_upgrade_claimable(word)
        } else {
            state::is_upgradable_alone(word)
        }
    }
}
