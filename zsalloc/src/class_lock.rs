//! The pool's locks and their lock classes, plain or under lockdep. The only file that mentions the
//! feature `debug-lockdep`.
//!
//! Without the feature a `LockClassKey` is empty and everything here is parking_lot's.

use std::any::Any;

use zslock::lockdep::LockClassKey;
use zslock::{RawGatedZsLock, RawZsLock};

/// The lock class of all zspages of all pools. Its writers only ever try, so a reader of one zspage
/// may wait to read another.
static ZSPAGE: LockClassKey = LockClassKey::new("zsalloc zspage").no_blocking_writers();
/// All size classes of all pools are one lock class: no two are ever held together.
static CLASS: LockClassKey = LockClassKey::new("zsalloc class");

// The leaves: nothing is locked while one of them is held.
pub(crate) static HANDLE_TABLE: LockClassKey = LockClassKey::new("zsalloc handle table");
pub(crate) static ZSPAGE_TABLE: LockClassKey = LockClassKey::new("zsalloc zspage table");
pub(crate) static RETAINED: LockClassKey = LockClassKey::new("zsalloc retained pages");
pub(crate) static REGIONS: LockClassKey = LockClassKey::new("zsalloc regions");

#[cfg(any(zslock_loom, zsalloc_shuttle))]
pub(crate) type RawPoolMutex = crate::primitive::RawMutex;
#[cfg(not(any(feature = "debug-lockdep", zslock_loom, zsalloc_shuttle)))]
pub(crate) type RawPoolMutex = parking_lot::RawMutex;
#[cfg(all(feature = "debug-lockdep", not(any(zslock_loom, zsalloc_shuttle))))]
pub(crate) type RawPoolMutex = lockdep::Tracked<parking_lot::RawMutex>;

/// Whether the locks are under the validator.
#[cfg(test)]
pub(crate) const VALIDATED: bool = cfg!(feature = "debug-lockdep");

/// The lock of a size class, or a leaf.
pub(crate) type PoolMutex<T> = lock_api::Mutex<RawPoolMutex, T>;

#[cfg(any(zslock_loom, zsalloc_shuttle))]
fn raw_mutex(_: &'static LockClassKey) -> RawPoolMutex {
    RawPoolMutex::new()
}
#[cfg(not(any(feature = "debug-lockdep", zslock_loom, zsalloc_shuttle)))]
fn raw_mutex(_: &'static LockClassKey) -> RawPoolMutex {
    <RawPoolMutex as lock_api::RawMutex>::INIT
}
#[cfg(all(feature = "debug-lockdep", not(any(zslock_loom, zsalloc_shuttle))))]
fn raw_mutex(key: &'static LockClassKey) -> RawPoolMutex {
    lockdep::Tracked::with_class(<parking_lot::RawMutex as lock_api::RawMutex>::INIT, key)
}

/// The lock of a zspage, unless the builder is given another.
pub(crate) fn zspage_lock() -> RawZsLock {
    RawZsLock::with_class(&ZSPAGE)
}

/// Takes this thread's hold of a zspage lock off what lockdep thinks it holds. Any `L` may be the lock,
/// and most have nothing to do with lockdep; this knows zslock's, and parking_lot's in
/// `lockdep::Tracked`.
pub(crate) fn detach<L: 'static>(lock: &L) {
    let lock: &dyn Any = lock;
    if let Some(lock) = lock.downcast_ref::<RawZsLock>() {
        zslock::lockdep::detach(lock);
    } else if let Some(lock) = lock.downcast_ref::<RawGatedZsLock>() {
        zslock::lockdep::detach(lock);
    }
    #[cfg(feature = "debug-lockdep")]
    detach_tracked(lock);
}

#[cfg(feature = "debug-lockdep")]
fn detach_tracked(lock: &dyn Any) {
    use lockdep::{LockKind, Queued, RecursiveReaders, Tracked};

    fn of<R: 'static, K: LockKind>(lock: &dyn Any) {
        if let Some(lock) = lock.downcast_ref::<Tracked<R, K>>() {
            lockdep::detach(lock);
        }
    }
    of::<parking_lot::RawRwLock<false>, Queued>(lock);
    of::<parking_lot::RawRwLock<false>, RecursiveReaders>(lock);
    of::<parking_lot::RawRwLock<true>, Queued>(lock);
    of::<parking_lot::RawRwLock<true>, RecursiveReaders>(lock);
}

/// The lock of a size class.
pub(crate) fn class_mutex<T>(value: T) -> PoolMutex<T> {
    PoolMutex::from_raw(raw_mutex(&CLASS), value)
}

/// A leaf.
pub(crate) fn leaf_mutex<T>(key: &'static LockClassKey, value: T) -> PoolMutex<T> {
    PoolMutex::from_raw(raw_mutex(key), value)
}
