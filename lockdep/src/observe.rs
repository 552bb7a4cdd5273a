//! The steps of an acquisition, for `LOCKDEP=trace` and `LOCKDEP=stat`.
//!
//! Called on cold paths only: with another mode byte than `VALIDATE` alone, and
//! later for tokens that say that they are observed.

use std::panic::Location;

use crate::held::HeldLock;
use crate::map::LockMap;
use crate::mode::{Attempt, Mode};

/// The acquisition was validated and is on the stack; the wait comes next.
#[cold]
pub(crate) fn wanted(
    map: &LockMap,
    held: &HeldLock,
    mode: Mode,
    attempt: Attempt,
    site: &'static Location<'static>,
) {
    let _ = (map, held, mode, attempt, site);
}

/// The lock is not free: this thread will wait, for the lock or for an upgrade.
#[cold]
pub(crate) fn contended(map: &LockMap, held: &HeldLock) {
    let _ = (map, held);
}

/// The wait is over: the lock is held, or the upgrade has succeeded.
#[cold]
pub(crate) fn acquired(map: &LockMap, held: &HeldLock) {
    let _ = (map, held);
}

/// The hold is now in `mode`; from upgradable to exclusive also before the wait.
#[cold]
pub(crate) fn changed(map: &LockMap, held: &HeldLock, mode: Mode) {
    let _ = (map, held, mode);
}

/// The attempt failed or was taken back; `released` is not called for it.
#[cold]
pub(crate) fn abandoned(map: &LockMap, held: &HeldLock) {
    let _ = (map, held);
}

/// The hold ends: on any thread, detached or not, with or without a token in
/// the caller's hands (`force_release` makes one from the stack).
#[cold]
pub(crate) fn released(map: &LockMap, held: &HeldLock, site: &'static Location<'static>) {
    let _ = (map, held, site);
}

/// The lock ceases to exist; `held` if somebody still held it.
#[cold]
pub(crate) fn destroyed(map: &LockMap, held: bool) {
    let _ = (map, held);
}
