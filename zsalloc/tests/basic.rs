//! Storing, reading, writing, replacing and freeing.

use zsalloc::{AllocError, Handle, HandleError, Pool};

#[test]
fn objects_of_every_length_keep_their_bytes() {
    let pool = Pool::new();
    let bytes: Vec<u8> = (0..4096).map(|i| (i * 7 + i / 256) as u8).collect();
    let handles: Vec<Handle> = (1..=4096)
        .map(|len| pool.insert(&bytes[4096 - len..]).unwrap())
        .collect();
    for (handle, len) in handles.iter().zip(1..) {
        assert_eq!(pool.len(handle), len);
        assert_eq!(&*pool.read(handle), &bytes[4096 - len..]);
    }
    for handle in handles {
        pool.free(handle);
    }
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn size_zero_and_too_large_are_errors() {
    let pool = Pool::new();
    assert_eq!(pool.insert(&[]).unwrap_err(), AllocError::ZeroSize);
    assert_eq!(pool.alloc(0).unwrap_err(), AllocError::ZeroSize);
    let (len, max) = (4097, 4096);
    assert_eq!(
        pool.alloc(len).unwrap_err(),
        AllocError::TooLarge { len, max }
    );
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn a_handle_of_another_pool_is_an_error() {
    let (one, two) = (Pool::new(), Pool::new());
    let handle = one.insert(b"one").unwrap();
    assert!(matches!(
        two.checked_read(&handle),
        Err(HandleError::ForeignPool { .. })
    ));
    let (handle, error) = two.checked_free(handle).unwrap_err();
    assert!(matches!(error, HandleError::ForeignPool { .. }));
    assert_eq!(&*one.checked_read(&handle).unwrap(), b"one");
    one.checked_free(handle).unwrap();
}
