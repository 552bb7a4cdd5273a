//! Evacuating regions: what moves, and what stays and why.

mod common;

use std::collections::BTreeSet;
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use common::regions::{Watched, all_intact, assert_no_leak, filled, region_of};
use common::{Random, is_intact, object};
use zsalloc::{ClassPolicy, Failing, Mmap, PageSource, Pool, RegionId, SourceError, StayReason};

#[test]
fn every_region_can_be_given_back() {
    for policy in [
        ClassPolicy::default(),
        ClassPolicy::Zsmalloc { chain_size: 8 },
    ] {
        for page_size in [4096, 65536] {
            let builder = Pool::builder().classes(policy).page_size(page_size);
            let pool = builder.build().unwrap();
            let handles = filled(&pool, 10_000, 1);
            let regions: Vec<_> = pool.regions().collect();
            assert!(regions.len() >= 5, "{}", regions.len());
            // No run of `Mmap` straddles a border.
            let pages: usize = regions.iter().map(|region| region.pages).sum();
            assert_eq!(pages, pool.resident_pages());
            let objects: usize = regions.iter().map(|region| region.objects).sum();
            assert_eq!(objects, handles.len());
            for region in regions {
                let before = pool.stats();
                let report = pool.evacuate(region.id);
                assert!(report.is_empty() && report.given_back, "{report:?}");
                let after = pool.stats();
                let moved = (after.migrations - before.migrations) as usize;
                assert_eq!(report.zspages_moved - report.zspages_emptied, moved);
                let emptied = before.zspages - after.zspages;
                assert_eq!(report.zspages_emptied, emptied);
                assert!(moved + emptied >= region.zspages, "{report:?}");
                let moved = (after.objects_moved - before.objects_moved) as usize;
                assert_eq!(report.objects_moved, moved);
                assert!(report.pages_moved >= region.pages);
                assert!(pool.regions().all(|other| other.id != region.id));
                assert_no_leak(&pool);
            }
            assert!(all_intact(&pool, &handles));
        }
    }
}

#[test]
fn a_region_without_pages_is_reported_as_empty() {
    let (pool, other) = (Pool::new(), Pool::new());
    let handles = filled(&other, 100, 2);
    let _kept = filled(&pool, 100, 3);
    let mut regions: Vec<_> = other.regions().map(|region| region.id).collect();
    regions.extend([0, usize::MAX].map(RegionId::of_address));
    for region in regions {
        let report = pool.evacuate(region);
        assert!(report.is_empty());
        assert_eq!((report.region, report.zspages_moved), (region, 0));
        assert_eq!((report.objects_moved, report.pages_moved), (0, 0));
    }
    assert!(all_intact(&other, &handles));
    assert_eq!((pool.stats().migrations, other.stats().migrations), (0, 0));
}

#[test]
fn mapped_zspages_stay_and_the_report_names_them() {
    let pool = Pool::new();
    let handles = filled(&pool, 8000, 4);
    let region = pool.regions().max_by_key(|info| info.objects).unwrap().id;
    let mut random = Random::new(5);
    let mut maps: Vec<_> = handles.iter().map(|handle| pool.read(handle)).collect();
    maps.retain(|map| region_of(map) == region);
    while maps.len() > 1000 {
        drop(maps.swap_remove(random.below(maps.len())));
    }
    assert_eq!(maps.len(), 1000);
    let addresses: Vec<_> = maps.iter().map(|map| map.as_ptr()).collect();
    let mapped: BTreeSet<_> = pool.zspages().filter(|z| z.mapped).map(|z| z.id).collect();
    let before = pool.regions().find(|info| info.id == region).unwrap();
    assert_eq!(before.mapped, mapped.len());

    let report = pool.evacuate(region);
    let stayed: BTreeSet<_> = report.stayed.iter().map(|stayed| stayed.id).collect();
    assert_eq!(stayed, mapped);
    assert_eq!(report.stayed_because(StayReason::Mapped), mapped.len());
    assert_eq!(report.zspages_moved, before.zspages - mapped.len());
    assert!(!report.given_back && !report.is_empty());
    let after = pool.regions().find(|info| info.id == region).unwrap();
    assert_eq!((after.zspages, after.mapped), (mapped.len(), mapped.len()));
    let left: usize = report.stayed.iter().map(|stayed| stayed.pages).sum();
    assert_eq!(after.pages, left);
    assert!(maps.iter().all(|map| is_intact(map)));
    assert!(maps.iter().map(|map| map.as_ptr()).eq(addresses));
    assert_no_leak(&pool);

    drop(maps);
    let report = pool.evacuate(region);
    assert!(report.is_empty() && report.given_back);
    assert_eq!(report.zspages_moved, mapped.len());
    assert!(all_intact(&pool, &handles));
}

