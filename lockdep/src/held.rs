//! What a thread holds, oldest first.

use std::panic::Location;

use crate::chain::{ChainCache, ChainId, Link};
use crate::class::{NodeKey, Origin, Serial};
use crate::context::WaitType;
use crate::mode::{Attempt, Mode};

/// Proof of one acquisition, kept where the lock's guard is.
///
/// It is one word and may be sent with the guard. Forgetting it is safe and
/// means what forgetting the guard means: the lock stays held.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "an acquisition ends with `release` or `abandon`"]
pub struct HeldLock(pub(crate) u64);

impl HeldLock {
    /// An acquisition that the validator does not follow.
    pub(crate) const UNTRACKED: HeldLock = HeldLock(0);
    /// The lower bits count the acquisitions of a block, the upper ones are the
    /// block's index plus one. The count would have to go round (2^44
    /// acquisitions) within one hold for two holds to be confused.
    const COUNT_BITS: u32 = 44;
    pub(crate) const MAX_BLOCKS: u32 = (1 << (u64::BITS - Self::COUNT_BITS)) - 1;

    pub(crate) const fn new(block: u32, count: u64) -> HeldLock {
        HeldLock((block as u64 + 1) << Self::COUNT_BITS | (count & ((1 << Self::COUNT_BITS) - 1)))
    }

    pub(crate) const fn block(&self) -> u32 {
        (self.0 >> Self::COUNT_BITS) as u32 - 1
    }
}

/// One hold. Locks are named by numbers and never dereferenced: the lock may be
/// gone.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    pub(crate) token: u64,
    pub(crate) lock: Serial,
    pub(crate) address: usize,
    pub(crate) order: u64,
    pub(crate) node: NodeKey,
    pub(crate) origin: Origin,
    pub(crate) mode: Mode,
    pub(crate) attempt: Attempt,
    pub(crate) site: &'static Location<'static>,
    /// Guards of this mode cannot leave their thread.
    pub(crate) stays: bool,
    /// The longest wait that this hold alone allows.
    pub(crate) inner: WaitType,
    /// The longest wait that this hold and those below it allow.
    pub(crate) limit: WaitType,
    /// Names the stack up to and including this hold.
    pub(crate) chain: ChainId,
}

/// The holds of one thread.
#[derive(Debug, Default)]
pub(crate) struct HeldStack {
    holds: Vec<Held>,
}

impl HeldStack {
    #[inline]
    pub(crate) fn as_slice(&self) -> &[Held] {
        &self.holds
    }

    #[inline]
    pub(crate) fn top(&self) -> Option<&Held> {
        self.holds.last()
    }

    #[inline]
    pub(crate) fn push(&mut self, held: Held) {
        self.holds.push(held);
    }

    /// The position of a hold; searched from the newest.
    #[inline]
    pub(crate) fn find(&self, is: impl Fn(&Held) -> bool) -> Option<usize> {
        self.holds.iter().rposition(is)
    }

    /// Takes a hold out, wherever it is.
    #[inline]
    pub(crate) fn remove(&mut self, at: usize, cache: &mut ChainCache) {
        if at + 1 == self.holds.len() {
            // The usual case: released in reverse order, nothing above changes.
            self.holds.truncate(at);
        } else {
            self.holds.remove(at);
            self.rebuild(at, cache);
        }
    }

    /// Changes what a hold is to those who wait for it.
    pub(crate) fn set_mode(
        &mut self,
        at: usize,
        mode: Mode,
        inner: WaitType,
        stays: bool,
        cache: &mut ChainCache,
    ) {
        let held = &mut self.holds[at];
        held.mode = mode;
        held.inner = inner;
        held.stays = stays;
        self.rebuild(at, cache);
    }

    pub(crate) fn clear(&mut self) {
        self.holds.clear();
    }

    /// Names the chains from `at` upwards again, after something at or below
    /// `at` changed. The new links are unchecked: no acquisition happened, so
    /// there may be no edges for them (after a downgrade, for one).
    fn rebuild(&mut self, at: usize, cache: &mut ChainCache) {
        for i in at..self.holds.len() {
            let below = i.checked_sub(1).map(|below| self.holds[below]);
            let held = &mut self.holds[i];
            match below {
                None => {
                    held.chain = ChainId::single(held.node, held.mode);
                    held.limit = held.inner;
                }
                Some(below) => {
                    let link = Link::unchecked(below.chain, held.node, held.mode);
                    held.chain = cache.get_or_insert(link);
                    held.limit = held.inner.min(below.limit);
                }
            }
        }
    }
}
