//! The locks that a zspage may have, as functions for `PoolBuilder::lock_with`.

use zsalloc::lock_api::RawRwLock;
use zslock::lockdep::LockClassKey;
use zslock::{RawGatedZsLock, RawZsLock};

/// Tells lockdep that writers of these locks only ever try, as the pool does, so that nested maps are
/// fine even where readers queue behind a waiting writer.
static ZSPAGE: LockClassKey = LockClassKey::new("tested zspage").no_blocking_writers();

pub(crate) fn zslock() -> RawZsLock {
    RawZsLock::with_class(&ZSPAGE)
}

/// Each lock a lock class of its own: nested maps are fine without a declaration.
pub(crate) fn zslock_of_its_own_class() -> RawZsLock {
    RawZsLock::INIT
}

pub(crate) fn gated() -> RawGatedZsLock {
    RawGatedZsLock::with_class(&ZSPAGE)
}

/// parking_lot's lock, tracked when lockdep is on.
#[cfg(not(feature = "debug-lockdep"))]
pub(crate) type ParkingLot = parking_lot::RawRwLock<false>;
#[cfg(feature = "debug-lockdep")]
pub(crate) type ParkingLot = lockdep::Tracked<parking_lot::RawRwLock<false>>;

#[cfg(not(feature = "debug-lockdep"))]
pub(crate) fn parking_lot() -> ParkingLot {
    RawRwLock::INIT
}
#[cfg(feature = "debug-lockdep")]
pub(crate) fn parking_lot() -> ParkingLot {
    ParkingLot::with_class(RawRwLock::INIT, &ZSPAGE)
}
