//! What a thread holds.

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
}
