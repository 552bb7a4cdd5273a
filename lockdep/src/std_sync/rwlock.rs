//! `std::sync::RwLock` under the validator.

use core::fmt;
use core::ops::{Deref, DerefMut};
use std::sync::{self, LockResult, TryLockResult};

use super::{Hold, map, tried};
use crate::assert::HasLockMap;
use crate::key::LockClassKey;
use crate::map::LockMap;
use crate::mode::{Attempt, Mode};

/// [`std::sync::RwLock`], validated.
///
/// Its readers may queue behind a waiting writer, so a read inside a read of the
/// same lock is reported.
///
/// # Examples
///
/// ```
/// use lockdep::std_sync::{RwLock, RwLockWriteGuard};
///
/// let table = RwLock::new(vec![1]);
/// let mut write = table.write().unwrap();
/// write.push(2);
/// let read = RwLockWriteGuard::downgrade(write);
/// assert_eq!(*read, [1, 2]);
/// ```
pub struct RwLock<T: ?Sized> {
    map: LockMap,
    inner: sync::RwLock<T>,
}

impl<T> RwLock<T> {
    /// An unlocked rwlock, a class of its own.
    #[must_use]
    pub const fn new(value: T) -> RwLock<T> {
        Self::with_map(value, LockMap::instance())
    }

    /// An unlocked rwlock of the class that `key` names.
    #[must_use]
    pub const fn with_class(key: &'static LockClassKey, value: T) -> RwLock<T> {
        Self::with_map(value, LockMap::with_class(key))
    }

    /// An unlocked rwlock of the class of all locks created at this place.
    #[must_use]
    #[track_caller]
    pub const fn at_site(value: T) -> RwLock<T> {
        Self::with_map(value, LockMap::at_site())
    }

    const fn with_map(value: T, map: LockMap) -> RwLock<T> {
        RwLock {
            map: map.guard_stays(Mode::Exclusive).guard_stays(Mode::Shared),
            inner: sync::RwLock::new(value),
        }
    }

    /// Gives this rwlock a number for its class's
    /// [`order_by`](LockClassKey::order_by) function.
    #[must_use]
    pub const fn with_order(mut self, order: u64) -> RwLock<T> {
        self.map.order = order;
        self
    }

    /// Consumes the rwlock and returns its value.
    ///
    /// # Errors
    ///
    /// The value in a [`PoisonError`](super::PoisonError), when the rwlock is
    /// poisoned.
    pub fn into_inner(self) -> LockResult<T> {
        self.inner.into_inner()
    }
}

impl<T: ?Sized> RwLock<T> {
    /// Locks for reading; blocks while a writer holds the lock, and may block
    /// while one waits.
    ///
    /// # Errors
    ///
    /// The guard in a [`PoisonError`](super::PoisonError), when the rwlock is
    /// poisoned.
    ///
    /// # Panics
    ///
    /// With [`Policy::Panic`](crate::Policy::Panic), when the acquisition is
    /// reported; the rwlock is not locked then.
    #[track_caller]
    pub fn read(&self) -> LockResult<RwLockReadGuard<'_, T>> {
        let hold = Hold::new(&self.map, Mode::Shared, Attempt::Block);
        let free = hold.unless_contended(|| self.inner.try_read());
        let result = free.unwrap_or_else(|| self.inner.read());
        map(result, |inner| RwLockReadGuard {
            hold: hold.acquired(),
            inner,
        })
    }

    /// Locks for reading if no writer is in the way; never blocks.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock), when it would wait;
    /// [`Poisoned`](super::TryLockError::Poisoned) with the guard, when it is poisoned.
    #[track_caller]
    pub fn try_read(&self) -> TryLockResult<RwLockReadGuard<'_, T>> {
        let result = tried(self.inner.try_read())?;
        let hold = Hold::new(&self.map, Mode::Shared, Attempt::Try).acquired();
        Ok(map(result, |inner| RwLockReadGuard { hold, inner })?)
    }

    /// Locks for writing; blocks while anybody holds the lock.
    ///
    /// # Errors
    ///
    /// The guard in a [`PoisonError`](super::PoisonError), when the rwlock is
    /// poisoned.
    ///
    /// # Panics
    ///
    /// With [`Policy::Panic`](crate::Policy::Panic), when the acquisition is
    /// reported; the rwlock is not locked then.
    #[track_caller]
    pub fn write(&self) -> LockResult<RwLockWriteGuard<'_, T>> {
        let hold = Hold::new(&self.map, Mode::Exclusive, Attempt::Block);
        let free = hold.unless_contended(|| self.inner.try_write());
        let result = free.unwrap_or_else(|| self.inner.write());
        map(result, |inner| RwLockWriteGuard {
            hold: hold.acquired(),
            inner,
        })
    }

    /// Locks for writing if the lock is free; never blocks.
    ///
    /// # Errors
    ///
    /// [`WouldBlock`](super::TryLockError::WouldBlock), when it is locked;
    /// [`Poisoned`](super::TryLockError::Poisoned) with the guard, when it is poisoned.
    #[track_caller]
    pub fn try_write(&self) -> TryLockResult<RwLockWriteGuard<'_, T>> {
        let result = tried(self.inner.try_write())?;
        let hold = Hold::new(&self.map, Mode::Exclusive, Attempt::Try).acquired();
        Ok(map(result, |inner| RwLockWriteGuard { hold, inner })?)
    }

    /// Whether a thread panicked while it held the lock for writing.
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
    /// The reference in a [`PoisonError`](super::PoisonError), when the rwlock
    /// is poisoned.
    pub fn get_mut(&mut self) -> LockResult<&mut T> {
        self.inner.get_mut()
    }
}

impl<T: ?Sized> HasLockMap for RwLock<T> {
    fn lock_map(&self) -> &LockMap {
        &self.map
    }
}

impl<T> From<T> for RwLock<T> {
    fn from(value: T) -> RwLock<T> {
        RwLock::new(value)
    }
}

impl<T: Default> Default for RwLock<T> {
    fn default() -> RwLock<T> {
        RwLock::new(T::default())
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLock<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

/// [`std::sync::RwLockReadGuard`] of a validated [`RwLock`].
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockReadGuard<'a, T: ?Sized> {
    // Before `inner`, for the order of drops: see `Hold`.
    #[expect(dead_code, reason = "only its drop counts")]
    hold: Hold<'a>,
    inner: sync::RwLockReadGuard<'a, T>,
}

/// [`std::sync::RwLockWriteGuard`] of a validated [`RwLock`].
#[must_use = "if unused the RwLock will immediately unlock"]
pub struct RwLockWriteGuard<'a, T: ?Sized> {
    // Before `inner`: see `Hold`.
    hold: Hold<'a>,
    inner: sync::RwLockWriteGuard<'a, T>,
}

impl<'a, T: ?Sized> RwLockWriteGuard<'a, T> {
    /// Makes the guard one for reading, without letting a writer in between.
    pub fn downgrade(guard: RwLockWriteGuard<'a, T>) -> RwLockReadGuard<'a, T> {
        let RwLockWriteGuard { mut hold, inner } = guard;
        hold.map.downgrade(&mut hold.held);
        RwLockReadGuard {
            hold,
            inner: sync::RwLockWriteGuard::downgrade(inner),
        }
    }
}

impl<T: ?Sized> Deref for RwLockReadGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> Deref for RwLockWriteGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.inner
    }
}

impl<T: ?Sized> DerefMut for RwLockWriteGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.inner
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockReadGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}

impl<T: ?Sized + fmt::Display> fmt::Display for RwLockWriteGuard<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.inner.fmt(f)
    }
}
