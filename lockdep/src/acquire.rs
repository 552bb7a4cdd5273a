//! What happens at an acquisition and at a release.

use core::panic::Location;

use crate::held::HeldLock;
use crate::map::LockMap;
use crate::mode::{Attempt, Mode};

pub(crate) fn acquire(
    _map: &LockMap,
    _mode: Mode,
    _attempt: Attempt,
    _site: &'static Location<'static>,
) -> HeldLock {
    HeldLock::UNTRACKED
}

pub(crate) fn acquired(_map: &LockMap, _held: &HeldLock) {}

pub(crate) fn abandon(_map: &LockMap, _held: HeldLock) {}

pub(crate) fn release(_map: &LockMap, _held: HeldLock, _site: &'static Location<'static>) {}

pub(crate) fn upgrade(
    _map: &LockMap,
    _held: &mut HeldLock,
    _attempt: Attempt,
    _site: &'static Location<'static>,
) {
}

pub(crate) fn set_mode(_map: &LockMap, _held: &mut HeldLock, _mode: Mode) {}

pub(crate) fn force_release(_map: &LockMap, _site: &'static Location<'static>) {}

pub(crate) fn destroy(_map: &mut LockMap) {}
