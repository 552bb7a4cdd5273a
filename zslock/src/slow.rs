//! The contended paths: who waits for whom, and who wakes whom.
//!
//! | queue | who parks there | until | who wakes it |
//! |---|---|---|---|
//! | readers | readers; upgradable readers | W is clear; W and U are clear | the writer that leaves (all of them), the upgradable holder that leaves (all) |
//! | writers | writers | the lock is free (gated: claimable) | whoever frees it (one of them) |
//! | drain | the upgrader, or the gated writer with a claim | no reader is left | the last reader |
//! | starving | a writer that was woken in vain for more than a millisecond | it is given the lock | whoever frees it, taking it on the writer's behalf |

mod drain;
mod read;
mod upgradable;
mod wake;
mod write;

use crate::raw::RawPolicyLock;

/// The four queues of a lock, keyed by the four addresses of its word: no other object can have them.
#[derive(Clone, Copy)]
pub(crate) enum Queue {
    Readers = 0,
    Writers = 1,
    Drain = 2,
    Starving = 3,
}

impl<const GATED: bool> RawPolicyLock<GATED> {
    pub(crate) fn key(&self, queue: Queue) -> usize {
        (&raw const self.word).addr() + queue as usize
    }
}
