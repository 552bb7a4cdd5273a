//! Every public name, with its exact type: what other crates compile against.
#![allow(clippy::type_complexity, reason = "types are what this file is about")]

use std::fmt::{Debug, Display};
use std::num::NonZeroU64;
use std::ops::Range;
use std::ptr::NonNull;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use zsalloc::lock_api::RawRwLock;
use zsalloc::overhead::{self, Figures, PerObject};
use zsalloc::size_class::{self, SizeClass};
use zsalloc::testbed::{Boxes, Store, StoreStats};
use zsalloc::{
    AllocError, AutoCompact, Budget, BuildError, ClassCompaction, ClassPolicy, ClassStats,
    CompactReport, EvacuateReport, Failing, Handle, HandleError, Heap, Mapped, MappedMut,
    MappedOwned, MigrateError, Mmap, PageSource, Pool, PoolBuilder, PoolStats, RegionId,
    RegionInfo, SOURCE_PAGE, SourceError, StayReason, Stayed, ZspageId, ZspageInfo,
};
use zslock::{RawGatedZsLock, RawZsLock};

/// The default types, written out.
type Plain = Pool<RawZsLock, Mmap>;

#[test]
fn objects_are_stored_reached_and_freed_with_these_signatures() {
    let _: fn() -> Plain = Pool::new;
    let _: fn() -> Plain = Pool::default;
    let _: fn(&Plain, usize) -> Result<Handle, AllocError> = Pool::alloc;
    let _: fn(&Plain, &[u8]) -> Result<Handle, AllocError> = Pool::insert;
    let _: for<'a> fn(&'a Plain, &'a Handle) -> Mapped<'a, RawZsLock, Mmap> = Pool::read;
    let _: for<'a> fn(&'a Plain, &'a mut Handle) -> MappedMut<'a, RawZsLock, Mmap> = Pool::write;
    let _: fn(&Plain, &Handle, &mut [u8]) -> usize = Pool::copy_to;
    let _: fn(&Plain, &Handle) -> usize = Pool::len;
    let _: fn(&Plain, &mut Handle, &[u8]) -> Result<(), AllocError> = Pool::replace;
    let _: fn(&Plain, Handle) = Pool::free;
    let _: fn(&Plain, Handle, &mut Vec<u8>) = Pool::take;
    let _: for<'a> fn(&'a Plain, &'a Handle) -> Result<Mapped<'a, RawZsLock, Mmap>, HandleError> =
        Pool::checked_read;
    let _: fn(&Plain, Handle) -> Result<(), (Handle, HandleError)> = Pool::checked_free;
    let _: fn(Handle) -> NonZeroU64 = Handle::into_raw;
    let _: unsafe fn(NonZeroU64) -> Handle = Handle::from_raw;

    let pool = Pool::new();
    let one = || pool.insert(b"abc").unwrap();
    let iterator = std::iter::once_with(one);
    // Anything that can be iterated over.
    let () = pool.free_many([one(), one()]);
    let () = pool.free_many(vec![one()]);
    let () = pool.free_many(iterator);
    let () = pool.free_many(Some(one()));
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn owned_maps_take_every_stable_pointer() {
    type Owned<P, H> = fn(P, H) -> MappedOwned<P, H>;
    let _: Owned<&'static Pool, &'static Handle> = Pool::read_owned;
    let _: Owned<&'static Pool, Handle> = Pool::read_owned;
    let _: Owned<Arc<Pool>, Arc<Handle>> = Pool::read_owned;
    let _: Owned<Arc<Pool>, Handle> = Pool::read_owned;
    let _: Owned<Arc<Pool>, Box<Handle>> = Pool::read_owned;
    let _: Owned<Rc<Pool>, Rc<Handle>> = Pool::read_owned;
    let _: Owned<Box<Pool>, Handle> = Pool::read_owned;
    type Other = Pool<RawGatedZsLock, Heap>;
    let _: Owned<Arc<Other>, Arc<Handle>> = Pool::read_owned;
    let _: fn(MappedOwned<Arc<Pool>, Handle>) -> (Arc<Pool>, Handle) = MappedOwned::into_parts;

    fn reads(_: &[u8]) {}
    let pool = Arc::new(Pool::new());
    let handle = pool.insert(b"abc").unwrap();
    reads(&pool.read(&handle));
    reads(&Pool::read_owned(pool, handle));
}

#[test]
fn space_is_counted_moved_and_returned_with_these_signatures() {
    let _: fn(&Plain) -> CompactReport = Pool::compact;
    let _: fn(&Plain, Budget) -> CompactReport = Pool::compact_budget;
    let _: fn(usize) -> Budget = Budget::Pages;
    let _: fn(Duration) -> Budget = Budget::Time;
    let _: fn(&Plain) = Pool::trim;
    let _: fn(&Plain) -> usize = Pool::freeable;
    let _: fn(&Plain) -> usize = Pool::resident_pages;
    let _: fn(&Plain, ZspageId) -> Result<(), MigrateError> = Pool::migrate;
    let _: fn(&Plain) -> PoolStats = Pool::stats;
    let _: fn(&Plain) -> Vec<ClassStats> = Pool::class_stats;
    let pool = Pool::new();
    // The lists are copies: they borrow nothing.
    let zspages: Box<dyn Iterator<Item = ZspageInfo>> = Box::new(pool.zspages());
    let regions: Box<dyn Iterator<Item = RegionInfo>> = Box::new(pool.regions());
    drop(pool);
    let _: Option<ZspageId> = zspages.map(|zspage| zspage.id).next();
    let _: Option<RegionId> = regions.map(|region| region.id).next();
    let _: fn(RegionId) -> Range<usize> = RegionId::addresses;
    let _: fn(&Plain, RegionId) -> EvacuateReport = Pool::evacuate;
    let _: fn(&EvacuateReport) -> &Vec<Stayed> = |report| &report.stayed;
    let _: fn(&Stayed) -> StayReason = |stayed| stayed.reason;

    let _: fn(usize, usize) -> Vec<SizeClass> = size_class::table;
    let _: fn(&SizeClass) -> usize = SizeClass::size;
    let _: fn(&SizeClass) -> usize = SizeClass::pages_per_zspage;
    let _: fn(&SizeClass) -> usize = SizeClass::objects_per_zspage;
    let _: fn(&SizeClass) -> usize = SizeClass::waste;
}

#[test]
fn a_builder_takes_its_options_in_any_order() {
    let _: fn() -> PoolBuilder<RawZsLock, Mmap> = Pool::builder;
    let _: fn(PoolBuilder<RawZsLock, Mmap>) -> Result<Pool, BuildError> = PoolBuilder::build;
    type Other = Result<Pool<RawGatedZsLock, Heap>, BuildError>;
    let _: fn(AutoCompact, f32) -> AutoCompact = AutoCompact::slack;
    fn prepare(_: &[&RawGatedZsLock]) {}
    let new_lock: fn() -> RawGatedZsLock = || RawGatedZsLock::INIT;
    let forwards: Other = Pool::builder()
        .classes(ClassPolicy::Zsmalloc { chain_size: 8 })
        .page_size(8192)
        .backend(Heap::new())
        .lock_with(new_lock)
        .prepare_exclusive(prepare)
        .max_pages(100)
        .retain_pages(10)
        .auto_compact(AutoCompact::default())
        .build();
    // Only `prepare_exclusive` has to come after the lock that it is about.
    let backwards: Other = Pool::builder()
        .auto_compact(AutoCompact::default().slack(0.5).clone())
        .retain_pages(10)
        .max_pages(100)
        .lock_with(new_lock)
        .prepare_exclusive(prepare)
        .backend(Heap::new())
        .page_size(8192)
        .classes(ClassPolicy::Zsmalloc { chain_size: 8 })
        .build();
    for pool in [forwards, backwards] {
        let pool = pool.unwrap();
        let handles: Vec<_> = (0..100).map(|_| pool.alloc(8192).unwrap()).collect();
        let limit = AllocError::Limit { max_pages: 100 };
        assert_eq!(pool.alloc(8192).unwrap_err(), limit);
        // The kernel's class of three quarters of a page: four slots in three pages.
        pool.free_many(handles);
        let _object = pool.alloc(6144).unwrap();
        let zspage = pool.zspages().next().unwrap();
        assert_eq!((zspage.size, zspage.pages, zspage.slots), (6144, 3, 4));
        // Ten pages were retained; none of their runs had this length.
        assert_eq!(pool.resident_pages(), 13);
    }
    let default = ClassPolicy::Adaptive { max_pages: 16 };
    assert_eq!(ClassPolicy::default(), default);
}

#[test]
fn errors_are_these_and_say_what_they_are() {
    fn is_error<T: std::error::Error + Display + Send + Sync + 'static>(_: T) {}
    is_error(AllocError::ZeroSize);
    is_error(AllocError::TooLarge { len: 2, max: 1 });
    is_error(AllocError::OutOfMemory);
    is_error(AllocError::Limit { max_pages: 1 });
    is_error(BuildError::PoolIdsExhausted);
    is_error(SourceError);
    is_error(MigrateError::Busy);
    is_error(MigrateError::Gone);
    is_error(MigrateError::Source);
    let (one, two) = (Pool::new(), Pool::new());
    let handle = one.insert(b"abc").unwrap();
    is_error(two.checked_read(&handle).unwrap_err());
}

#[test]
fn the_cost_of_a_lock_has_these_figures() {
    let _: fn(&[SizeClass], usize) -> PerObject = overhead::per_object;
    let table = size_class::table(4096, 8);
    let PerObject { all, distinct, .. } = overhead::per_object(&table, 4);
    for figures in [all, distinct] {
        let Figures {
            mean,
            median,
            p90,
            max,
            ..
        } = figures;
        assert!(0.0 < median && median <= p90 && p90 <= max && mean <= max);
    }
}

#[test]
fn a_store_has_these_methods_and_pools_are_stores() {
    fn methods<S: Store>() {
        let _: fn(&S, &[u8]) -> Result<S::Key, AllocError> = S::put;
        let _: fn(&S, &S::Key, fn(&[u8]) -> u8) -> u8 = S::get;
        let _: fn(&S, S::Key) = S::del;
        let _: fn(&S) -> usize = S::compact;
        let _: fn(&S) -> StoreStats = S::stats;
    }
    methods::<Pool>();
    methods::<Pool<RawGatedZsLock, Heap>>();
    methods::<Boxes>();
}

#[test]
fn a_page_source_has_these_methods() {
    fn methods<S: PageSource>() {
        let _: fn(&S, usize) -> Result<NonNull<u8>, SourceError> = S::alloc;
        let _: unsafe fn(&S, NonNull<u8>, usize) = S::release;
        let _: unsafe fn(&S, NonNull<u8>, usize) = S::discard;
        fn is_shared<T: Send + Sync>() {}
        is_shared::<S>();
    }
    methods::<Mmap>();
    methods::<Heap>();
    methods::<Failing<Mmap>>();
    methods::<Arc<Failing<Heap>>>();
    assert_eq!(SOURCE_PAGE, 4096);
}

#[test]
fn types_are_as_small_and_as_mobile_as_promised() {
    fn mobile<T: Send + Sync>() {}
    fn debug<T: Debug>() {}
    assert_eq!(size_of::<Handle>(), 8);
    assert_eq!(size_of::<Option<Handle>>(), 8);
    mobile::<Pool>();
    mobile::<Pool<RawGatedZsLock, Arc<Failing<Heap>>>>();
    mobile::<PoolBuilder<RawZsLock, Mmap>>();
    mobile::<Handle>();
    mobile::<Mapped<'_, RawZsLock, Mmap>>();
    mobile::<MappedMut<'_, RawZsLock, Mmap>>();
    mobile::<MappedOwned<Arc<Pool>, Arc<Handle>>>();
    mobile::<CompactReport>();
    mobile::<EvacuateReport>();
    mobile::<RegionInfo>();
    mobile::<Budget>();
    mobile::<AutoCompact>();
    mobile::<ClassCompaction>();
    mobile::<PoolStats>();
    mobile::<ClassStats>();
    mobile::<ZspageInfo>();
    mobile::<SizeClass>();
    debug::<Pool>();
    debug::<PoolBuilder<RawZsLock, Mmap>>();
    debug::<Handle>();
    debug::<Mapped<'_, RawZsLock, Mmap>>();
    debug::<MappedMut<'_, RawZsLock, Mmap>>();
    debug::<MappedOwned<Arc<Pool>, Arc<Handle>>>();
    debug::<Mmap>();
    debug::<Heap>();
    debug::<Failing<Heap>>();
}