#[test]
fn without_pages_zspages_stay_and_the_report_says_whose_fault_it_is() {
    let source = Arc::new(Failing::new(Mmap::new()));
    let builder = Pool::builder().backend(Arc::clone(&source));
    let limit = 4000;
    let pool = builder.max_pages(limit).build().unwrap();
    let mut handles = filled(&pool, 5000, 6);
    let region = pool.regions().next().unwrap();

    // The third move fails.
    source.fail_at(source.calls() + 2);
    let report = pool.evacuate(region.id);
    assert_eq!(report.stayed_because(StayReason::Source), 1, "{report:?}");
    assert_eq!(report.stayed.len(), 1);
    source.fail_from(0);
    let report = pool.evacuate(region.id);
    assert_eq!(report.stayed_because(StayReason::Source), 1);
    assert_eq!(report.zspages_moved, 0);
    source.never_fail();
    assert!(pool.evacuate(region.id).given_back);
    assert_no_leak(&pool);

    // At the limit nothing can be moved: no pages, and after a compaction no free slots elsewhere.
    pool.compact();
    while let Ok(handle) = pool.insert(&object(4096, 0)) {
        handles.push(handle);
    }
    assert_eq!(pool.resident_pages(), limit);
    let region = pool.regions().next().unwrap();
    let report = pool.evacuate(region.id);
    let stayed = report.stayed_because(StayReason::Limit);
    assert_eq!((stayed, report.zspages_moved), (region.zspages, 0));
    assert_eq!(report.stayed.len(), region.zspages);
    // With room for the longest zspage everything can.
    handles
        .drain(handles.len() - 16..)
        .for_each(|handle| pool.free(handle));
    assert!(pool.evacuate(region.id).given_back);
    assert_no_leak(&pool);
    assert!(all_intact(&pool, &handles));
}

/// Objects that fit into free slots elsewhere need no pages.
#[test]
fn sparse_zspages_are_emptied_into_free_slots_elsewhere() {
    let source = Arc::new(Failing::new(Mmap::new()));
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = builder.build().unwrap();
    // Four objects a page, of which one stays.
    let mut handles: Vec<_> = (0..12_000)
        .map(|name| pool.insert(&object(1024, name)).unwrap())
        .collect();
    let mut place = 0..;
    for handle in handles.extract_if(.., |_| place.next().unwrap() % 4 > 0) {
        pool.free(handle);
    }
    let region = pool.regions().max_by_key(|info| info.zspages).unwrap();
    let before = pool.stats();
    source.fail_from(0);
    let report = pool.evacuate(region.id);
    assert!(report.is_empty() && report.given_back, "{report:?}");
    let moved = (report.zspages_moved, report.zspages_emptied);
    assert_eq!(moved, (region.zspages, region.zspages));
    assert_eq!(report.objects_moved, region.objects);
    let after = pool.stats();
    let freed = before.resident_pages - after.resident_pages;
    assert_eq!((freed, report.pages_moved), (region.pages, region.pages));
    assert_eq!(after.migrations, before.migrations);
    let moved = after.objects_moved - before.objects_moved;
    assert_eq!(moved as usize, region.objects);
    assert_no_leak(&pool);
    assert!(all_intact(&pool, &handles));

    // At last nothing fits any more, and the source is to blame.
    let mut stayed = 0;
    for region in pool.regions() {
        let report = pool.evacuate(region.id);
        assert_eq!(report.zspages_moved, report.zspages_emptied);
        assert_eq!(
            report.stayed_because(StayReason::Source),
            report.stayed.len()
        );
        stayed += report.stayed.len();
    }
    assert!(stayed > 0);
    assert!(all_intact(&pool, &handles));
    assert_no_leak(&pool);
}

