//! What is kept about objects goes when they go, in whatever order.

use std::sync::Mutex;

use zsalloc::{ClassPolicy, Handle, Pool};

/// One test at a time: a thread that is pinned keeps what the others retire.
static ALONE: Mutex<()> = Mutex::new(());

const POLICIES: [ClassPolicy; 2] = [
    ClassPolicy::Adaptive { max_pages: 16 },
    ClassPolicy::Zsmalloc { chain_size: 8 },
];

fn pool(classes: ClassPolicy) -> Pool {
    Pool::builder().classes(classes).build().unwrap()
}

/// Bytes of metadata, after what was retired has been freed.
fn metadata(pool: &Pool) -> usize {
    (0..1000).for_each(|_| crossbeam_epoch::pin().flush());
    pool.stats().metadata_bytes
}

/// Objects of 128 sizes, in random order.
fn shuffled(pool: &Pool, count: usize) -> Vec<Handle> {
    let mut handles: Vec<_> = (0..count)
        .map(|i| pool.alloc(32 * (1 + i % 128)).unwrap())
        .collect();
    let mut seed = 1_u64;
    for i in (1..count).rev() {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        handles.swap(i, (seed % (i as u64 + 1)) as usize);
    }
    handles
}

#[test]
fn all_of_it_goes_with_the_last_objects_in_the_order_of_storing() {
    let _alone = ALONE.lock();
    for classes in POLICIES {
        let pool = pool(classes);
        let new = metadata(&pool);
        let handles: Vec<_> = (0..60_000)
            .map(|i| pool.alloc(32 + i % 400).unwrap())
            .collect();
        let full = metadata(&pool) - new;
        assert!(full >= 60_000 * 12, "{full}");
        pool.free_many(handles);
        let empty = metadata(&pool) - new;
        assert!(empty < 64 * 1024, "{empty} of {full} bytes are left");
    }
}

/// Spare handles come from anywhere in the table then; each that a class kept would keep 4 KiB.
#[test]
fn all_of_it_goes_with_the_last_objects_in_random_order() {
    let _alone = ALONE.lock();
    for classes in POLICIES {
        let pool = pool(classes);
        let new = metadata(&pool);
        let handles = shuffled(&pool, 200_000);
        let full = metadata(&pool) - new;
        assert!(full >= 200_000 * 12, "{full}");
        handles.into_iter().for_each(|handle| pool.free(handle));
        let empty = metadata(&pool) - new;
        assert!(empty < 64 * 1024, "{empty} of {full} bytes are left");
        pool.trim();
        let trimmed = metadata(&pool) - new;
        assert!(trimmed < 16 * 1024, "{trimmed} of {full} bytes are left");
    }
}

/// Those that stay keep their segments of the handle table, but spare handles beside them do not.
#[test]
fn compaction_and_trimming_leave_the_segments_of_objects() {
    let _alone = ALONE.lock();
    const KEPT: usize = 128;
    let calls: [fn(&Pool); 2] = [|pool| drop(pool.compact()), Pool::trim];
    // Compaction moves the objects to zspages with low numbers. Without it each may keep a segment of the
    // zspage table, too; and there are the lists. lockdep's locks are larger.
    let headers = if cfg!(feature = "debug-lockdep") {
        3 * 4096
    } else {
        4096
    };
    let segments = 4096 + headers;
    let bounds = [KEPT * 4096 + 32 * headers, KEPT * segments + 64 * 1024];
    for ((classes, call), bound) in POLICIES.into_iter().zip(calls).zip(bounds) {
        let pool = pool(classes);
        let new = metadata(&pool);
        let mut handles = shuffled(&pool, 200_000);
        let full = metadata(&pool) - new;
        handles.drain(KEPT..).for_each(|handle| pool.free(handle));
        let before = metadata(&pool) - new;
        call(&pool);
        let after = metadata(&pool) - new;
        assert!(before >= after + 16 * 4096, "{before}, {after}");
        assert!(after < bound, "{after} of {full} bytes are left");
        pool.free_many(handles);
        pool.trim();
        let trimmed = metadata(&pool) - new;
        assert!(trimmed < 16 * 1024, "{trimmed} bytes are left");
    }
}
