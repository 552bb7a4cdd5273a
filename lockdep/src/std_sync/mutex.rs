//! `std::sync::Mutex` under the validator.

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::sync::{self, LockResult, TryLockResult};

use super::{Hold, map, tried};
use crate::assert::HasLockMap;
use crate::key::LockClassKey;
use crate::map::LockMap;
use crate::mode::{Attempt, Mode};

/// [`std::sync::Mutex`], validated.
///
/// # Examples
///
/// ```
/// use lockdep::LockClassKey;
/// use lockdep::std_sync::Mutex;
///
/// static ACCOUNT: LockClassKey = LockClassKey::new("account");
///
/// static TOTAL: Mutex<u64> = Mutex::new(0);
/// let account = Mutex::with_class(&ACCOUNT, 7);
///
/// *TOTAL.lock().unwrap() += *account.lock().unwrap();
/// assert_eq!(*TOTAL.lock().unwrap(), 7);
/// ```
pub struct Mutex<T: ?Sized> {
    map: LockMap,
    inner: sync::Mutex<T>,
}

impl<T> Mutex<T> {
    /// An unlocked mutex, a class of its own.
    #[must_use]
    pub const fn new(value: T) -> Mutex<T> {
        Self::with_map(value, LockMap::instance())
    }

    /// An unlocked mutex of the class that `key` names.
    #[must_use]
    pub const fn with_class(key: &'static LockClassKey, value: T) -> Mutex<T> {
        Self::with_map(value, LockMap::with_class(key))
    }

    /// An unlocked mutex of the class of all locks created at this place.
    #[must_use]
    #[track_caller]
    pub const fn at_site(value: T) -> Mutex<T> {
        Self::with_map(value, LockMap::at_site())
    }

    const fn with_map(value: T, map: LockMap) -> Mutex<T> {
        Mutex {
            map: map.guard_stays(Mode::Exclusive),
            inner: sync::Mutex::new(value),
        }
    }

    /// Gives this mutex a number for its class's
    /// [`order_by`](LockClassKey::order_by) function.
    #[must_use]
    pub const fn with_order(mut self, order: u64) -> Mutex<T> {
        self.map.order = order;
        self
    }

    /// Consumes the mutex and returns its value.
    ///
    /// # Errors
    ///
    /// The value in a [`PoisonError`](super::PoisonError), when the mutex is
    /// poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> Mutex<T> {
    /// Locks the mutex; blocks until it is free.
    ///
    /// # Errors
    ///
    /// The guard in a [`PoisonError`](super::PoisonError), when the mutex is
    /// poisoned.
    ///
    /// # Panics
    ///
    /// With [`Policy::Panic`](crate::Policy::Panic), when the acquisition is
    /// reported; the mutex is not locked then.
    #[track_caller]
    pub fn lock(&self) -> LockResult<MutexGuard<'_, T>> {
        let hold = Hold::new(&self.map, Mode::Exclusive, Attempt::Block);
        let free = hold.unless_contended(|| self.inner.try_lock());
        let result = free.unwrap_or_else(|| self.inner.lock());
        map(result, |inner| MutexGuard {
            hold: hold.acquired(),
            inner,
        })
    }

    /// Locks the mutex if it is free; never blocks.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock), when it is locked;
    /// [`Poisoned`](super::TryLockError::Poisoned) with the guard, when it is poisoned.
    #[track_caller]
    pub fn try_lock(&self) -> TryLockResult<MutexGuard<'_, T>> {
        let result = tried(self.inner.try_lock())?;
        let hold = Hold::new(&self.map, Mode::Exclusive, Attempt::Try).acquired();
        Ok(map(result, |inner| MutexGuard { hold, inner })?)
    }

    /// Whether a thread panicked while it held the mutex.
    pub fn is_poisoned(&self) -> bool {
        self.inner.is_poisoned()
    }

    /// Declares the value sound again.
    pub fn clear_poison(&self) {
        self.inner.clear_poison();
    }

    /// The value; exclusive access needs no lock.
    ///
    /// # Errors
    ///
    /// The reference in a [`PoisonError`](super::PoisonError), when the mutex is
    /// poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.inner.get_mut()
    }
}

impl<T: ?Sized> HasLockMap for Mutex<T> {
    fn lock_map(&self) -> &LockMap {
        &self.map
    }
}

impl<T> From<T> for Mutex<T> {
    fn from(value: T) -> Mutex<T> {
        Mutex::new(value)
    }
}

impl<T: Default> Default for Mutex<T> {
    fn default() -> Mutex<T> {
        Mutex::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// [`std::sync::MutexGuard`] of a validated [`Mutex`].
#[must_use = "if unused the Mutex will immediately unlock"]
pub struct MutexGuard<'a, T: ?Sized> {
    // Before `inner`: see `Hold`.
    pub(super) hold: Hold<'a>,
    pub(super) inner: sync::MutexGuard<'a, T>,
}

impl<T: ?Sized> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for MutexGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
