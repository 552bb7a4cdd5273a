//! Rule 6: the lock is one word.

use zslock::{
    BiasedZsLock, GatedZsLock, RawBiasedZsLock, RawGatedZsLock, RawZsLock, ZsLock, ZsLockReadGuard,
    ZsLockWriteGuard,
};

#[cfg(not(feature = "debug-lockdep"))]
#[test]
fn the_lock_is_four_bytes_and_its_guards_are_one_pointer() {
    assert_eq!(size_of::<RawZsLock>(), 4);
    assert_eq!(size_of::<RawGatedZsLock>(), 4);
    assert_eq!(size_of::<RawBiasedZsLock>(), 4);
    assert_eq!(size_of::<ZsLock<u32>>(), 8);
    assert_eq!(size_of::<BiasedZsLock<u32>>(), 8);
    assert_eq!(size_of::<GatedZsLock<u32>>(), 8);
    assert_eq!(size_of::<ZsLockReadGuard<'_, u32>>(), size_of::<usize>());
    assert_eq!(size_of::<ZsLockWriteGuard<'_, u32>>(), size_of::<usize>());
}

#[cfg(feature = "debug-lockdep")]
#[test]
fn under_the_validator_a_lock_has_a_map_and_a_guard_a_token() {
    assert!(size_of::<RawZsLock>() > 4);
    assert_eq!(size_of::<RawGatedZsLock>(), size_of::<RawZsLock>());
    assert_eq!(size_of::<RawBiasedZsLock>(), size_of::<RawZsLock>());
    assert_eq!(
        size_of::<ZsLockReadGuard<'_, u32>>(),
        2 * size_of::<usize>()
    );
    assert_eq!(
        size_of::<ZsLockWriteGuard<'_, u32>>(),
        2 * size_of::<usize>()
    );
    let _: Option<ZsLock<GatedZsLock<()>>> = None;
}

#[test]
fn locks_can_be_statics() {
    static PLAIN: ZsLock<u32> = ZsLock::new(1);
    static GATED: GatedZsLock<u32> = GatedZsLock::new(1);
    static CLASSED: ZsLock<u32> = zslock::with_class(zslock::lock_class_key!("static"), 1);
    static BIASED: BiasedZsLock<u32> =
        zslock::biased_with_class(zslock::lock_class_key!("biased"), 1);
    static SITED: ZsLock<u32> = zslock::at_site(1);
    *PLAIN.write() += 1;
    *GATED.write() += 1;
    assert_eq!(*PLAIN.read() + *GATED.read(), 4);
    assert_eq!(*CLASSED.read() + *SITED.read() + *BIASED.read(), 3);
}

#[test]
fn debug_decodes_the_word() {
    let lock = ZsLock::new(());
    // SAFETY: only `Debug` of the raw lock is used, which looks.
    let raw = unsafe { lock.raw() };
    let (_a, _b) = (lock.read(), lock.read());
    let _u = lock.upgradable_read();
    assert_eq!(
        format!("{raw:?}"),
        "RawZsLock { readers: 2, writer: false, upgradable: true, readers_parked: false, \
         writers_parked: false, drain_parked: false, starving: false }"
    );
}
