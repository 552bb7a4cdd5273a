//! `Send`, `Sync` and the like.

use lockdep::std_sync::{Condvar, Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// Whether a type has an auto trait: an inherent constant hides a trait's.
macro_rules! has {
    ($type:ty: $trait:path) => {{
        #[allow(dead_code, reason = "not for types with it")]
        trait Otherwise {
            const HAS: bool = false;
        }
        impl<T: ?Sized> Otherwise for T {}
        struct Probe<T: ?Sized>(std::marker::PhantomData<T>);
        #[allow(dead_code, reason = "not for types without it")]
        impl<T: ?Sized + $trait> Probe<T> {
            const HAS: bool = true;
        }
        <Probe<$type>>::HAS
    }};
}

#[test]
fn locks_and_guards_are_send_and_sync_when_stds_are() {
    use std::panic::{RefUnwindSafe, UnwindSafe};
    macro_rules! same {
        ($($mine:ty, $stds:ty;)*) => { $(
            assert_eq!(has!($mine: Send), has!($stds: Send), stringify!($mine));
            assert_eq!(has!($mine: Sync), has!($stds: Sync), stringify!($mine));
            assert_eq!(has!($mine: UnwindSafe), has!($stds: UnwindSafe), stringify!($mine));
            assert_eq!(has!($mine: RefUnwindSafe), has!($stds: RefUnwindSafe), stringify!($mine));
            assert_eq!(has!($mine: Unpin), has!($stds: Unpin), stringify!($mine));
        )* };
    }
    type Cell = std::cell::Cell<u8>;
    type Pointer = *const u8;
    same! {
        Mutex<u8>, std::sync::Mutex<u8>;
        Mutex<Cell>, std::sync::Mutex<Cell>;
        Mutex<Pointer>, std::sync::Mutex<Pointer>;
        RwLock<u8>, std::sync::RwLock<u8>;
        RwLock<Cell>, std::sync::RwLock<Cell>;
        RwLock<Pointer>, std::sync::RwLock<Pointer>;
        MutexGuard<'static, u8>, std::sync::MutexGuard<'static, u8>;
        MutexGuard<'static, Cell>, std::sync::MutexGuard<'static, Cell>;
        RwLockReadGuard<'static, u8>, std::sync::RwLockReadGuard<'static, u8>;
        RwLockReadGuard<'static, Cell>, std::sync::RwLockReadGuard<'static, Cell>;
        RwLockWriteGuard<'static, u8>, std::sync::RwLockWriteGuard<'static, u8>;
        RwLockWriteGuard<'static, Cell>, std::sync::RwLockWriteGuard<'static, Cell>;
        Condvar, std::sync::Condvar;
    }
    assert!(
        has!(Mutex<u8>: Sync) && !has!(Mutex<Pointer>: Sync),
        "the probe probes"
    );
}
