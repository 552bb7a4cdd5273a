//! Taking the bias back: what a writer does before it may look at the count.
//!
//! Every function here is part of one pattern. The bias is cleared and REVOKING set, by one thread, in one step; then the heavy fence;
//! then the scan. From that step on no reader enters through a slot, so what the scan finds empty stays empty, until the
//! owner of REVOKING gives it up: for the write lock, for nothing, or for the bias.

use crate::order;
use crate::park::Deadline;
use crate::primitive::is_broken;
use crate::raw::RawLock;
use crate::slow::Queue;
use crate::spin::Wait;
use crate::state::{self, BIASED as BIAS, DRAIN_PARKED, REVOKING, STARVING, WRITE, WRITERS_PARKED};

use super::fence::{self, Fence};
use super::{rebias, table};

/// The mutant that breaks invariant 1 of the module.
const SHARED: &str = "revocation is not exclusive";

/// How a blocking revocation ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Revoked {
    /// With the write lock.
    Entered,
    /// Readers are counted, or the bias was gone already: wait like everybody else.
    Retry,
    /// The deadline passed while a reader was in its slot. The bias is back.
    TimedOut,
}

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// Exclusive access to a biased lock for who holds `held` of it (nothing, or the upgradable lock), if nobody is in the way.
    /// Stores nothing if a reader is seen before the bias is touched.
    #[cold]
    #[inline(never)]
    pub(crate) fn try_revoke(&self, held: u32) -> bool {
        let is_only_biased = state::is_only_biased(self.snapshot(), held) || is_broken(SHARED);
        if !is_only_biased || table::may_have_reader(self.address()) {
            return false;
        }
        let revoke = |word| {
            let is_shared = is_broken(SHARED) && state::is_only_revoking(word, held);
            (is_shared || state::is_only_biased(word, held)).then_some((word & !BIAS) | REVOKING)
        };
        if self.word.update(order::BOOKKEEPING, revoke).is_none() {
            return false;
        }
        self.pay_for_revocation();
        if !table::has_reader(self.address()) && self.enter_revoked(held) {
            return true;
        }
        self.restore_bias();
        false
    }

    /// Revokes and waits for the readers in slots. If others are in the way then, the lock is left without bias and with the mark
    /// of `queue`, so that it is not biased again before the caller had a look at it.
    #[cold]
    #[inline(never)]
    pub(crate) fn revoke_until(&self, held: u32, queue: Queue, deadline: Deadline) -> Revoked {
        if !self.begin_revocation() {
            return Revoked::Retry;
        }
        self.pay_for_revocation();
        if !table::await_readers(self.address(), &mut Wait::until::<GATED>(deadline)) {
            self.restore_bias();
            return Revoked::TimedOut;
        }
        if self.enter_revoked(held) {
            return Revoked::Entered;
        }
        self.end_revocation(queue.bit());
        Revoked::Retry
    }

    /// Makes the caller the owner of the revocation. `false` if there is no bias.
    pub(crate) fn begin_revocation(&self) -> bool {
        let revoke = |word| state::is_biased(word).then(|| word - BIAS + REVOKING);
        self.word.update(order::BOOKKEEPING, revoke).is_some()
    }

    fn pay_for_revocation(&self) {
        let cost = rebias::cost_of(|| fence::heavy(Fence::WriterRevokes));
        rebias::inhibit(self.address(), cost);
    }

    /// The slots are empty: takes the lock, if nobody is counted.
    fn enter_revoked(&self, held: u32) -> bool {
        let enter = |word| {
            let is_shared = is_broken(SHARED) && state::is_only_biased(word, held);
            (is_shared || state::is_only_revoking(word, held))
                .then(|| ((word - held) & !(REVOKING | BIAS)) + WRITE)
        };
        // Acquire: pairs with the Release of counted readers, and of the last writer.
        self.word.update(order::REVOKED_WRITE, enter).is_some()
    }

    /// The slots are empty: leaves the lock without bias, and with the parked bit `mark`.
    pub(crate) fn end_revocation(&self, mark: u32) {
        // Release: passes on what the scan has acquired.
        let word = self
            .word
            .change(order::REVOKED, |word| (word - REVOKING) | mark);
        // Whoever parked behind this revocation waits for a reader that leaves; so this was one.
        if Self::was_last_reader(word) {
            self.wake_after_readers(word, false);
        }
    }

    /// Some slot is taken: gives the bias back. If writers have parked meanwhile, one of them has to revoke it for all.
    pub(crate) fn restore_bias(&self) {
        let restored = |word| word - REVOKING + BIAS;
        let word = self.word.change(order::BOOKKEEPING, restored);
        let parked = |bit| word & bit != 0 && !is_broken("restored bias wakes nobody");
        let _is_passed_on = parked(DRAIN_PARKED) && self.wake_one(Queue::Drain)
            || parked(STARVING) && self.wake_one(Queue::Starving)
            || parked(WRITERS_PARKED) && self.wake_one(Queue::Writers);
    }

    /// Biases the lock. To be called by a reader that is counted: until it leaves, no writer is inside.
    pub(crate) fn bias(&self) {
        // Relaxed: readers through slots acquire from the writers before this reader, whose release sequence this step continues.
        let bias = |word| {
            (state::is_biasable(word)
                || is_broken("bias though somebody waits") && !state::is_biased(word))
            .then(|| word + BIAS)
        };
        self.word.update(order::BOOKKEEPING, bias);
    }
}
