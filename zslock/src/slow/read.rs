//! Readers that found a writer.

use crate::order;
use crate::park::{Deadline, Parked, Waiter, Wake};
use crate::raw::RawLock;
use crate::spin::Wait;
use crate::state::{self, ONE_READER};

use super::Queue;

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// A reader counted itself in and saw the sign: a writer, or an overflow.
    #[cold]
    #[inline(never)]
    #[track_caller]
    pub(crate) fn read_contended(&self) {
        if Self::has_overflowed(self.word.load(order::BOOKKEEPING)) {
            self.take_back_increment();
            Self::too_many_readers();
        }
        if GATED {
            self.take_back_increment();
            self.read_until(None);
        } else {
            self.await_writer();
        }
    }

    /// Plain policy: the reader is counted already, so no writer can follow the present one. Wait for it to leave.
    fn await_writer(&self) {
        let mut wait = Wait::until::<GATED>(None);
        loop {
            // Acquire: pairs with the Release of the writer's unlock or downgrade.
            let word = self.word.load(order::READ_ADMITTED);
            if state::is_read_lockable(word) {
                return;
            }
            if !wait.spin() && self.mark(word, Queue::Readers) {
                self.park_reader(&mut wait);
            }
        }
    }

    /// An increment that must not stay: it overflowed the count, or (gated) would keep the writer from draining. If everyone
    /// else has left meanwhile it is the last one counted, and those who wait, wait for this thread to say so.
    fn take_back_increment(&self) {
        // Relaxed: this increment never was a read section.
        let word = self.word.sub(ONE_READER, order::BOOKKEEPING) - ONE_READER;
        if Self::was_last_reader(word) {
            self.wake_after_readers(word, false);
        }
    }

    /// Waits for a read lock without being counted meanwhile: gated readers, and those with a deadline. `false` if the
    /// deadline passed.
    #[cold]
    #[inline(never)]
    #[track_caller]
    pub(crate) fn read_until(&self, deadline: Deadline) -> bool {
        let mut wait = Wait::until::<GATED>(deadline);
        loop {
            let word = self.word.load(order::BOOKKEEPING);
            if state::is_read_lockable(word) {
                let counted = Self::with_one_reader_more(word);
                if self.word.replace(word, counted, order::READ_WAITED).is_ok() {
                    return true;
                }
                continue;
            }
            if wait.spin() || !self.mark(word, Queue::Readers) {
                continue;
            }
            match self.park_reader(&mut wait) {
                // The wake-up orders this reader after the writer that granted it the lock.
                Parked::Woken(Wake::Granted) => return true,
                Parked::TimedOut => return false,
                Parked::Woken(Wake::Retry) | Parked::Invalid => {}
            }
        }
    }

    fn park_reader(&self, wait: &mut Wait) -> Parked {
        let is_blocked = |word| !state::is_read_lockable(word);
        self.park_on(Queue::Readers, Waiter::Reader, wait, is_blocked)
    }
}
