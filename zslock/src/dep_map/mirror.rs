//! The items of the crate `lockdep` that annotated code names, as no-ops.

/// The way in which a lock is acquired.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Mode {
    /// One holder, no other holders of any kind.
    Exclusive,
    /// Shared; the request waits behind a queued writer.
    Shared,
    /// Shared; the request waits only for an exclusive holder.
    SharedRecursive,
    /// Shared with readers, at most one, may become exclusive; waits behind a queued writer.
    Upgradable,
    /// Like `Upgradable`, but waits only for an exclusive or upgradable holder.
    UpgradableRecursive,
}

/// Whether an acquisition waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Attempt {
    /// Waits as long as it takes.
    Block,
    /// Never waits.
    Try,
    /// Waits, but gives up.
    Timed,
}

/// Names a lock class that many locks share. Empty: there is nobody to tell.
#[derive(Debug)]
pub struct LockClassKey(());

impl LockClassKey {
    /// A key for a class called `name`.
    #[must_use]
    pub const fn new(_name: &'static str) -> Self {
        Self(())
    }
    /// Declares that exclusive holders of this class only ever *try*.
    #[must_use]
    pub const fn no_blocking_writers(self) -> Self {
        self
    }
}

/// A `&'static LockClassKey` with the given name: one class per place where the macro is written.
///
/// # Examples
///
/// ```
/// use zslock::{RawZsLock, ZsLock, lock_class_key};
///
/// let lock: ZsLock<u32> = zslock::with_class(lock_class_key!("zspage"), 1);
/// assert_eq!(*lock.read(), 1);
/// ```
#[macro_export]
#[doc(hidden)]
macro_rules! __lock_class_key {
    ($name:expr) => {{
        static KEY: $crate::lockdep::LockClassKey = $crate::lockdep::LockClassKey::new($name);
        &KEY
    }};
}
pub use crate::__lock_class_key as lock_class_key;
