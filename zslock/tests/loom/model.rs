//! What the models share: bounds, and data that loom watches.

use loom::cell::UnsafeCell;
use loom::sync::Arc;
use std::time::{Duration, Instant};
use zslock::lock_api::{
    RawRwLockUpgradeDowngrade, RawRwLockUpgradeFair, RawRwLockUpgradeTimed, RwLock,
};
use zslock::{RawBiasedZsLock, RawPolicyLock};

/// Explores `body` with at most `preemptions` preemptions in an execution.
pub(crate) fn check(preemptions: usize, body: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    let bound = std::env::var("ZSLOCK_LOOM_PREEMPTIONS").map(|v| v.parse().expect("a number"));
    builder.preemption_bound = Some(bound.unwrap_or(preemptions));
    builder.check(body);
}

/// A raw lock that can be made under loom, where `RawRwLock::INIT` cannot be const.
pub(crate) trait Raw:
    RawRwLockUpgradeDowngrade
    + RawRwLockUpgradeTimed<Duration = Duration, Instant = Instant>
    + RawRwLockUpgradeFair
    + Send
    + Sync
    + 'static
{
    fn make() -> Self;
    /// Counts readers in whose guards were forgotten.
    fn forget_readers(&self, n: u32);
    /// Counts them out again.
    fn remember_readers(&self, n: u32);
    /// The lock's method of this name.
    ///
    /// # Safety
    ///
    /// That of the lock's method.
    unsafe fn try_unlock_shared_at_once(
        &self,
        guard: Self::SharedGuard,
    ) -> Result<(), Self::SharedGuard>;
    /// The memory of the lock is given to something else.
    fn memory_is_freed(&self);
}

impl Raw for RawBiasedZsLock {
    /// Biased, so that its readers use slots.
    fn make() -> Self {
        Self::biased()
    }
    fn forget_readers(&self, n: u32) {
        self.forget_readers(n);
    }
    fn remember_readers(&self, n: u32) {
        self.remember_readers(n);
    }
    unsafe fn try_unlock_shared_at_once(
        &self,
        guard: Self::SharedGuard,
    ) -> Result<(), Self::SharedGuard> {
        // SAFETY: the caller's promise.
        unsafe { self.try_unlock_shared_at_once(guard) }
    }
    fn memory_is_freed(&self) {
        self.memory_is_freed();
    }
}

impl<const GATED: bool> Raw for RawPolicyLock<GATED> {
    fn make() -> Self {
        Self::new()
    }
    fn forget_readers(&self, n: u32) {
        self.forget_readers(n);
    }
    fn remember_readers(&self, n: u32) {
        self.remember_readers(n);
    }
    unsafe fn try_unlock_shared_at_once(
        &self,
        guard: Self::SharedGuard,
    ) -> Result<(), Self::SharedGuard> {
        // SAFETY: the caller's promise.
        unsafe { self.try_unlock_shared_at_once(guard) }
    }
    fn memory_is_freed(&self) {
        self.memory_is_freed();
    }
}

/// A number that loom watches: an access that is not ordered after the last conflicting one fails the model.
pub(crate) struct Watched(UnsafeCell<usize>);

// SAFETY: the lock around it is what the models put to the test; loom itself reports any access that is not ordered.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

impl Watched {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(0))
    }

    pub(crate) fn get(&self) -> usize {
        // SAFETY: loom checks that no write is concurrent.
        self.0.with(|value| unsafe { *value })
    }

    pub(crate) fn add(&self, n: usize) {
        // SAFETY: loom checks that no access is concurrent.
        self.0.with_mut(|value| unsafe { *value += n });
    }
}

pub(crate) type Lock<R> = RwLock<R, Watched>;

pub(crate) fn lock<R: Raw>() -> Arc<Lock<R>> {
    Arc::new(RwLock::from_raw(R::make(), Watched::new()))
}

/// Defines each model once for the plain lock, once for the gated one, and once for the biased one under its bias.
macro_rules! for_every_lock {
    ($($(#[$attr:meta])* fn $name:ident<$raw:ident>() $body:block)*) => {
        $crate::model::for_both_policies! { $($(#[$attr])* fn $name<$raw>() $body)* }
        mod biased {
            $($(#[$attr])* #[test] fn $name() { super::$name::<zslock::RawBiasedZsLock>(); })*
        }
    };
}
pub(crate) use for_every_lock;

/// Defines each model once for the plain lock and once for the gated one.
macro_rules! for_both_policies {
    ($($(#[$attr:meta])* fn $name:ident<$raw:ident>() $body:block)*) => {
        mod plain {
            $($(#[$attr])* #[test] fn $name() { super::$name::<zslock::RawZsLock>(); })*
        }
        mod gated {
            $($(#[$attr])* #[test] fn $name() { super::$name::<zslock::RawGatedZsLock>(); })*
        }
        $(fn $name<$raw: $crate::model::Raw>() $body)*
    };
}
pub(crate) use for_both_policies;
