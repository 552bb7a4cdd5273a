//! A mutex and a reader-writer lock, tracked or not, behind one trait.

use lockdep::LockClassKey;
use lockdep::lock_api;
use lockdep::lock_api::{RawMutex as _, RawRwLock as _};

/// The locks of one library.
///
/// Sections are closures, so that a family needs no guard types; they are inlined away.
pub trait Family: 'static {
    /// The mutex, around a `u64`.
    type Mutex: Send + Sync + 'static;
    /// The reader-writer lock, around a `u64`.
    type RwLock: Send + Sync + 'static;

    /// Whatever the library wants done before its first lock.
    fn start() {}

    /// An unlocked mutex. `class` is what it shares with others, where the library knows classes; without one the mutex
    /// is a class of its own.
    fn mutex(class: Option<&'static LockClassKey>) -> Self::Mutex;

    /// An unlocked reader-writer lock.
    fn rwlock() -> Self::RwLock;

    /// Runs `section` with the mutex locked.
    fn lock<R>(mutex: &Self::Mutex, section: impl FnOnce(&mut u64) -> R) -> R;

    /// Runs `section` with the reader-writer lock read-locked.
    fn read<R>(rwlock: &Self::RwLock, section: impl FnOnce(u64) -> R) -> R;
}

/// A family from two types with `lock` and `read`, and expressions that make such locks.
macro_rules! family {
    (
        $(#[$doc:meta])* $family:ident, $mutex:ty, $rwlock:ty, |$class:pat_param| $new_mutex:expr, $new_rwlock:expr
        $(, start: $start:expr)?
    ) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug)]
        pub struct $family;

        impl Family for $family {
            type Mutex = $mutex;
            type RwLock = $rwlock;

            $(fn start() {
                $start
            })?

            fn mutex($class: Option<&'static LockClassKey>) -> Self::Mutex {
                $new_mutex
            }

            fn rwlock() -> Self::RwLock {
                $new_rwlock
            }

            #[inline]
            fn lock<R>(mutex: &Self::Mutex, section: impl FnOnce(&mut u64) -> R) -> R {
                section(&mut mutex.lock())
            }

            #[inline]
            fn read<R>(rwlock: &Self::RwLock, section: impl FnOnce(u64) -> R) -> R {
                section(*rwlock.read())
            }
        }
    };
}

family!(
    /// What lockdep's mutex and reader-writer lock are made of.
    ParkingLot, parking_lot::Mutex<u64>, parking_lot::RwLock<u64>,
    |_| parking_lot::Mutex::new(0), parking_lot::RwLock::new(0)
);
family!(
    /// What the other validators are made of; with the feature `deadlock-detection`, with its detector.
    ParkingLot012, parking_lot_0_12::Mutex<u64>, parking_lot_0_12::RwLock<u64>,
    |_| parking_lot_0_12::Mutex::new(0), parking_lot_0_12::RwLock::new(0)
);
family!(
    /// parking_lot under lockdep.
    Lockdep, lockdep::Mutex<u64>, lockdep::RwLock<u64>,
    |class| match class {
        Some(key) => {
            let raw = lockdep::Tracked::with_class(parking_lot::RawMutex::INIT, key);
            lock_api::Mutex::from_raw(raw, 0)
        }
        None => lockdep::Mutex::new(0),
    },
    lock_api::RwLock::from_raw(lockdep::Tracked::instance(parking_lot::RawRwLock::INIT), 0)
);
family!(
    /// parking_lot under tracing-mutex, without its backtraces. Every lock is a class of its own.
    TracingMutex, tracing_mutex::parkinglot::tracing::Mutex<u64>, tracing_mutex::parkinglot::tracing::RwLock<u64>,
    |_| tracing_mutex::parkinglot::tracing::Mutex::new(0), tracing_mutex::parkinglot::tracing::RwLock::new(0)
);
family!(
    /// deloxide, with its lock-order graph. Every lock is a class of its own.
    Deloxide, deloxide::Mutex<u64>, deloxide::RwLock<u64>,
    |_| deloxide::Mutex::new(0), deloxide::RwLock::new(0),
    start: deloxide::Deloxide::new().start().expect("deloxide's detector starts")
);

#[cfg(test)]
mod tests {
    use super::*;

    fn counts<F: Family>() {
        let mutex = F::mutex(None);
        F::lock(&mutex, |value| *value += 41);
        assert_eq!(F::lock(&mutex, |value| *value), 41);
        assert_eq!(F::read(&F::rwlock(), |value| value), 0);
    }

    #[test]
    fn every_family_locks() {
        counts::<ParkingLot>();
        counts::<ParkingLot012>();
        counts::<Lockdep>();
        counts::<TracingMutex>();
        counts::<Deloxide>();
    }

    #[test]
    fn a_class_is_shared_and_an_instance_is_not() {
        static KEY: LockClassKey = LockClassKey::new("shared");
        let nest = |class| {
            let (first, second) = (Lockdep::mutex(class), Lockdep::mutex(class));
            let nested = || Lockdep::lock(&first, |_| Lockdep::lock(&second, |_| ()));
            lockdep::collect(nested).1.len()
        };
        assert_eq!(nest(Some(&KEY)), 1, "one class nested in itself");
        assert_eq!(nest(None), 0);
    }
}
