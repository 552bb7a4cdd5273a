//! A run-time lock-order validator for any `lock_api` lock.

mod acquire;
mod context;
mod held;
mod key;
mod map;
mod mode;
mod report;

pub use context::WaitType;
pub use held::HeldLock;
pub use key::{LockClassKey, OrderFn, OrderKey};
pub use map::LockMap;
pub use mode::{Attempt, Mode};
pub use report::{Policy, ReportKind};

/// A lock that carries a [`LockMap`].
///
/// A raw lock implements it to make `assert_held!` and its kin work on every
/// `lock_api` lock over it.
pub trait HasLockMap {
    /// The map of this lock.
    fn lock_map(&self) -> &LockMap;
}
