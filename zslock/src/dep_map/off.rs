//! The feature is off: nothing is stored, nothing is called.

use super::mirror::{Attempt, LockClassKey, Mode};

/// Nothing: the lock stays one word.
#[derive(Debug)]
pub(crate) struct DepMap;

/// Nothing: the guard stays one pointer.
#[derive(Debug)]
pub(crate) struct Held;

/// Nothing to decide.
pub(crate) struct Pending;

impl DepMap {
    /// Whether a release has to be told to the validator.
    pub(crate) const VALIDATES: bool = false;

    pub(crate) const fn instance(_gated: bool) -> Self {
        Self
    }

    pub(crate) const fn with_class(_class: &'static LockClassKey, _gated: bool) -> Self {
        Self
    }

    pub(crate) const fn at_site(_gated: bool) -> Self {
        Self
    }

    #[inline(always)]
    pub(crate) fn acquire(&self, _mode: Mode, _attempt: Attempt) -> Pending {
        Pending
    }

    #[inline(always)]
    pub(crate) fn release(&self, _held: Held) {}

    #[inline(always)]
    pub(crate) fn set_mode(&self, _held: &mut Held, _mode: Mode) {}

    #[inline(always)]
    pub(crate) fn upgrade(&self, _held: &mut Held, _attempt: Attempt) {}

    #[inline(always)]
    pub(crate) fn contended(&self, _held: &Held) {}

    #[inline(always)]
    pub(crate) fn acquired(&self, _held: &Held) {}
}

impl Pending {
    #[inline(always)]
    pub(crate) fn contended_if(&self, _is_contended: impl FnOnce() -> bool) {}

    #[inline(always)]
    pub(crate) fn acquired(self) -> Held {
        Held
    }
}
