//! What a thread holds, oldest first.

use std::panic::Location;

use crate::call::Call;
use crate::chain::{ChainCache, ChainId, Link};
use crate::class::{NodeKey, Origin, Serial};
use crate::context::WaitType;
use crate::mode::{Attempt, Mode};
use crate::mutation;

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
    pub(crate) const COUNT_BITS: u32 = 44;
    /// Marks an acquisition that [`observe`](crate::observe) was told of, so that
    /// the calls that follow need no look at the mode byte.
    const OBSERVED: u64 = 1 << 63;
    pub(crate) const MAX_BLOCKS: u32 = (Self::OBSERVED >> Self::COUNT_BITS) as u32 - 1;

    #[inline]
    pub(crate) const fn new(block: u32, count: u64) -> HeldLock {
        HeldLock((block as u64 + 1) << Self::COUNT_BITS | (count & ((1 << Self::COUNT_BITS) - 1)))
    }

    pub(crate) const fn observed(self) -> HeldLock {
        HeldLock(self.0 | Self::OBSERVED)
    }

    #[inline]
    pub(crate) const fn is_observed(&self) -> bool {
        self.0 & Self::OBSERVED != 0
    }

    pub(crate) const fn unobserved(self) -> u64 {
        self.0 & !Self::OBSERVED
    }

    pub(crate) const fn block(&self) -> u32 {
        ((self.0 & !Self::OBSERVED) >> Self::COUNT_BITS) as u32 - 1
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

/// A [`Held`] as it is kept: few words, because every one of them has to reach
/// memory before the lock's own atomic operation can; and one cache line.
#[derive(Clone, Copy, Debug)]
#[repr(align(64))]
pub(crate) struct Slot {
    pub(crate) token: u64,
    pub(crate) lock: Serial,
    pub(crate) address: usize,
    pub(crate) origin: Origin,
    pub(crate) site: &'static Location<'static>,
    pub(crate) chain: ChainId,
    pub(crate) how: How,
}

/// What was asked for and is held, in one word: the bits of the [`Call`], the
/// inner wait type, the limit, and the class (2^50 of which are enough).
#[derive(Clone, Copy, Debug)]
pub(crate) struct How(u64);

impl How {
    const INNER: u32 = Call::BITS;
    const LIMIT: u32 = Call::BITS + 2;
    const CLASS: u32 = Call::BITS + 4;

    #[inline]
    pub(crate) const fn new(class: Serial, call: Call, inner: u32, limit: u32) -> How {
        let low = call.bits() | inner << Self::INNER | limit << Self::LIMIT;
        How(class << Self::CLASS | low as u64)
    }

    const fn class(self) -> Serial {
        self.0 >> Self::CLASS
    }

    const fn call(self, site: &'static Location<'static>) -> Call {
        Call::from_bits(self.0 as u32 & ((1 << Call::BITS) - 1), site)
    }

    const fn inner(self) -> WaitType {
        WaitType::from_bits((self.0 >> Self::INNER) as u32)
    }

    #[inline]
    pub(crate) const fn limit_bits(self) -> u32 {
        (self.0 >> Self::LIMIT) as u32 & 0b11
    }

    pub(crate) const fn limit(self) -> WaitType {
        WaitType::from_bits(self.limit_bits())
    }
}

/// The holds of one thread.
#[derive(Debug, Default)]
pub(crate) struct HeldStack {
    slots: Vec<Slot>,
    /// The numbers of the holds that have one for their class's ordering
    /// function, by token.
    orders: Vec<(u64, u64)>,
}

impl HeldStack {
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// The holds, oldest first.
    pub(crate) fn iter(&self) -> impl DoubleEndedIterator<Item = Held> + ExactSizeIterator {
        self.slots.iter().map(|slot| self.read(slot))
    }

    pub(crate) fn get(&self, at: usize) -> Held {
        self.read(&self.slots[at])
    }

    fn read(&self, slot: &Slot) -> Held {
        let call = slot.how.call(slot.site);
        let own = |(token, _): &&(u64, u64)| *token == slot.token;
        Held {
            token: slot.token,
            lock: slot.lock,
            address: slot.address,
            order: self.orders.iter().find(own).map_or(0, |(_, order)| *order),
            node: NodeKey {
                class: slot.how.class(),
                subclass: call.subclass().unwrap_or(0),
            },
            origin: slot.origin,
            mode: call.mode(),
            attempt: call.attempt(),
            site: slot.site,
            stays: call.stays(),
            inner: slot.how.inner(),
            limit: slot.how.limit(),
            chain: slot.chain,
        }
    }

    fn slot(held: &Held) -> Slot {
        let call = Call::new(held.mode, held.attempt, held.stays, held.site);
        let call = call.with_subclass(held.node.subclass);
        Slot {
            token: held.token,
            lock: held.lock,
            address: held.address,
            origin: held.origin,
            site: held.site,
            chain: held.chain,
            how: How::new(held.node.class, call, held.inner as u32, held.limit as u32),
        }
    }

    #[inline]
    pub(crate) fn top(&self) -> Option<&Slot> {
        self.slots.last()
    }

    pub(crate) fn push(&mut self, held: Held) {
        if held.order != 0 {
            self.orders.push((held.token, held.order));
        }
        self.slots.push(Self::slot(&held));
    }

    #[inline]
    pub(crate) fn capacity(&self) -> usize {
        self.slots.capacity()
    }

    /// Adds a hold that has no number.
    #[inline]
    pub(crate) fn push_slot(&mut self, slot: Slot) {
        self.slots.push(slot);
    }

    /// Takes the newest hold off, which has no number.
    #[inline]
    pub(crate) fn pop(&mut self) {
        self.slots.pop();
    }

    /// The position of a hold; searched from the newest.
    #[inline]
    pub(crate) fn find(&self, is: impl Fn(&Slot) -> bool) -> Option<usize> {
        self.slots.iter().rposition(is)
    }

    /// Takes a hold out, wherever it is.
    pub(crate) fn remove(&mut self, at: usize, cache: &mut ChainCache) {
        self.take(at);
        if !mutation::is_broken(mutation::CHAIN_NOT_REBUILT) {
            self.rebuild(at, cache);
        }
    }

    /// Like [`remove`](Self::remove), but the chains above have to be named again
    /// by [`rebuild`](Self::rebuild).
    pub(crate) fn take(&mut self, at: usize) {
        let slot = self.slots.remove(at);
        self.orders.retain(|(token, _)| *token != slot.token);
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
        let held = Held {
            mode,
            inner,
            stays,
            ..self.get(at)
        };
        self.slots[at] = Self::slot(&held);
        if !mutation::is_broken(mutation::DOWNGRADE_NOT_RECOMPUTED) {
            self.rebuild(at, cache);
        }
    }

    pub(crate) fn clear(&mut self) {
        self.slots.clear();
        self.orders.clear();
    }

    /// Names the chains from `at` upwards again, after something at or below
    /// `at` changed. The new links are unchecked: no acquisition happened, so
    /// there may be no edges for them (after a downgrade, for one).
    pub(crate) fn rebuild(&mut self, at: usize, cache: &mut ChainCache) {
        for i in at..self.slots.len() {
            let mut held = self.get(i);
            match i.checked_sub(1).map(|below| self.slots[below]) {
                None => {
                    held.chain = ChainId::single(held.node, held.mode);
                    held.limit = held.inner;
                }
                Some(below) => {
                    let link = Link::unchecked(below.chain, held.node, held.mode);
                    held.chain = cache.get_or_insert(link);
                    held.limit = held.inner.min(below.how.limit());
                }
            }
            self.slots[i] = Self::slot(&held);
        }
    }
}
