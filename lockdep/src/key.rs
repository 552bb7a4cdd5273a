//! Class keys: the static that names a lock class shared by many locks.

use core::cmp::Ordering;
use core::sync::atomic::AtomicU64;

use crate::context::{WaitTable, WaitType};
use crate::mode::Mode;

/// What an ordering function of a class may look at: one lock of the class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OrderKey {
    /// The address of the lock's [`LockMap`](crate::LockMap).
    pub address: usize,
    /// The number given to [`LockMap::with_order`](crate::LockMap::with_order), else 0.
    pub order: u64,
}

/// The order in which locks of one class may be nested.
///
/// Called with the held lock and the lock about to be acquired;
/// `Ordering::Less` allows the nesting.
pub type OrderFn = fn(OrderKey, OrderKey) -> Ordering;

/// Names a lock class that many locks share.
///
/// A class is what order is defined on: two locks of one class are the same to
/// the validator. A key is a `static`, usually made by
/// [`lock_class_key!`](crate::lock_class_key).
///
/// # Examples
///
/// ```
/// use lockdep::{LockClassKey, LockMap};
///
/// static INODE: LockClassKey = LockClassKey::new("inode");
/// static A: LockMap = LockMap::with_class(&INODE);
/// static B: LockMap = LockMap::with_class(&INODE);
/// ```
#[derive(Debug)]
pub struct LockClassKey {
    pub(crate) name: &'static str,
    pub(crate) wait: WaitTable,
    pub(crate) order: Option<OrderFn>,
    pub(crate) blocking_writers: bool,
    /// The serial of the class; 0 until a lock of the class is first acquired.
    pub(crate) serial: AtomicU64,
}

impl LockClassKey {
    /// A key for a class called `name`.
    ///
    /// Two keys are two classes, even with equal names.
    #[must_use]
    pub const fn new(name: &'static str) -> LockClassKey {
        LockClassKey {
            name,
            wait: WaitTable::UNDECLARED,
            order: None,
            blocking_writers: true,
            serial: AtomicU64::new(0),
        }
    }

    /// Declares the wait types of every mode, in place of the lock's own.
    #[must_use]
    pub const fn wait(mut self, outer: WaitType, inner: WaitType) -> LockClassKey {
        self.wait = self.wait.with_all(outer, inner);
        self
    }

    /// Declares the wait types of one mode, in place of the lock's own.
    #[must_use]
    pub const fn wait_for(mut self, mode: Mode, outer: WaitType, inner: WaitType) -> LockClassKey {
        self.wait = self.wait.with(mode, outer, inner);
        self
    }

    /// Allows locks of this class to be nested, in this order only.
    ///
    /// The function is asked for every pair of a held lock and a requested one,
    /// each time; it must be a strict order and must not lock anything.
    #[must_use]
    pub const fn order_by(mut self, order: OrderFn) -> LockClassKey {
        self.order = Some(order);
        self
    }

    /// Declares that exclusive holders of this class only ever *try*.
    ///
    /// Then no reader can queue behind a waiting writer, so shared holds of the
    /// class may nest even for a lock whose readers otherwise queue.
    #[must_use]
    pub const fn no_blocking_writers(mut self) -> LockClassKey {
        self.blocking_writers = false;
        self
    }

    /// The name given to [`new`](Self::new).
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

/// A `&'static LockClassKey` with the given name: one class per place where the
/// macro is written.
///
/// # Examples
///
/// ```
/// use lockdep::{LockMap, lock_class_key};
///
/// let map = LockMap::with_class(lock_class_key!("zspage"));
/// # drop(map);
/// ```
#[macro_export]
macro_rules! lock_class_key {
    ($name:expr) => {{
        static KEY: $crate::LockClassKey = $crate::LockClassKey::new($name);
        &KEY
    }};
}
