//! The steps of an acquisition, for `LOCKDEP=trace` and `LOCKDEP=stat`.
//!
//! Called on cold paths only: with another mode byte than `VALIDATE` alone, and
//! later for tokens that say that they are observed.
//!
//! What is known of an acquisition or a hold is found by its token, on whatever
//! thread it ends. It is in a shard, chosen by the block that gave the token
//! out, together with the counts that it leads to: so threads meet in a shard
//! only if there are many, or when a hold ends elsewhere. No hook unwinds: they
//! are called when the lock is held, or from a drop.

mod record;

use std::panic::{AssertUnwindSafe, Location, catch_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

#[cfg(feature = "lock-api-04")]
use crate::class::Serial;
use crate::class::{NodeKey, Origin};
use crate::config::{self, STAT, TRACE};
use crate::held::HeldLock;
use crate::lock_stat::Counters;
use crate::map::LockMap;
use crate::mode::{Attempt, Mode};
use crate::{release, thread, trace};

use record::{Phase, Shard};
pub(crate) use record::{Record, Step};

/// More than the threads that run at once on most machines.
const SHARDS: usize = 64;

/// On cache lines of its own.
#[derive(Debug)]
#[repr(align(128))]
struct Slot(Mutex<Shard>);

static SLOTS: [Slot; SHARDS] = [const { Slot(Mutex::new(Shard::new())) }; SHARDS];

impl Slot {
    fn lock(&self) -> MutexGuard<'_, Shard> {
        // Nothing that runs under this lock unwinds half-way.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// All shards, locked, from before a fork until after it.
#[derive(Debug)]
pub(crate) struct Frozen {
    _shards: Vec<MutexGuard<'static, Shard>>,
}

impl Frozen {
    pub(crate) fn new() -> Frozen {
        Frozen {
            _shards: SLOTS.iter().map(Slot::lock).collect(),
        }
    }
}

/// Shows the counts of every shard to `f`.
pub(crate) fn each_shard(mut f: impl FnMut(&Counters)) {
    // `f` allocates: an allocator that locks must not come back here.
    thread::untracked(|| {
        for slot in &SLOTS {
            if let Some(counters) = &slot.lock().counters {
                f(counters);
            }
        }
    });
}

/// Takes one step on the shard of `held`, and then tells it, without the shard.
fn step(
    held: &HeldLock,
    take: impl FnOnce(&mut Shard, u64, Instant) -> Option<Step>,
    tell: impl FnOnce(&Step),
) {
    // Allocators and subscribers may lock; what they lock is not followed.
    thread::untracked(|| {
        let mode = config::mode();
        let mut shard = SLOTS[held.block() as usize % SHARDS].lock();
        if mode & STAT != 0 {
            shard.counters.get_or_insert_default();
        }
        let step = take(&mut shard, held.0, Instant::now());
        drop(shard);
        if let Some(step) = step.filter(|_| mode & TRACE != 0) {
            // The panic hook has shown the panic of a subscriber.
            let _ = catch_unwind(AssertUnwindSafe(|| tell(&step)));
        }
    });
}

/// The acquisition was validated and is on the stack; the wait comes next.
#[cold]
pub(crate) fn wanted(
    map: &LockMap,
    held: &HeldLock,
    mode: Mode,
    attempt: Attempt,
    site: &'static Location<'static>,
) {
    let ids = map.ids();
    let subclass = release::origin_of(held).map_or(0, |(_, subclass)| subclass);
    let class = ids.class;
    let begin = |shard: &mut Shard, token, now| {
        let record = Record {
            lock: ids.lock,
            node: NodeKey { class, subclass },
            origin: map.origin,
            mode,
            attempt,
            site,
            phase: Phase::Wanted(now),
            contended: None,
        };
        shard.wanted(token, record)
    };
    step(held, begin, trace::acquire);
}

/// The lock is not free: this thread will wait, for the lock or for an upgrade.
#[cold]
pub(crate) fn contended(_map: &LockMap, held: &HeldLock) {
    step(held, Shard::contended, trace::contended);
}

/// The wait is over: the lock is held, or the upgrade has succeeded.
#[cold]
pub(crate) fn acquired(_map: &LockMap, held: &HeldLock) {
    step(held, Shard::acquired, trace::acquired);
}

/// The hold is now in `mode`; after upgradable, exclusive is only wanted until
/// `acquired`.
#[cold]
pub(crate) fn changed(_map: &LockMap, held: &HeldLock, mode: Mode) {
    let change = |shard: &mut Shard, token, now| shard.changed(token, mode, now);
    step(held, change, trace::changed);
}

/// The attempt failed or was taken back; `released` is not called for it.
#[cold]
pub(crate) fn abandoned(_map: &LockMap, held: &HeldLock) {
    let tell = |step: &Step| trace::release(step, step.record.site);
    step(held, Shard::abandoned, tell);
}

/// The hold ends: on any thread, detached or not, with or without a token in
/// the caller's hands (`force_release` makes one from the stack).
#[cold]
pub(crate) fn released(_map: &LockMap, held: &HeldLock, site: &'static Location<'static>) {
    step(held, Shard::released, |step| trace::release(step, site));
}

/// The hold of a lock that the thread of `block` began ends on another thread,
/// without a token.
#[cfg(feature = "lock-api-04")]
#[cold]
pub(crate) fn ended_elsewhere(block: u32, lock: Serial) {
    let slot = &SLOTS[block as usize % SHARDS];
    let tokens = thread::untracked(|| slot.lock().tokens_of(lock));
    for held in tokens.into_iter().map(HeldLock) {
        if held.block() == block {
            let tell = |step: &Step| trace::release(step, step.record.site);
            step(&held, Shard::released, tell);
        }
    }
}

/// The lock ceases to exist; `held` if somebody still held it.
#[cold]
pub(crate) fn destroyed(map: &LockMap, held: bool) {
    let ids = map.ids();
    let lone = matches!(map.origin, Origin::Instance);
    if !held && !lone {
        return;
    }
    thread::untracked(|| {
        for slot in &SLOTS {
            let mut shard = slot.lock();
            if held {
                shard.forget(ids.lock);
            }
            if let Some(counters) = shard.counters.as_mut().filter(|_| lone) {
                counters.fold(ids.class);
            }
        }
    });
}
