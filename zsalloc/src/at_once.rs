//! Letting go of a zspage without a pin, if its lock can tell that it is done with its word.
//!
//! A lock of lock_api has no such method, and [`Pool`](crate::Pool) takes every lock of lock_api; so this file recognises the
//! locks that have one by their type. In a release build nothing is left of the question.

use std::any::TypeId;
use std::marker::PhantomData;
use std::mem::{self, ManuallyDrop};
use std::ptr;

use lock_api::RawRwLock;
use zslock::{RawGatedZsLock, RawPolicyLock, RawZsLock};

/// Unlocks a read lock by one step, after which this thread touches the lock no more. The guard comes back, and the lock is
/// still held, if that cannot be: somebody waits, or it is another lock than zslock's. Never waits.
///
/// # Safety
///
/// As for `unlock_shared`: `guard` is from a read lock of `lock` that the caller holds. And `L: 'static`, though the compiler may
/// not know; every lock of a [`Pool`](crate::Pool) is, by the pool's invariant.
#[inline(always)]
pub(crate) unsafe fn try_unlock_shared<L: RawRwLock>(
    lock: &L,
    guard: L::SharedGuard,
) -> Result<(), L::SharedGuard> {
    // SAFETY: `L: 'static` is the caller's promise.
    let this = unsafe { type_id::<L>() };
    if this == TypeId::of::<RawZsLock>() {
        // SAFETY: that is what `L` is; the rest is the caller's promise.
        unsafe { try_unlock_as::<L, false>(lock, guard) }
    } else if this == TypeId::of::<RawGatedZsLock>() {
        // SAFETY: as above.
        unsafe { try_unlock_as::<L, true>(lock, guard) }
    } else {
        Err(guard)
    }
}

/// Whether a lock of this type is usually unlocked at once.
///
/// # Safety
///
/// `L: 'static`.
#[inline(always)]
pub(crate) unsafe fn is_usual<L>() -> bool {
    // SAFETY: the caller's promise.
    let this = unsafe { type_id::<L>() };
    this == TypeId::of::<RawZsLock>() || this == TypeId::of::<RawGatedZsLock>()
}

/// # Safety
///
/// `L` is `RawPolicyLock<GATED>`, and `guard` is from a read lock of `lock` that the caller holds.
#[inline(always)]
unsafe fn try_unlock_as<L: RawRwLock, const GATED: bool>(
    lock: &L,
    guard: L::SharedGuard,
) -> Result<(), L::SharedGuard> {
    type Guard<const GATED: bool> = <RawPolicyLock<GATED> as RawRwLock>::SharedGuard;

    // SAFETY: by the caller's promise this is the type that it points to.
    let lock = unsafe { &*ptr::from_ref(lock).cast::<RawPolicyLock<GATED>>() };
    // SAFETY: so these are one type, too; the source is not dropped.
    let guard = unsafe {
        mem::transmute_copy::<ManuallyDrop<L::SharedGuard>, Guard<GATED>>(&ManuallyDrop::new(guard))
    };
    // SAFETY: the guard of this lock.
    unsafe { lock.try_unlock_shared_at_once(guard) }.map_err(|guard| {
        // SAFETY: the same back.
        unsafe {
            mem::transmute_copy::<ManuallyDrop<Guard<GATED>>, L::SharedGuard>(&ManuallyDrop::new(
                guard,
            ))
        }
    })
}

/// What the compiler calls a `T` of which it does not know that it is `'static`.
///
/// # Safety
///
/// `T: 'static`.
#[inline(always)]
unsafe fn type_id<T>() -> TypeId {
    /// `TypeId::of` asks for the bound where it is *named*; behind a trait object it is asked of the caller, who has
    /// erased the lifetime. (The idea is that of the crate [typeid](https://docs.rs/typeid).)
    trait Named {
        fn type_id(&self) -> TypeId
        where
            Self: 'static;
    }
    impl<T> Named for PhantomData<T> {
        #[inline(always)]
        fn type_id(&self) -> TypeId
        where
            Self: 'static,
        {
            TypeId::of::<T>()
        }
    }
    let named = PhantomData::<T>;
    let named: &dyn Named = &named;
    // SAFETY: only the bound on what is behind the pointer changes, and it holds: `PhantomData<T>` is `'static` because
    // `T` is.
    let named = unsafe { mem::transmute::<&dyn Named, &(dyn Named + 'static)>(named) };
    named.type_id()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class_lock::VALIDATED;

    /// What becomes of the read lock of a new lock.
    fn is_unlocked_at_once<L: RawRwLock + 'static>(lock: &L) -> bool {
        let guard = lock.lock_shared();
        // SAFETY: the guard of the lock just taken; `L: 'static`.
        match unsafe { try_unlock_shared(lock, guard) } {
            Ok(()) => {
                assert!(!lock.is_locked(), "said to be unlocked");
                true
            }
            Err(guard) => {
                assert!(lock.is_locked(), "handed back, and not held");
                // SAFETY: as above; it is still held.
                unsafe { lock.unlock_shared(guard) };
                false
            }
        }
    }

    #[test]
    fn only_zslocks_are_unlocked_at_once() {
        // The validator has to be told first.
        assert_eq!(is_unlocked_at_once(&RawZsLock::new()), !VALIDATED);
        assert_eq!(is_unlocked_at_once(&RawGatedZsLock::new()), !VALIDATED);
        let other: parking_lot::RawRwLock = RawRwLock::INIT;
        assert!(!is_unlocked_at_once(&other));
    }
}
