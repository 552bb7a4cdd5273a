//! Panics in code that frees and automatic compaction call: the pool goes on.

mod common;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use common::calling_back::{Call, CallingBack};
use common::watched::{ATTEMPTS_LEFT, Watched};
use common::{assert_at_rest, equal_objects};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{AutoCompact, ClassPolicy, Handle, Heap, PageSource, Pool};

/// Every third object stays.
fn two_thirds(handles: Vec<Handle>) -> (Vec<Handle>, Vec<Handle>) {
    let handles = handles.into_iter().enumerate();
    let (kept, freed): (Vec<_>, Vec<_>) = handles.partition(|(i, _)| i % 3 == 0);
    let only = |pairs: Vec<(usize, Handle)>| pairs.into_iter().map(|(_, handle)| handle).collect();
    (only(kept), only(freed))
}

/// Frees the objects, counting the frees that panicked.
fn panics_of<L: RawRwLock, S: PageSource>(pool: &Pool<L, S>, handles: Vec<Handle>) -> usize {
    let free = |handle| catch_unwind(AssertUnwindSafe(|| pool.free(handle))).is_err();
    handles
        .into_iter()
        .map(free)
        .filter(|&panicked| panicked)
        .count()
}

#[test]
fn a_step_in_which_a_lock_panics_leaves_all_in_order() {
    let builder = Pool::builder()
        .lock_with(|| Watched::INIT)
        .backend(Heap::new());
    let pool = builder
        .auto_compact(AutoCompact::default().slack(0.0))
        .build()
        .unwrap();
    let (kept, mut freed) = two_thirds(equal_objects(&pool, 6000, 400));
    let late = freed.split_off(1000);
    // Every attempt from the third of the first step on.
    ATTEMPTS_LEFT.set(2);
    assert!(panics_of(&pool, freed) > 10);
    assert_at_rest(&pool, &kept);
    let moved = pool.stats().objects_moved;

    ATTEMPTS_LEFT.set(usize::MAX);
    assert_eq!(panics_of(&pool, late), 0);
    assert_at_rest(&pool, &kept);
    // Nothing is out of reach of the next steps and of compaction.
    let stats = pool.stats();
    assert!(stats.objects_moved > moved, "{stats:?}");
    assert_eq!(pool.compact().pages_freed, stats.freeable);
    pool.free_many(kept);
    assert_eq!((pool.zspages().count(), pool.resident_pages()), (0, 0));
}

#[test]
fn a_page_source_that_panics_costs_the_pages_it_was_given_and_no_others() {
    let source = Arc::new(CallingBack::default());
    let builder = Pool::builder().backend(source.clone());
    let builder = builder.classes(ClassPolicy::Zsmalloc { chain_size: 4 });
    let pool = builder
        .auto_compact(AutoCompact::default().slack(0.0))
        .build()
        .unwrap();
    let (kept, freed) = two_thirds(equal_objects(&pool, 6000, 256));
    source.set(Some(|call| {
        assert_ne!(call, Call::Release, "the source fails")
    }));
    assert!(panics_of(&pool, freed) > 10);
    source.set(None);
    assert_at_rest(&pool, &kept);
    let pages: usize = pool.zspages().map(|zspage| zspage.pages).sum();
    assert_eq!(pool.resident_pages(), pages);
    pool.free_many(kept);
    assert_eq!((pool.zspages().count(), pool.resident_pages()), (0, 0));
}

#[test]
fn a_batch_that_panics_leaves_no_empty_zspage() {
    let source = Arc::new(CallingBack::default());
    let builder = Pool::builder().backend(source.clone());
    let builder = builder.classes(ClassPolicy::Zsmalloc { chain_size: 4 });
    let pool = builder
        .auto_compact(AutoCompact::default())
        .build()
        .unwrap();
    let mut handles = equal_objects(&pool, 30 * 16, 256);
    let kept = handles.split_off(200);
    source.set(Some(|call| {
        assert_ne!(call, Call::Release, "the source fails")
    }));
    let free = AssertUnwindSafe(|| pool.free_many(handles));
    assert!(catch_unwind(free).is_err());
    source.set(None);
    assert_at_rest(&pool, &kept);
    // Fewer pages than the pool collects: they go to the source once the objects are gone.
    assert_eq!((pool.zspages().count(), pool.resident_pages()), (18, 18));
    assert_eq!(pool.stats().objects, 280);
    pool.free_many(kept);
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn a_batch_that_panics_half_way_loses_neither_pages_nor_other_objects() {
    let source = Arc::new(CallingBack::default());
    let builder = Pool::builder().backend(source.clone());
    let builder = builder.classes(ClassPolicy::Zsmalloc { chain_size: 4 });
    let pool = builder.build().unwrap();
    // One in each page.
    let mut handles = equal_objects(&pool, 300, 4096);
    let kept = handles.split_off(200);
    source.set(Some(|call| {
        assert_ne!(call, Call::Release, "the source fails")
    }));
    let free = AssertUnwindSafe(|| pool.free_many(handles));
    assert!(catch_unwind(free).is_err());
    source.set(None);
    assert_at_rest(&pool, &kept);
    // The rest of the batch is leaked, as it would be had the thread ended; the pool has it still.
    let left = pool.stats().objects;
    assert!((100..300).contains(&left), "{left}");
    assert_eq!(
        (pool.zspages().count(), pool.resident_pages()),
        (left, left)
    );
    pool.free_many(kept);
    assert_eq!(pool.resident_pages(), left - 100);
}
