//! The locks that are compared.

use std::mem::size_of;

use crossbeam_utils::CachePadded;
use crossbeam_utils::sync::ShardedLock;

use crate::contender::Contender;

/// A contender from a type with `read`, `write` and `try_write`; what a guard has to be taken out of comes last.
macro_rules! peer {
    ($(#[$doc:meta])* $peer:ident, $name:literal, $lock:ty, $bytes:expr, [$($guard:tt)*], [$($tried:tt)*]) => {
        $(#[$doc])*
        #[derive(Debug)]
        pub struct $peer($lock);

        impl Contender for $peer {
            const NAME: &'static str = $name;
            const BYTES: usize = $bytes;

            fn new() -> Self {
                Self(<$lock>::new(0))
            }

            #[inline]
            fn read<R>(&self, section: impl FnOnce(u64) -> R) -> R {
                let guard = self.0.read()$($guard)*;
                section(*guard)
            }

            #[inline]
            fn write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> R {
                let mut guard = self.0.write()$($guard)*;
                section(&mut guard)
            }

            #[inline]
            fn try_write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> Option<R> {
                let mut guard = self.0.try_write()$($tried)*?;
                Some(section(&mut guard))
            }
        }
    };
}

peer!(
    /// `zslock::ZsLock`: readers wait only for a writer that holds the lock.
    Plain, "zslock", zslock::ZsLock<u64>, size_of::<zslock::RawZsLock>(), [], []
);
peer!(
    /// `zslock::GatedZsLock`: a waiting writer keeps new readers out.
    Gated, "zslock gated", zslock::GatedZsLock<u64>, size_of::<zslock::RawGatedZsLock>(), [], []
);
peer!(
    /// The reference: every ratio is to this one.
    ParkingLot, "parking_lot 0.13", parking_lot::RwLock<u64>, size_of::<parking_lot::RawRwLock>(), [], []
);
peer!(
    /// The parking_lot that most programs still have.
    ParkingLot012, "parking_lot 0.12", parking_lot_0_12::RwLock<u64>, size_of::<parking_lot_0_12::RawRwLock>(), [], []
);
peer!(
    /// The standard library's, with its poison flag.
    Std, "std", std::sync::RwLock<u64>, size_of::<std::sync::RwLock<()>>(),
    [.expect("no section panics")], [.ok()]
);
peer!(
    /// Never parks.
    Spin, "spin", spin::RwLock<u64>, size_of::<spin::RwLock<()>>(), [], []
);
peer!(
    /// A queue of waiters inside the word.
    Usync, "usync", usync::RwLock<u64>, size_of::<usync::RawRwLock>(), [], []
);
peer!(
    /// Eight locks on cache lines of their own: readers take one, writers all.
    Sharded, "ShardedLock", ShardedLock<u64>,
    size_of::<ShardedLock<()>>() + 8 * size_of::<CachePadded<std::sync::RwLock<()>>>(),
    [.expect("no section panics")], [.ok()]
);
