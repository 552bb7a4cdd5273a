//! Writers that found somebody.

use crate::biased::Revoked;
use crate::order;
use crate::park::{Deadline, Parked, Waiter, Wake};
use crate::raw::RawLock;
use crate::spin::Wait;
use crate::state::{self, WRITE, WRITERS_PARKED};

use super::Queue;

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// Waits for the write lock. `false` if the deadline passed.
    #[cold]
    #[inline(never)]
    pub(crate) fn write_until(&self, deadline: Deadline) -> bool {
        let mut wait = Wait::until::<GATED>(deadline);
        loop {
            let word = self.word.load(order::BOOKKEEPING);
            if Self::is_writer_admissible(word) {
                if self
                    .word
                    .replace(word, word | WRITE, order::WRITE_WAITED)
                    .is_ok()
                {
                    return self.has_entered(word) || self.drain_claim(deadline);
                }
                continue;
            }
            if Self::is_biased(word) {
                match self.revoke_until(0, Queue::Writers, deadline) {
                    Revoked::Entered => return true,
                    Revoked::TimedOut => return false,
                    Revoked::Retry => continue,
                }
            }
            if !GATED && word & WRITERS_PARKED == 0 {
                // Before spinning: now the last reader that leaves looks for writers, and the lock stays free for as long as
                // that takes. Else a reader that locks again at once leaves a gap that a spinning writer hardly ever hits.
                self.mark(word, Queue::Writers);
                continue;
            }
            if wait.spin() {
                continue;
            }
            let queue = if wait.is_starving() {
                Queue::Starving
            } else {
                Queue::Writers
            };
            if !self.mark(word, queue) {
                continue;
            }
            // A bias blocks as well, but nobody would wake this thread: it has to revoke.
            let is_blocked = |word| !(Self::is_writer_admissible(word) || Self::is_biased(word));
            match self.park_on(queue, Waiter::Other, &mut wait, is_blocked) {
                Parked::Woken(Wake::Granted) => {
                    // Acquire: pairs with the Release of readers that left before the one that handed over.
                    let word = self.word.load(order::HANDED_OVER);
                    return self.has_entered(word) || self.drain_claim(deadline);
                }
                Parked::TimedOut => return false,
                Parked::Woken(Wake::Retry) | Parked::Invalid => {}
            }
        }
    }

    /// Whether a writer that has set S and W, and found `word`, holds the lock. A plain writer does: what is counted under it
    /// are readers that wait. A gated one has made its claim, and holds when the readers inside have left.
    fn has_entered(&self, word: u32) -> bool {
        !GATED || state::is_drained(word)
    }
}
