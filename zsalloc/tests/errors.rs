//! Every error that a pool can give: what provokes it, its value, and what its message says to do.

use std::error::Error;
use std::ptr::NonNull;
use std::sync::Arc;

use zsalloc::{
    AllocError, AutoCompact, BuildError, ClassPolicy, Failing, HandleError, Heap, MigrateError,
    PageSource, Pool, SourceError,
};

/// Checks that the error is what was expected and that its message has all of the words.
#[track_caller]
fn check<E: Error + PartialEq + 'static>(error: E, expected: E, words: &[&str]) {
    assert_eq!(error, expected);
    let message = error.to_string();
    for word in words {
        assert!(message.contains(word), "{message:?} does not say {word:?}");
    }
    // It travels as any error does, and is the last of its chain.
    let error: Box<dyn Error> = Box::new(error);
    assert!(error.source().is_none());
    assert_eq!(error.downcast_ref::<E>(), Some(&expected));
}

#[test]
fn errors_of_storing() {
    let source = Arc::new(Failing::new(Heap::new()));
    let max_pages = 1;
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = builder.max_pages(max_pages).build().unwrap();
    let mut old = pool.insert(b"old").unwrap();
    let (len, max) = (4097, 4096);
    let errors = |bytes: &[u8], old: &mut _| {
        let inserted = pool.insert(bytes).unwrap_err();
        assert_eq!(pool.alloc(bytes.len()).unwrap_err(), inserted);
        assert_eq!(pool.replace(old, bytes), Err(inserted));
        inserted
    };
    let error = errors(&[], &mut old);
    check(error, AllocError::ZeroSize, &["at least one byte"]);
    let error = errors(&[0; 4097], &mut old);
    let words = ["4097 bytes", "maximum of 4096", "page size"];
    check(error, AllocError::TooLarge { len, max }, &words);
    let error = errors(&[0; 4096], &mut old);
    let words = ["limit of 1 pages", "free", "compact"];
    check(error, AllocError::Limit { max_pages }, &words);

    // Without a limit it is the source that has to provide.
    let pool = Pool::builder()
        .backend(Arc::clone(&source))
        .build()
        .unwrap();
    source.fail_from(0);
    let words = ["page source", "out of memory"];
    check(
        pool.insert(b"a").unwrap_err(),
        AllocError::OutOfMemory,
        &words,
    );
    check(pool.alloc(1).unwrap_err(), AllocError::OutOfMemory, &words);
    source.never_fail();
    let mut handle = pool.insert(b"a").unwrap();
    source.fail_from(0);
    let error = pool.replace(&mut handle, &[1; 4096]).unwrap_err();
    check(error, AllocError::OutOfMemory, &words);
    assert_eq!(&*pool.read(&handle), b"a");
}

#[test]
fn errors_of_handles() {
    let (one, two) = (Pool::new(), Pool::new());
    let handle = one.insert(b"one").unwrap();
    let error = two.checked_read(&handle).unwrap_err();
    let HandleError::ForeignPool { pool, handle: of } = error else {
        panic!("{error}");
    };
    assert_ne!(pool, of);
    let words = [&*format!("pool {of}, not to pool {pool}"), "made it"];
    check(error, HandleError::ForeignPool { pool, handle: of }, &words);
    let (handle, error) = two.checked_free(handle).unwrap_err();
    check(error, HandleError::ForeignPool { pool, handle: of }, &words);
    // The other way round the ids are, too.
    let other = two.insert(b"two").unwrap();
    let error = one.checked_read(&other).unwrap_err();
    let swapped = HandleError::ForeignPool {
        pool: of,
        handle: pool,
    };
    assert_eq!(error, swapped);
    assert!(one.checked_free(handle).is_ok());
}

