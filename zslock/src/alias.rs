//! The typed locks and their guards: lock_api's types over the raw locks.

use crate::biased::RawBiasedZsLock;
use crate::lockdep::LockClassKey;
use crate::primitive::const_unless_loom;
use crate::raw::{RawGatedZsLock, RawZsLock};

/// The preemptible zspage lock: readers wait only for a writer that *holds* it, and may sleep while they hold it.
///
/// The methods are [`lock_api::RwLock`]'s. What is particular here:
///
/// - [`read`](lock_api::RwLock::read) blocks only while a writer is inside, never behind one that waits, so reads nest;
///   it panics if 2<sup>25</sup> - 1 read guards exist already. Its guard is `Send`.
/// - [`write`](lock_api::RwLock::write) blocks until no reader is inside, and can starve under a stream of readers. The
///   writer this lock is made for uses [`try_write`](lock_api::RwLock::try_write), which only looks when it fails.
/// - A write section must be short and must not sleep; its guard is not `Send`.
/// - [`upgrade`](lock_api::RwLockUpgradableReadGuard::upgrade) waits like `write`, and for ever if the same thread also
///   holds a read guard.
///
/// # Examples
///
/// ```
/// use zslock::ZsLock;
///
/// let page = ZsLock::new([0_u8; 64]);
/// let map = page.read();
/// assert!(page.try_write().is_none(), "a mapped page is not migrated");
/// let nested = page.read();
/// drop((map, nested));
/// page.try_write().expect("nobody is inside")[0] = 1;
/// assert_eq!(page.read()[0], 1);
/// ```
pub type ZsLock<T> = lock_api::RwLock<RawZsLock, T>;
/// The read guard of [`ZsLock`]: `Send`, and releasable on another thread.
pub type ZsLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawZsLock, T>;
/// The write guard of [`ZsLock`]: not `Send`.
pub type ZsLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawZsLock, T>;
/// The upgradable read guard of [`ZsLock`]: `Send`; readers are let in beside it, writers and other upgradable ones are not.
pub type ZsLockUpgradableReadGuard<'a, T> = lock_api::RwLockUpgradableReadGuard<'a, RawZsLock, T>;
/// A read guard of [`ZsLock`] narrowed to a part of the value.
pub type MappedZsLockReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawZsLock, T>;
/// A write guard of [`ZsLock`] narrowed to a part of the value.
pub type MappedZsLockWriteGuard<'a, T> = lock_api::MappedRwLockWriteGuard<'a, RawZsLock, T>;

/// The ordinary reader-writer lock of the same 4 bytes: a waiting writer closes the gate to new readers.
///
/// A writer that waits *claims* the lock as soon as no writer and no upgradable reader is in its way; new readers wait from then
/// on, and the writer follows when those inside have left. A writer that leaves grants the lock to all readers that are
/// parked before the next writer (phase-fair), so both sides wait a bounded number of sections. Write sections may sleep.
/// (Without the feature `std` nobody parks, and there is no such bound.) The price: nested reads on one thread may deadlock with a waiting writer, as in parking_lot.
///
/// `upgrade` while the same thread also holds a read guard deadlocks. `read` panics if 2<sup>25</sup> - 1 read guards exist
/// already; above half of that number writers no longer close the gate.
///
/// # Examples
///
/// ```
/// use zslock::GatedZsLock;
///
/// let lock = GatedZsLock::new(1);
/// *lock.write() += 1;
/// assert_eq!(*lock.read(), 2);
/// ```
pub type GatedZsLock<T> = lock_api::RwLock<RawGatedZsLock, T>;
/// The read guard of [`GatedZsLock`].
pub type GatedZsLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawGatedZsLock, T>;
/// The write guard of [`GatedZsLock`].
pub type GatedZsLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawGatedZsLock, T>;
/// The upgradable read guard of [`GatedZsLock`].
pub type GatedZsLockUpgradableReadGuard<'a, T> =
    lock_api::RwLockUpgradableReadGuard<'a, RawGatedZsLock, T>;
