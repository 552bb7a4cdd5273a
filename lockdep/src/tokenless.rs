//! Finding the hold that an operation without a token is about.
//!
//! A lock that keeps no state in its guard can only say which lock, and how it
//! was held. Then the operation is about this thread's newest hold of that kind,
//! else about a detached one, else about another thread's: the guard was sent.
//! A lock that is held once, as a mutex is, has only one hold to choose. When
//! several threads read, the choice may end another thread's hold than the guard
//! began; the count of holds is right all the same. It is not when one thread
//! reads and another holds the same lock upgradably, because others do not see how
//! a hold is held: then the reader's hold may stay until the lock goes.

use std::panic::Location;
use std::sync::atomic::Ordering;

use crate::acquire;
use crate::block;
use crate::call::Call;
use crate::class::Serial;
use crate::config;
use crate::held::{Held, HeldLock};
use crate::map::LockMap;
use crate::mode::{Attempt, HoldKind};
use crate::observe;
use crate::release;
use crate::thread;

/// Where the hold is.
enum Found {
    /// On this thread's stack, or detached.
    Token(HeldLock),
    /// On another thread's stack, if anywhere.
    Elsewhere {
        /// The block of this thread.
        own: u32,
        lock: Serial,
    },
}

/// Ends a hold; does not unwind. It reports nothing: what it does not find was
/// acquired where the validator does not follow.
pub(crate) fn release(map: &LockMap, kind: HoldKind, site: &'static Location<'static>) {
    match find(map, kind) {
        Some(Found::Token(held)) => release::release(map, held, site),
        Some(Found::Elsewhere { own, lock }) => {
            end_elsewhere(own, lock, kind);
        }
        None => {}
    }
}

/// The token of a hold in the call's mode, for a change of it. A hold of another
/// thread becomes this thread's, acquired as the call says, but by a try.
#[track_caller]
pub(crate) fn adopt(map: &LockMap, call: Call) -> HeldLock {
    let kind = call.mode().hold_kind();
    match find(map, kind) {
        Some(Found::Token(held)) => held,
        Some(Found::Elsewhere { own, lock }) if end_elsewhere(own, lock, kind) => {
            let call = call.with_attempt(Attempt::Try).with_subclass(0);
            acquire::acquire(map, call)
        }
        _ => HeldLock::UNTRACKED,
    }
}

/// `None` when this thread is not followed.
fn find(map: &LockMap, kind: HoldKind) -> Option<Found> {
    if !config::validates() {
        return None;
    }
    // Relaxed: a hold of this lock was given out after it was set.
    let lock = map.serial.load(Ordering::Relaxed);
    if lock == 0 {
        return None;
    }
    let (own, stacked) = thread::with_tracked(|block, owner| {
        let own = |held: &Held| held.lock == lock && held.mode.hold_kind() == kind;
        let token = owner.held.iter().rfind(own).map(|held| held.token);
        (block.index, token)
    })?;
    let token = stacked.or_else(|| detached(map, lock));
    Some(match token {
        Some(token) => Found::Token(HeldLock(token)),
        None => Found::Elsewhere { own, lock },
    })
}

/// The token of a detached hold of the lock, of any thread.
fn detached(map: &LockMap, lock: Serial) -> Option<u64> {
    // Relaxed: who has the guard sees that it was detached.
    if map.detached.load(Ordering::Relaxed) == 0 {
        return None;
    }
    block::all().find_map(|block| {
        let mail = block.mail();
        let newest = mail.detached.iter().rev().find(|held| held.lock == lock);
        newest.map(|held| held.token)
    })
}

/// Ends the newest hold of this kind of one other thread that shows a hold of the
/// lock. Not found: it is not among the oldest of its thread, those that others
/// see.
fn end_elsewhere(own: u32, lock: Serial, kind: HoldKind) -> bool {
    let mut others = block::all().filter(|block| block.index != own);
    let holder = others.find(|block| block.end_newest(lock, kind));
    if let Some(block) = holder
        && config::observes()
    {
        observe::ended_elsewhere(block.index, lock);
    }
    holder.is_some()
}
