//! Waking those who wait, and the small steps that all slow paths share.
//!
//! Everything here runs after the step that gave the lock up, except the gated grant, which is that step. So the lock may
//! be gone when these functions touch its word, unless its memory is type-stable or protected (contract rule 8).

use crate::order;
use crate::park::{self, Unparked, Wake};
use crate::primitive::is_broken;
use crate::raw::RawLock;
use crate::spin::LOOKS;
use crate::state::{
    self, DRAIN_PARKED, ONE_READER, READERS_PARKED, STARVING, UPGRADABLE, WRITE, WRITER,
    WRITERS_PARKED,
};

use super::Queue;

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// The last reader left `word` behind.
    #[cold]
    #[inline(never)]
    pub(crate) fn wake_after_readers(&self, word: u32, fair: bool) {
        if word & DRAIN_PARKED != 0 && self.wake_one(Queue::Drain) {
            return;
        }
        let is_free = word & (WRITER | UPGRADABLE) == 0;
        let is_promised = GATED || fair || word & STARVING != 0;
        if is_free && (is_promised || !self.is_soon_taken()) {
            self.wake_writer(word, fair);
        }
    }

    /// Plain: whether someone who is awake takes the free lock within a few looks. Then there is nobody to wake: the parked bits
    /// are still set, and whoever took it will see them on leaving.
    fn is_soon_taken(&self) -> bool {
        (0..LOOKS).any(|_| {
            core::hint::spin_loop();
            !Self::is_writer_admissible(self.word.load(order::BOOKKEEPING))
        })
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
        let end = |word| (word & READERS_PARKED == 0).then(|| word - WRITE + share);
        let left = self.word.update(order::GATED_END, end);
        let left = left.unwrap_or_else(|| self.grant_readers(share));
        if Self::is_writer_admissible(left) {
            self.wake_writer(left, fair);
        }
    }

    /// Exchanges the write lock for `share` and one reader for every parked one.
    fn grant_readers(&self, share: u32) -> u32 {
        let mut left = 0;
        park::unpark_all(self.key(Queue::Readers), |readers| {
            let omitted = is_broken("grant omitted");
            let granted = share + if omitted { 0 } else { readers * ONE_READER };
            let grant = |word| (word - WRITE + granted) & !READERS_PARKED;
            left = self.word.change(order::GATED_GRANT, grant);
            if omitted { Wake::Retry } else { Wake::Granted }
        });
        left
    }

    /// The lock became free for a writer: a starving one is given it, else one is woken (or, if `fair`, given it).
    fn wake_writer(&self, word: u32, fair: bool) {
        if word & STARVING != 0 && self.hand_over(Queue::Starving) {
            return;
        }
        if word & WRITERS_PARKED != 0 {
            if fair {
                self.hand_over(Queue::Writers);
            } else {
                self.wake_one(Queue::Writers);
            }
        }
    }

    /// Wakes the first of a queue and takes the lock on its behalf, if it still can be taken. `false` if nobody was there.
    fn hand_over(&self, queue: Queue) -> bool {
        self.unpark(queue, |unparked| {
            // A thread that is in the queue borrows the lock: it is alive, and taking it is this callback's right.
            if unparked.any && !is_broken("hand-over omitted") && self.take_for_waiter() {
                Wake::Granted
            } else {
                Wake::Retry
            }
        })
    }

    /// Takes the lock for a thread that is being woken. Relaxed: that thread will acquire.
    fn take_for_waiter(&self) -> bool {
        let take = |word| Self::is_writer_admissible(word).then_some(word | WRITE);
        self.word.update(order::BOOKKEEPING, take).is_some()
    }

    pub(crate) fn wake_one(&self, queue: Queue) -> bool {
        self.unpark(queue, |_| Wake::Retry)
    }

    fn wake_all_readers(&self) {
        park::unpark_all(self.key(Queue::Readers), |_| {
            self.word.clear(READERS_PARKED);
            Wake::Retry
        });
    }

    fn unpark(&self, queue: Queue, decide: impl FnOnce(Unparked) -> Wake) -> bool {
        let mut any = false;
        park::unpark_one(self.key(queue), |unparked| {
            any = unparked.any;
            if !unparked.more {
                self.word.clear(queue.bit());
            }
            decide(unparked)
        });
        any
    }
}
