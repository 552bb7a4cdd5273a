//! What the tests share.

use zslock::lock_api::{
    RawRwLock, RawRwLockDowngrade, RawRwLockFair, RawRwLockUpgrade, RawRwLockUpgradeDowngrade,
    RawRwLockUpgradeFair, RwLock,
};

/// Any of the locks, with everything it implements without a clock.
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
    /// Brings a new lock into the state in which it is to be tested.
    fn prepare(&self) {}

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

impl Raw for zslock::RawBiasedZsLock {
    /// Where nothing can be biased its readers are counted, and the contract holds as well.
    fn prepare(&self) {
        if !cfg!(all(feature = "std", target_os = "linux")) {
            return;
        }
        for _ in 0..ATTEMPTS_TO_BIAS {
            for _ in 0..READS_THAT_BIAS {
                let guard = self.lock_shared();
                // SAFETY: the guard of the lock just taken.
                unsafe { self.unlock_shared(guard) };
            }
            if format!("{self:?}").contains(" biased: true") {
                break;
            }
        }
    }

    unsafe fn try_unlock_shared_at_once(
        &self,
        guard: Self::SharedGuard,
    ) -> Result<(), Self::SharedGuard> {
        // SAFETY: the caller's promise.
        unsafe { self.try_unlock_shared_at_once(guard) }
    }
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

/// Counted reads of one thread of which one tries to bias the lock.
const READS_THAT_BIAS: usize = 64;
/// Not before a revocation is earned back, though it was that of another lock at the same place.
const ATTEMPTS_TO_BIAS: usize = 10_000;

/// A lock to be tested.
pub(crate) fn fresh<R: Raw, T>(value: T) -> RwLock<R, T> {
    let lock = RwLock::<R, T>::new(value);
    // SAFETY: what `prepare` locks it unlocks.
    unsafe { lock.raw() }.prepare();
    lock
}

/// Waits until the lock's `Debug` output contains `what`: how a test knows that another thread has begun to wait.
pub(crate) fn wait_until<R: Raw, T>(lock: &RwLock<R, T>, what: &str) {
    // SAFETY: only `Debug` of the raw lock is used, which looks.
    let raw = unsafe { lock.raw() };
    // A writer or upgrader that waits for a biased reader shows as this instead.
    let or = if what.starts_with("readers") {
        what
    } else {
        "revoking: true"
    };
    loop {
        let state = format!("{raw:?}");
        if state.contains(what) || state.contains(or) {
            break;
        }
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

/// Runs each test once for the plain lock, once for the gated one, and once for the biased one under a bias.
macro_rules! for_every_lock {
    ($($(#[$attr:meta])* fn $name:ident<$raw:ident>() $body:block)*) => {
        $crate::common::for_both_policies! { $($(#[$attr])* fn $name<$raw>() $body)* }
        mod biased {
            $($(#[$attr])* #[test] fn $name() { super::$name::<zslock::RawBiasedZsLock>(); })*
        }
    };
}
pub(crate) use for_every_lock;

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
