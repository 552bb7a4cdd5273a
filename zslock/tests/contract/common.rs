//! What the tests share.

use zslock::lock_api::{
    RawRwLock, RawRwLockDowngrade, RawRwLockFair, RawRwLockUpgrade, RawRwLockUpgradeDowngrade,
    RawRwLockUpgradeFair, RwLock,
};

/// Either policy, with everything it implements without a clock.
pub(crate) trait Raw:
    RawRwLock<SharedGuard: Send>
    + RawRwLockUpgrade<UpgradableGuard: Send>
    + RawRwLockDowngrade
    + RawRwLockFair
    + RawRwLockUpgradeDowngrade
    + RawRwLockUpgradeFair
    + std::fmt::Debug
    + Send
    + Sync
    + 'static
{
    /// The lock's method of this name.
    ///
    /// # Safety
    ///
    /// That of the lock's method.
    unsafe fn try_unlock_shared_at_once(
        &self,
        guard: Self::SharedGuard,
    ) -> Result<(), Self::SharedGuard>;
}

impl<const GATED: bool> Raw for zslock::RawPolicyLock<GATED> {
    unsafe fn try_unlock_shared_at_once(
        &self,
        guard: Self::SharedGuard,
    ) -> Result<(), Self::SharedGuard> {
        // SAFETY: the caller's promise.
        unsafe { self.try_unlock_shared_at_once(guard) }
    }
}

/// Waits until the lock's `Debug` output contains `what`: how a test knows that another thread has begun to wait.
pub(crate) fn wait_until<R: Raw, T>(lock: &RwLock<R, T>, what: &str) {
    // SAFETY: only `Debug` of the raw lock is used, which looks.
    let raw = unsafe { lock.raw() };
    while !format!("{raw:?}").contains(what) {
        std::thread::yield_now();
    }
}

/// What a writer that waits can be recognised by, when nobody but readers is inside.
pub(crate) fn waiting_writer<R: Raw>() -> &'static str {
    let gated = format!("{:?}", R::INIT).starts_with("RawGated");
    if gated {
        "writer: true"
    } else {
        "writers_parked: true"
    }
}

/// Runs each test once for the plain lock and once for the gated one.
macro_rules! for_both_policies {
    ($($(#[$attr:meta])* fn $name:ident<$raw:ident>() $body:block)*) => {
        mod plain {
            $($(#[$attr])* #[test] fn $name() { super::$name::<zslock::RawZsLock>(); })*
        }
        mod gated {
            $($(#[$attr])* #[test] fn $name() { super::$name::<zslock::RawGatedZsLock>(); })*
        }
        $(fn $name<$raw: $crate::common::Raw>() $body)*
    };
}
pub(crate) use for_both_policies;