#[test]
fn errors_of_migration() {
    let source = Arc::new(Failing::new(Heap::new()));
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = builder.max_pages(2).build().unwrap();
    let handle = pool.insert(b"a").unwrap();
    let id = pool.zspages().next().unwrap().id;

    let map = pool.read(&handle);
    let error = pool.migrate(id).unwrap_err();
    check(error, MigrateError::Busy, &["mapped", "try again"]);
    drop(map);

    source.fail_from(0);
    let words = ["no pages"];
    check(pool.migrate(id).unwrap_err(), MigrateError::Source, &words);
    source.never_fail();
    // Nor are there any at the limit.
    let full = pool.insert(&[0; 4096]).unwrap();
    check(pool.migrate(id).unwrap_err(), MigrateError::Source, &words);
    pool.free(full);
    assert_eq!(pool.migrate(id), Ok(()));

    pool.free(handle);
    let error = pool.migrate(id).unwrap_err();
    check(error, MigrateError::Gone, &["no longer exists"]);
}

/// A source that can only hand out 16 KiB at a time.
struct Coarse(Heap);

// SAFETY: forwards.
unsafe impl PageSource for Coarse {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
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

    fn granularity(&self) -> usize {
        16384
    }
}

#[test]
fn errors_of_building() {
    for page_size in [0, 2048, 4097, 12288, 131_072] {
        let error = Pool::builder().page_size(page_size).build().unwrap_err();
        let size = format!("{page_size} bytes");
        let words = [&*size, "power of two from 4096 to 65536"];
        check(error, BuildError::PageSize { page_size }, &words);
    }
    let (page_size, granularity) = (8192, 16384);
    let coarse = || Pool::builder().backend(Coarse(Heap::new()));
    let error = coarse().page_size(page_size).build().unwrap_err();
    let expected = BuildError::SourceGranularity {
        page_size,
        granularity,
    };
    check(error, expected, &["8192 bytes", "at least 16384"]);
    assert!(coarse().page_size(granularity).build().is_ok());

    let classes = |classes| Pool::builder().classes(classes).build().unwrap_err();
    for chain_size in [0, 3, 17, usize::MAX] {
        let error = classes(ClassPolicy::Zsmalloc { chain_size });
        let words = [&*chain_size.to_string(), "4..=16"];
        check(error, BuildError::ChainSize { chain_size }, &words);
    }
    for max_pages in [0, 17, usize::MAX] {
        let error = classes(ClassPolicy::Adaptive { max_pages });
        let words = [&*max_pages.to_string(), "1..=16"];
        check(error, BuildError::MaxPages { max_pages }, &words);
    }
    for slack in [-0.01, 1.01, f32::NAN, f32::INFINITY] {
        let automatic = AutoCompact::default().slack(slack);
        let error = Pool::builder().auto_compact(automatic).build().unwrap_err();
        check(error, BuildError::Slack, &["slack", "0.0", "1.0"]);
    }
    // It takes 2^32 pools to provoke this one.
    let error = BuildError::PoolIdsExhausted;
    check(error, BuildError::PoolIdsExhausted, &["2^32 - 1 pool ids"]);
}

#[test]
fn errors_of_sources() {
    let words = ["page source", "no pages"];
    for pages in [0, usize::MAX, usize::MAX / 4096] {
        check(Heap::new().alloc(pages).unwrap_err(), SourceError, &words);
    }
    // A region is the longest run of this one.
    for pages in [0, 1025, usize::MAX / 4096] {
        let error = zsalloc::Mmap::new().alloc(pages).unwrap_err();
        check(error, SourceError, &words);
    }
    let failing = Failing::new(Heap::new());
    failing.fail_at(0);
    check(failing.alloc(1).unwrap_err(), SourceError, &words);
    failing.fail_at(1);
    check(
        failing.alloc_outside(1, &[]).unwrap_err(),
        SourceError,
        &words,
    );
    let run = failing.alloc(1).unwrap();
    // SAFETY: from `alloc(1)`, and unused.
    unsafe { failing.release(run, 1) };
}