/// With as many free slots elsewhere as three objects need, those go whose zspages are the sparsest.
#[test]
fn the_sparsest_zspages_are_emptied() {
    let pool = Pool::new();
    // Four objects a page: a region full of them, and one page in another.
    let handles: Vec<_> = (0..4 * 1025)
        .map(|name| pool.insert(&object(1024, name)).unwrap())
        .collect();
    let region = region_of(&pool.read(&handles[0]));
    let freed = [0, 4, 5, 8, 9, 10, 4096, 4097, 4098];
    let mut handles: Vec<_> = handles.into_iter().map(Some).collect();
    for place in freed {
        pool.free(handles[place].take().unwrap());
    }
    let handles: Vec<_> = handles.into_iter().flatten().collect();
    let report = pool.evacuate(region);
    assert_eq!((report.zspages_moved, report.zspages_emptied), (1024, 2));
    assert!(report.given_back);
    assert_eq!(pool.freeable(), 0);
    assert!(all_intact(&pool, &handles));
}

#[test]
fn retained_runs_leave_the_region_and_none_comes_back() {
    let pool = Pool::builder().retain_pages(3000).build().unwrap();
    let mut handles = filled(&pool, 6000, 7);
    let freed = handles.split_off(2000);
    freed.into_iter().for_each(|handle| pool.free(handle));
    let region = pool.regions().find(|info| info.retained_pages > 0).unwrap();
    let report = pool.evacuate(region.id);
    assert_eq!(report.retained_pages, region.retained_pages);
    assert!(report.is_empty() && report.given_back, "{report:?}");
    assert!(pool.regions().all(|info| info.id != region.id));
    let retained: usize = pool.regions().map(|info| info.retained_pages).sum();
    let held: usize = pool.regions().map(|info| info.pages).sum();
    assert!(retained > 0);
    assert_eq!(pool.resident_pages(), held + retained);
    assert!(all_intact(&pool, &handles));
}

#[test]
fn zspages_on_the_border_belong_to_both_regions() {
    let source = Watched::new();
    // Zspages of three pages and of one.
    let classes = ClassPolicy::Zsmalloc { chain_size: 8 };
    let builder = Pool::builder().classes(classes);
    let pool = builder.backend(Arc::clone(&source)).build().unwrap();
    let handles: Vec<_> = (0..2800)
        .map(|name| pool.insert(&object(3072, name)).unwrap())
        .collect();
    let regions: Vec<_> = pool.regions().collect();
    let pages: usize = regions.iter().map(|region| region.pages).sum();
    let twice = pages - pool.resident_pages();
    assert!(twice > 0 && twice <= 3 * (regions.len() - 1), "{twice}");

    // The second region has a zspage on each border, or on one.
    let middle = regions[1].id.addresses();
    let report = pool.evacuate(regions[1].id);
    assert!(report.is_empty());
    // This source cannot tell.
    assert!(!report.given_back);
    for handle in &handles {
        let map = pool.read(handle);
        let bytes = map.as_ptr_range();
        assert!(bytes.end.addr() <= middle.start || bytes.start.addr() >= middle.end);
        assert!(is_intact(&map));
    }
    assert!(pool.regions().all(|info| info.id != regions[1].id));
    // The runs that the source offered in vain are back.
    assert_eq!(source.used(), pool.resident_pages());
    assert_no_leak(&pool);
}

/// Hands out any run, excluded or not.
struct Careless(Arc<Watched>);

// SAFETY: forwards.
unsafe impl PageSource for Careless {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        self.0.alloc(pages)
    }

    fn alloc_outside(&self, pages: usize, _: &[Range<usize>]) -> Result<NonNull<u8>, SourceError> {
        self.0.alloc(pages)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.release(ptr, pages) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.0.discard(ptr, pages) }
    }
}

#[test]
fn a_source_that_offers_the_region_itself_is_one_that_has_no_pages() {
    let source = Watched::new();
    let careless = Careless(Arc::clone(&source));
    let pool = Pool::builder().backend(careless).build().unwrap();
    let mut handles = filled(&pool, 1500, 8);
    // Room at the beginning of the first region.
    handles.drain(..500).for_each(|handle| pool.free(handle));
    let region = pool.regions().next().unwrap();
    let report = pool.evacuate(region.id);
    let refused = report.stayed_because(StayReason::Source);
    assert!(refused > 0, "{report:?}");
    assert_eq!(report.stayed.len(), refused);
    assert_eq!(source.used(), pool.resident_pages());
    assert_no_leak(&pool);
    assert!(all_intact(&pool, &handles));
}
