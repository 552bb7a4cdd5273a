//! What types cannot rule out is an error or a panic with a clear message, and changes nothing.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;

use zsalloc::{
    AllocError, BuildError, ClassPolicy, Handle, HandleError, MigrateError, PageSource, Pool,
    SourceError,
};

#[test]
fn size_zero_and_too_large_are_errors_and_change_nothing() {
    let pool = Pool::new();
    assert_eq!(pool.insert(&[]).unwrap_err(), AllocError::ZeroSize);
    assert_eq!(pool.alloc(0).unwrap_err(), AllocError::ZeroSize);
    let (len, max) = (4097, 4096);
    let too_large = AllocError::TooLarge { len, max };
    assert_eq!(pool.alloc(len).unwrap_err(), too_large);
    assert_eq!(pool.resident_pages(), 0);
    let mut handle = pool.insert(b"old").unwrap();
    assert_eq!(pool.replace(&mut handle, &[]), Err(AllocError::ZeroSize));
    assert_eq!(pool.replace(&mut handle, &[7; 4097]), Err(too_large));
    assert_eq!(&*pool.read(&handle), b"old");
    pool.free(handle);
}

#[test]
fn a_handle_of_another_pool_is_an_error() {
    let (one, two) = (Pool::new(), Pool::new());
    let handle = one.insert(b"one").unwrap();
    let _other = two.insert(b"two").unwrap();
    let error = two.checked_read(&handle).unwrap_err();
    assert!(matches!(error, HandleError::ForeignPool { .. }));
    let (handle, error) = two.checked_free(handle).unwrap_err();
    assert!(matches!(error, HandleError::ForeignPool { .. }));
    assert_eq!(&*one.checked_read(&handle).unwrap(), b"one");
    one.checked_free(handle).unwrap();
}

#[test]
fn a_handle_of_another_pool_panics_with_a_clear_message() {
    type Misuse = fn(&Pool, Handle);
    let misuses: [Misuse; 7] = [
        |pool, handle| drop(pool.read(&handle)),
        |pool, mut handle| drop(pool.write(&mut handle)),
        |pool, handle| pool.free(handle),
        |pool, handle| _ = pool.copy_to(&handle, &mut [0; 9]),
        |pool, handle| _ = pool.len(&handle),
        |pool, handle| pool.take(handle, &mut Vec::new()),
        |pool, mut handle| _ = pool.replace(&mut handle, b"x"),
    ];
    let (one, two) = (Pool::new(), Pool::new());
    for misuse in misuses {
        let handle = one.insert(b"one").unwrap();
        let misuse = std::panic::AssertUnwindSafe(|| misuse(&two, handle));
        let payload = catch_unwind(misuse).unwrap_err();
        let message = payload.downcast_ref::<String>().unwrap();
        assert!(message.contains("the handle belongs to pool"), "{message}");
    }
    assert_eq!(two.resident_pages(), 0);
}

#[test]
fn a_zspage_of_another_pool_is_not_taken_for_ones_own() {
    let (one, two) = (Pool::new(), Pool::new());
    let handles = [one.insert(b"one").unwrap(), two.insert(b"two").unwrap()];
    let [first, second] = [&one, &two].map(|pool| pool.zspages().next().unwrap().id);
    assert_ne!(first, second);
    assert_eq!(two.migrate(first), Err(MigrateError::Gone));
    assert_eq!(one.migrate(second), Err(MigrateError::Gone));
    assert_eq!((one.migrate(first), two.migrate(second)), (Ok(()), Ok(())));
    let [handle, other] = handles;
    one.free(handle);
    two.free(other);
}

#[test]
fn handles_of_a_dropped_pool_are_recognised() {
    let old = Pool::new();
    let handle = old.insert(b"old").unwrap();
    drop(old);
    for _ in 0..100 {
        let new = Pool::new();
        let _object = new.insert(b"new").unwrap();
        assert!(new.checked_read(&handle).is_err());
    }
}

#[test]
fn impossible_configurations_are_errors() {
    let page_size = |page_size| Pool::builder().page_size(page_size).build().unwrap_err();
    for bad in [0, 2048, 4097, 12288, 131_072] {
        assert_eq!(page_size(bad), BuildError::PageSize { page_size: bad });
    }
    let classes = |classes| Pool::builder().classes(classes).build().unwrap_err();
    for chain_size in [0, 3, 17] {
        let error = classes(ClassPolicy::Zsmalloc { chain_size });
        assert_eq!(error, BuildError::ChainSize { chain_size });
    }
    for max_pages in [0, 17] {
        let error = classes(ClassPolicy::Adaptive { max_pages });
        assert_eq!(error, BuildError::MaxPages { max_pages });
    }
}

/// A source of larger pages than the pool's.
struct Coarse;

// SAFETY: hands out nothing.
unsafe impl PageSource for Coarse {
    fn alloc(&self, _: usize) -> Result<NonNull<u8>, SourceError> {
        Err(SourceError)
    }

    unsafe fn release(&self, _: NonNull<u8>, _: usize) {}

    unsafe fn discard(&self, _: NonNull<u8>, _: usize) {}

    fn granularity(&self) -> usize {
        16384
    }
}

#[test]
fn a_source_of_larger_pages_is_refused() {
    let build = |page_size| Pool::builder().backend(Coarse).page_size(page_size).build();
    let page_size = 8192;
    let granularity = 16384;
    let error = build(page_size).unwrap_err();
    let expected = BuildError::SourceGranularity {
        page_size,
        granularity,
    };
    assert_eq!(error, expected);
    let pool = build(granularity).unwrap();
    assert_eq!(pool.insert(b"abc").unwrap_err(), AllocError::OutOfMemory);
}

#[test]
fn the_page_limit_is_kept_and_freed_pages_count_again() {
    let max_pages = 3;
    let pool = Pool::builder().max_pages(max_pages).build().unwrap();
    let mut handles: Vec<_> = (0..3).map(|_| pool.alloc(4096).unwrap()).collect();
    let limit = AllocError::Limit { max_pages };
    assert_eq!(pool.alloc(4096).unwrap_err(), limit);
    assert_eq!(pool.alloc(1).unwrap_err(), limit);
    assert_eq!(pool.resident_pages(), 3);
    pool.free(handles.pop().unwrap());
    handles.push(pool.alloc(1).unwrap());
    assert_eq!(pool.resident_pages(), 3);
}

#[test]
#[should_panic(expected = "a target of 2 bytes is too short for an object of 3")]
fn copying_to_a_short_target_panics() {
    let pool = Pool::new();
    let handle = pool.insert(b"abc").unwrap();
    pool.copy_to(&handle, &mut [0; 2]);
}

#[test]
fn freeing_many_ends_at_a_handle_of_another_pool() {
    let (pool, other) = (Pool::new(), Pool::new());
    let foreign = other.insert(b"foreign").unwrap();
    let handles = [
        pool.insert(b"a").unwrap(),
        foreign,
        pool.insert(b"b").unwrap(),
    ];
    let result = catch_unwind(AssertUnwindSafe(|| pool.free_many(handles)));
    assert!(result.is_err());
    // The first is freed; the other two are leaked.
    assert_eq!((pool.stats().objects, other.stats().objects), (1, 1));
}
