//! Classes, modes and wait types.

use core::cmp::Ordering;

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
    /// Like [`Mode::Upgradable`], but waits only for an exclusive or upgradable holder.
    UpgradableRecursive,
}

impl core::fmt::Display for Mode {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(match self {
            Mode::Exclusive => "exclusive",
            Mode::Shared => "shared",
            Mode::SharedRecursive => "shared-recursive",
            Mode::Upgradable => "upgradable",
            Mode::UpgradableRecursive => "upgradable-recursive",
        })
    }
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

/// How long a wait may take, from "does not wait" to "may sleep".
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum WaitType {
    /// Does not wait.
    Free,
    /// Spins.
    Spin,
    /// May park, but only behind a section that ends soon.
    Bounded,
    /// May sleep for any time.
    Sleep,
}

/// What an ordering function of a class may look at: one lock of the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderKey {
    /// The address of the lock's map.
    pub address: usize,
    /// The number that the lock was given, else 0.
    pub order: u64,
}

/// The order in which locks of one class may be nested.
pub type OrderFn = fn(OrderKey, OrderKey) -> Ordering;

/// Names a lock class that many locks share. Zero-sized: there is nobody to tell.
#[derive(Debug)]
pub struct LockClassKey(());

impl LockClassKey {
    /// A key for a class called `name`.
    #[must_use]
    pub const fn new(name: &'static str) -> Self {
        let _ = name;
        Self(())
    }

    /// The name given to [`new`](Self::new) is not kept: this one is empty.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        ""
    }

    /// Declares the wait types of every mode.
    #[must_use]
    pub const fn wait(self, outer: WaitType, inner: WaitType) -> Self {
        let _ = (outer, inner);
        self
    }

    /// Declares the wait types of one mode.
    #[must_use]
    pub const fn wait_for(self, mode: Mode, outer: WaitType, inner: WaitType) -> Self {
        let _ = (mode, outer, inner);
        self
    }

    /// Allows locks of this class to be nested, in this order only.
    #[must_use]
    pub const fn order_by(self, order: OrderFn) -> Self {
        let _ = order;
        self
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
/// use zslock::{ZsLock, lock_class_key};
///
/// let lock: ZsLock<u32> = zslock::with_class(lock_class_key!("zspage"), 1);
/// assert_eq!(*lock.read(), 1);
/// ```
#[doc(hidden)]
#[macro_export]
macro_rules! __lock_class_key {
    ($name:expr) => {{
        static KEY: $crate::lockdep::LockClassKey = $crate::lockdep::LockClassKey::new($name);
        &KEY
    }};
}
pub use crate::__lock_class_key as lock_class_key;
