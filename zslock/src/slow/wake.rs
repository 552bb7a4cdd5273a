//! Waking those who wait, and the small steps that all slow paths share.
//!
//! Everything here runs after the step that gave the lock up, except the gated grant, which is that step. So the lock may
//! be gone when these functions touch its word, unless its memory is type-stable or protected (contract rule 8).

use crate::order;
use crate::park::{self, Unparked, Wake};
use crate::primitive::Ordering;
use crate::raw::RawPolicyLock;
use crate::state::{
    self, DRAIN_PARKED, ONE_READER, READERS_PARKED, STARVING, UPGRADABLE, WRITE, WRITER,
    WRITERS_PARKED,
};

use super::Queue;

impl<const GATED: bool> RawPolicyLock<GATED> {
    /// The last reader left `word` behind.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_after_readers(&self, word: u32, fair: bool) {
        if word & DRAIN_PARKED != 0 && self.wake_one(Queue::Drain, DRAIN_PARKED) {
            return;
        }
        if word & (WRITER | UPGRADABLE) == 0 {
            self.wake_writer(word, fair);
        }
    }

    /// Plain: a writer has left, perhaps keeping a share of the lock, and somebody waits. Whoever has come since will
    /// do for those who still wait what this thread does not.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_after_writer(&self, fair: bool) {
        let word = self.word.load(order::BOOKKEEPING);
        if word & READERS_PARKED != 0 {
            self.wake_all_readers();
        }
        // Readers that waited hold the lock now, and the last of them will wake a writer.
        if state::is_write_lockable(word) {
            self.wake_writer(word, fair);
        }
    }

    /// The upgradable holder left `word` behind, or became the reader counted in it.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_after_upgradable(&self, word: u32, fair: bool) {
        if word & READERS_PARKED != 0 {
            self.wake_all_readers();
        }
        if Self::is_writer_admissible(word) {
            self.wake_writer(word, fair);
        }
    }

    /// Gated: gives up the write lock or the claim, keeps `share` of the lock for the caller (nothing, one reader, the
    /// upgradable lock), and grants every parked reader its share in the same step, so that no writer comes between.
    #[cold]
    #[inline(never)]
    pub(crate) fn end_gated_write(&self, share: u32, fair: bool) {
        let mut word = self.word.load(order::BOOKKEEPING);
        while word & READERS_PARKED == 0 {
            match self.word.compare_exchange_weak(
                word,
                word - WRITE + share,
                order::WRITE_UNLOCK,
                order::BOOKKEEPING,
            ) {
                Ok(_) => return self.wake_writer_if_admissible(word - WRITE + share, fair),
                Err(now) => word = now,
            }
        }
        let mut left = 0;
        park::unpark_all(self.key(Queue::Readers), |readers| {
            left = self.grant(share + readers * ONE_READER);
            Wake::Granted
        });
        self.wake_writer_if_admissible(left, fair);
    }

    /// Exchanges the write lock for `shares`; the readers' queue is locked and has been emptied.
    fn grant(&self, shares: u32) -> u32 {
        let mut word = self.word.load(order::BOOKKEEPING);
        loop {
            let granted = (word - WRITE + shares) & !READERS_PARKED;
            match self.word.compare_exchange_weak(
                word,
                granted,
                order::WRITE_UNLOCK,
                order::BOOKKEEPING,
            ) {
                Ok(_) => return granted,
                Err(now) => word = now,
            }
        }
    }

    fn wake_writer_if_admissible(&self, word: u32, fair: bool) {
        if Self::is_writer_admissible(word) {
            self.wake_writer(word, fair);
        }
    }

    /// The lock became free for a writer: a starving one is given it, else one is woken (or, if `fair`, given it).
    fn wake_writer(&self, word: u32, fair: bool) {
        if word & STARVING != 0 && self.hand_over(Queue::Starving, STARVING) {
            return;
        }
        if word & WRITERS_PARKED != 0 {
            if fair {
                self.hand_over(Queue::Writers, WRITERS_PARKED);
            } else {
                self.wake_one(Queue::Writers, WRITERS_PARKED);
            }
        }
    }

    /// Wakes the first of a queue and takes the lock on its behalf, if it still can be taken. `false` if nobody was there.
    fn hand_over(&self, queue: Queue, bit: u32) -> bool {
        self.unpark(queue, bit, |unparked| {
            // A thread that is in the queue borrows the lock: it is alive, and taking it is this callback's right.
            if unparked.any && self.take_for_waiter() {
                Wake::Granted
            } else {
                Wake::Retry
            }
        })
    }

    /// Takes the lock for a thread that is being woken. Relaxed: that thread acquires, see [`take_over`](Self::take_over).
    fn take_for_waiter(&self) -> bool {
        loop {
            let word = self.word.load(order::BOOKKEEPING);
            if !Self::is_writer_admissible(word) {
                return false;
            }
            if self.replace(word, word | WRITE, order::BOOKKEEPING) {
                return true;
            }
        }
    }

    /// What a thread does that was woken with the lock in its hands.
    pub(crate) fn take_over(&self) -> u32 {
        // Acquire: pairs with the Release of those who left; the word has only seen read-modify-writes since.
        self.word.load(order::HAND_OVER)
    }

    fn wake_one(&self, queue: Queue, bit: u32) -> bool {
        self.unpark(queue, bit, |_| Wake::Retry)
    }

    fn wake_all_readers(&self) {
        park::unpark_all(self.key(Queue::Readers), |_| {
            self.clear(READERS_PARKED);
            Wake::Retry
        });
    }

    fn unpark(&self, queue: Queue, bit: u32, decide: impl FnOnce(Unparked) -> Wake) -> bool {
        let mut any = false;
        park::unpark_one(self.key(queue), |unparked| {
            any = unparked.any;
            if !unparked.more {
                self.clear(bit);
            }
            decide(unparked)
        });
        any
    }

    /// What `park` shall do when a deadline passes, under the queue's lock.
    pub(crate) fn unmark_if_last(&self, bit: u32) -> impl FnOnce(bool) {
        move |was_last| {
            if was_last {
                self.clear(bit);
            }
        }
    }

    fn clear(&self, bit: u32) {
        self.word.fetch_and(!bit, order::BOOKKEEPING);
    }

    /// Sets a parked bit in `word`; `false` if the word has changed, or changes hands too fast to tell.
    pub(crate) fn mark(&self, word: u32, bit: u32) -> bool {
        word & bit != 0 || self.replace(word, word | bit, order::BOOKKEEPING)
    }

    pub(crate) fn replace(&self, word: u32, new: u32, success: Ordering) -> bool {
        self.word
            .compare_exchange_weak(word, new, success, order::BOOKKEEPING)
            .is_ok()
    }
}
