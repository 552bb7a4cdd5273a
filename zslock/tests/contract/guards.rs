//! Rules 2 and 4: which guards travel, and what a panic leaves behind. (`zslock::WriteToken` has the compile-fail test.)

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::thread;

use zslock::lock_api::RwLockUpgradableReadGuard;
use zslock::{BiasedZsLockReadGuard, BiasedZsLockUpgradableReadGuard, BiasedZsLockWriteGuard};
use zslock::{GatedZsLockReadGuard, GatedZsLockUpgradableReadGuard, ZsLockReadGuard};
use zslock::{MappedZsLockReadGuard, ZsLockUpgradableReadGuard, ZsLockWriteGuard};

use crate::common::{for_every_lock, fresh};

const fn is_send<T: Send>() {}
const fn is_sync<T: Sync>() {}

#[test]
fn read_guards_are_send_and_all_guards_are_sync() {
    is_send::<ZsLockReadGuard<'_, u8>>();
    is_send::<ZsLockUpgradableReadGuard<'_, u8>>();
    is_send::<MappedZsLockReadGuard<'_, u8>>();
    is_send::<GatedZsLockReadGuard<'_, u8>>();
    is_send::<GatedZsLockUpgradableReadGuard<'_, u8>>();
    is_send::<BiasedZsLockReadGuard<'_, u8>>();
    is_send::<BiasedZsLockUpgradableReadGuard<'_, u8>>();
    is_sync::<BiasedZsLockReadGuard<'_, u8>>();
    is_sync::<BiasedZsLockWriteGuard<'_, u8>>();
    is_sync::<ZsLockReadGuard<'_, u8>>();
    is_sync::<ZsLockWriteGuard<'_, u8>>();
    is_sync::<ZsLockUpgradableReadGuard<'_, u8>>();
}

#[cfg(feature = "arc_lock")]
#[test]
fn arc_guards_inherit_and_keep_the_lock_alive() {
    use std::sync::Arc;
    is_send::<zslock::ArcZsLockReadGuard<u8>>();
    is_send::<zslock::ArcZsLockUpgradableReadGuard<u8>>();
    is_send::<zslock::ArcBiasedZsLockReadGuard<u8>>();
    is_send::<zslock::ArcBiasedZsLockUpgradableReadGuard<u8>>();
    let lock = Arc::new(zslock::ZsLock::new(5));
    let guard = lock.read_arc();
    drop(lock);
    assert_eq!(thread::spawn(move || *guard).join().unwrap(), 5);
}

for_every_lock! {
    fn read_guards_are_released_on_another_thread<R>()  {
        let lock = fresh::<R, u32>(3);
        let read = lock.read();
        let upgradable = lock.try_upgradable_read().expect("readers do not matter");
        thread::scope(|scope| {
            scope.spawn(move || assert_eq!(*read + *upgradable, 6));
        });
        assert!(lock.try_write().is_some(), "both were released");
    }

    fn a_panic_releases_the_guard<R>() {
        let lock = fresh::<R, u32>(0);
        let panics = |body: &dyn Fn()| catch_unwind(AssertUnwindSafe(body)).is_err();
        assert!(panics(&|| {
            let _guard = lock.write();
            panic!("inside a write section");
        }));
        assert!(panics(&|| {
            let _guard = lock.read();
            panic!("inside a read section");
        }));
        assert!(panics(&|| {
            let guard = lock.upgradable_read();
            let _guard = RwLockUpgradableReadGuard::upgrade(guard);
            panic!("inside an upgraded section");
        }));
        assert!(lock.try_write().is_some(), "no guard is left, and no poison");
    }
}