/// A read guard of [`GatedZsLock`] narrowed to a part of the value.
pub type MappedGatedZsLockReadGuard<'a, T> = lock_api::MappedRwLockReadGuard<'a, RawGatedZsLock, T>;
/// A write guard of [`GatedZsLock`] narrowed to a part of the value.
pub type MappedGatedZsLockWriteGuard<'a, T> =
    lock_api::MappedRwLockWriteGuard<'a, RawGatedZsLock, T>;

/// The zspage lock for frequent maps and rare migrations, in the same 4 bytes: readers do not count themselves, and a writer pays.
///
/// Readers wait only for a writer that *holds* the lock, as in [`ZsLock`]. When to prefer which, and where the contract
/// differs, is said at [`RawBiasedZsLock`].
///
/// # Examples
///
/// ```
/// use zslock::BiasedZsLock;
///
/// let page = BiasedZsLock::new([0_u8; 64]);
/// let map = page.read();
/// assert!(page.try_write().is_none(), "a mapped page is not migrated");
/// std::thread::scope(|scope| scope.spawn(move || drop(map)).join()).expect("no panic there");
/// page.try_write().expect("nobody is inside")[0] = 1;
/// assert_eq!(page.read()[0], 1);
/// ```
pub type BiasedZsLock<T> = lock_api::RwLock<RawBiasedZsLock, T>;
/// The read guard of [`BiasedZsLock`]: `Send`, and releasable on another thread.
pub type BiasedZsLockReadGuard<'a, T> = lock_api::RwLockReadGuard<'a, RawBiasedZsLock, T>;
/// The write guard of [`BiasedZsLock`]: not `Send`.
pub type BiasedZsLockWriteGuard<'a, T> = lock_api::RwLockWriteGuard<'a, RawBiasedZsLock, T>;
/// The upgradable read guard of [`BiasedZsLock`]: `Send`.
pub type BiasedZsLockUpgradableReadGuard<'a, T> =
    lock_api::RwLockUpgradableReadGuard<'a, RawBiasedZsLock, T>;
/// A read guard of [`BiasedZsLock`] narrowed to a part of the value.
pub type MappedBiasedZsLockReadGuard<'a, T> =
    lock_api::MappedRwLockReadGuard<'a, RawBiasedZsLock, T>;
/// A write guard of [`BiasedZsLock`] narrowed to a part of the value.
pub type MappedBiasedZsLockWriteGuard<'a, T> =
    lock_api::MappedRwLockWriteGuard<'a, RawBiasedZsLock, T>;

#[cfg(feature = "arc_lock")]
mod arc {
    use crate::biased::RawBiasedZsLock;
    use crate::raw::{RawGatedZsLock, RawZsLock};

    /// A read guard that keeps its [`ZsLock`](crate::ZsLock) alive through an `Arc`.
    pub type ArcZsLockReadGuard<T> = lock_api::ArcRwLockReadGuard<RawZsLock, T>;
    /// A write guard that keeps its [`ZsLock`](crate::ZsLock) alive through an `Arc`.
    pub type ArcZsLockWriteGuard<T> = lock_api::ArcRwLockWriteGuard<RawZsLock, T>;
    /// An upgradable read guard that keeps its [`ZsLock`](crate::ZsLock) alive through an `Arc`.
    pub type ArcZsLockUpgradableReadGuard<T> = lock_api::ArcRwLockUpgradableReadGuard<RawZsLock, T>;
    /// A read guard that keeps its [`GatedZsLock`](crate::GatedZsLock) alive through an `Arc`.
    pub type ArcGatedZsLockReadGuard<T> = lock_api::ArcRwLockReadGuard<RawGatedZsLock, T>;
    /// A write guard that keeps its [`GatedZsLock`](crate::GatedZsLock) alive through an `Arc`.
    pub type ArcGatedZsLockWriteGuard<T> = lock_api::ArcRwLockWriteGuard<RawGatedZsLock, T>;
    /// An upgradable read guard that keeps its [`GatedZsLock`](crate::GatedZsLock) alive through an `Arc`.
    pub type ArcGatedZsLockUpgradableReadGuard<T> =
        lock_api::ArcRwLockUpgradableReadGuard<RawGatedZsLock, T>;
    /// A read guard that keeps its [`BiasedZsLock`](crate::BiasedZsLock) alive through an `Arc`.
    pub type ArcBiasedZsLockReadGuard<T> = lock_api::ArcRwLockReadGuard<RawBiasedZsLock, T>;
    /// A write guard that keeps its [`BiasedZsLock`](crate::BiasedZsLock) alive through an `Arc`.
    pub type ArcBiasedZsLockWriteGuard<T> = lock_api::ArcRwLockWriteGuard<RawBiasedZsLock, T>;
    /// An upgradable read guard that keeps its [`BiasedZsLock`](crate::BiasedZsLock) alive through an `Arc`.
    pub type ArcBiasedZsLockUpgradableReadGuard<T> =
        lock_api::ArcRwLockUpgradableReadGuard<RawBiasedZsLock, T>;
}
#[cfg(feature = "arc_lock")]
pub use arc::*;

const_unless_loom! {
    /// A [`ZsLock`] of the lock class that `class` names, for the validator; see [`lockdep`](crate::lockdep).
    ///
    /// # Examples
    ///
    /// ```
    /// use zslock::{ZsLock, lock_class_key, with_class};
    ///
    /// static PAGE: ZsLock<u64> = with_class(lock_class_key!("page"), 7);
    /// assert_eq!(*PAGE.read(), 7);
    /// ```
    #[must_use]
    pub fn with_class<T>(class: &'static LockClassKey, value: T) -> ZsLock<T> {
        ZsLock::from_raw(RawZsLock::with_class(class), value)
    }
}

const_unless_loom! {
    /// A [`ZsLock`] whose lock class is the source line of the call.
    ///
    /// # Examples
    ///
    /// ```
    /// let lock = zslock::at_site(7);
    /// assert_eq!(*lock.read(), 7);
    /// ```
    #[must_use]
    #[track_caller]
    pub fn at_site<T>(value: T) -> ZsLock<T> {
        ZsLock::from_raw(RawZsLock::at_site(), value)
    }
}

const_unless_loom! {
    /// A [`GatedZsLock`] of the lock class that `class` names; see [`with_class`].
    #[must_use]
    pub fn gated_with_class<T>(class: &'static LockClassKey, value: T) -> GatedZsLock<T> {
        GatedZsLock::from_raw(RawGatedZsLock::with_class(class), value)
    }
}

const_unless_loom! {
    /// A [`GatedZsLock`] whose lock class is the source line of the call; see [`at_site`].
    #[must_use]
    #[track_caller]
    pub fn gated_at_site<T>(value: T) -> GatedZsLock<T> {
        GatedZsLock::from_raw(RawGatedZsLock::at_site(), value)
    }
}

const_unless_loom! {
    /// A [`BiasedZsLock`] of the lock class that `class` names; see [`with_class`].
    #[must_use]
    pub fn biased_with_class<T>(class: &'static LockClassKey, value: T) -> BiasedZsLock<T> {
        BiasedZsLock::from_raw(RawBiasedZsLock::with_class(class), value)
    }
}

const_unless_loom! {
    /// A [`BiasedZsLock`] whose lock class is the source line of the call; see [`at_site`].
    #[must_use]
    #[track_caller]
    pub fn biased_at_site<T>(value: T) -> BiasedZsLock<T> {
        BiasedZsLock::from_raw(RawBiasedZsLock::at_site(), value)
    }
}
