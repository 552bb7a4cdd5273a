//! Storing, reading, writing, replacing and freeing, on one thread.

mod common;

use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicIsize, Ordering};

use common::{is_intact, object};
use zsalloc::{
    AllocError, ClassPolicy, Handle, Heap, Mapped, MappedMut, Mmap, PageSource, Pool, SOURCE_PAGE,
    SourceError,
};
use zslock::RawZsLock;

#[test]
fn objects_of_every_length_keep_their_bytes() {
    let pool = Pool::new();
    let handles: Vec<Handle> = (1..=4096)
        .map(|len| pool.insert(&object(len, len as u64)).unwrap())
        .collect();
    let mut copy = [0; 4096];
    for (handle, len) in handles.iter().zip(1..) {
        assert_eq!(pool.len(handle), len);
        assert_eq!(*pool.read(handle), object(len, len as u64));
        assert_eq!(pool.copy_to(handle, &mut copy), len);
        assert!(is_intact(&copy[..len]));
    }
    for handle in handles {
        pool.free(handle);
    }
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn larger_pages_store_larger_objects() {
    for page_size in [8192, 16384, 32768, 65536] {
        for classes in [
            ClassPolicy::default(),
            ClassPolicy::Zsmalloc { chain_size: 8 },
        ] {
            let builder = Pool::builder().page_size(page_size).classes(classes);
            let pool = builder.build().unwrap();
            let lens = [1, 32, 33, page_size / 3, page_size - 1, page_size];
            let handles = lens.map(|len| pool.insert(&object(len, 5)).unwrap());
            for (handle, len) in handles.iter().zip(lens) {
                assert_eq!(*pool.read(handle), object(len, 5));
            }
            let max = page_size;
            let len = max + 1;
            assert_eq!(
                pool.alloc(len).unwrap_err(),
                AllocError::TooLarge { len, max }
            );
            handles.into_iter().for_each(|handle| pool.free(handle));
        }
    }
}

#[test]
fn retained_pages_serve_again_and_go_back_with_trim() {
    let source = Arc::new(Counting::default());
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = builder.retain_pages(20).build().unwrap();
    let out = || source.out.load(Ordering::Relaxed) as usize;
    for round in 0..3 {
        let handles: Vec<_> = (0..30)
            .map(|i| pool.insert(&object(4096, i)).unwrap())
            .collect();
        // Twenty pages served again.
        assert_eq!((pool.resident_pages(), out()), (30, 30));
        assert_eq!(source.allocated.load(Ordering::Relaxed), 30 + 10 * round);
        handles.into_iter().for_each(|handle| pool.free(handle));
        assert_eq!((pool.resident_pages(), out()), (20, 20));
    }
    let kept = pool.insert(&object(4096, 0)).unwrap();
    pool.trim();
    assert_eq!((pool.resident_pages(), out()), (1, 1));
    assert!(is_intact(&pool.read(&kept)));
    // Trimming is for what is there: pages are retained again.
    pool.free(kept);
    assert_eq!((pool.resident_pages(), out()), (1, 1));
    pool.trim();
    assert_eq!((pool.resident_pages(), out()), (0, 0));
}

#[test]
fn many_are_freed_at_once_whatever_their_classes() {
    let pool = Pool::new();
    let handles: Vec<_> = (0..3000)
        .map(|i| pool.insert(&object(1 + i * 7 % 4096, i as u64)).unwrap())
        .collect();
    let (kept, freed): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 10 == 0);
    pool.free_many(freed.into_iter().map(|(_, handle)| handle));
    assert_eq!(pool.stats().objects, kept.len());
    assert!(kept.iter().all(|(_, handle)| is_intact(&pool.read(handle))));
    pool.free_many(kept.into_iter().map(|(_, handle)| handle));
    pool.free_many([]);
    assert_eq!((pool.stats().objects, pool.resident_pages()), (0, 0));
}

#[test]
fn alloc_never_shows_bytes_of_earlier_objects() {
    // With retained pages, so that slots and whole runs are used again as they were left.
    let pool = Pool::builder().retain_pages(64).build().unwrap();
    for len in [100, 1000, 4096] {
        let dirty: Vec<_> = (0..50)
            .map(|_| pool.insert(&vec![0xff; len]).unwrap())
            .collect();
        dirty.into_iter().for_each(|handle| pool.free(handle));
        let clean: Vec<_> = (0..50).map(|_| pool.alloc(len).unwrap()).collect();
        assert!(
            clean
                .iter()
                .all(|handle| pool.read(handle).iter().all(|&byte| byte == 0))
        );
        clean.into_iter().for_each(|handle| pool.free(handle));
    }
}

#[test]
fn a_shorter_object_hides_the_rest_of_the_longer_one() {
    let pool = Pool::new();
    let mut handle = pool.insert(&[0xff; 128]).unwrap();
    for (len, byte) in [(100, 1), (128, 2), (4096, 3), (1, 4)] {
        pool.replace(&mut handle, &vec![byte; len]).unwrap();
        assert_eq!(*pool.read(&handle), vec![byte; len]);
    }
    pool.free(handle);
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn a_handle_survives_as_a_number() {
    assert_eq!(size_of::<Option<Handle>>(), 8);
    let pool = Pool::new();
    let raw = pool.insert(b"abc").unwrap().into_raw();
    // SAFETY: from `into_raw`, and turned back once.
    let handle = unsafe { Handle::from_raw(raw) };
    assert_eq!(&*pool.read(&handle), b"abc");
    pool.free(handle);
}

#[test]
fn objects_can_be_stored_and_freed_while_others_are_mapped() {
    let pool = Pool::new();
    let handle = pool.insert(&object(100, 1)).unwrap();
    let map = pool.read(&handle);
    let handles: Vec<_> = (0..1000)
        .map(|i| pool.insert(&object(100, i)).unwrap())
        .collect();
    handles.into_iter().for_each(|handle| pool.free(handle));
    pool.compact();
    assert!(is_intact(&map));
}

#[test]
fn pools_and_maps_go_where_threads_need_them() {
    fn is_send<T: Send>() {}
    fn is_sync<T: Sync>() {}
    is_send::<Pool>();
    is_sync::<Pool>();
    is_send::<Handle>();
    is_sync::<Handle>();
    is_send::<Mapped<'_, RawZsLock, Mmap>>();
    is_sync::<Mapped<'_, RawZsLock, Mmap>>();
    is_send::<MappedMut<'_, RawZsLock, Heap>>();
    // A map may be dropped on another thread, after which its zspage can move.
    let pool = Pool::new();
    let handle = pool.insert(b"abc").unwrap();
    let id = pool.zspages().next().unwrap().id;
    let map = pool.read(&handle);
    std::thread::scope(|scope| {
        scope.spawn(move || assert_eq!(&*map, b"abc"));
    });
    assert_eq!(pool.migrate(id), Ok(()));
}

/// Counts the pages that are out, and those ever handed out.
#[derive(Default)]
struct Counting {
    heap: Heap,
    out: AtomicIsize,
    allocated: AtomicIsize,
}

// SAFETY: hands out what `Heap` hands out.
unsafe impl PageSource for Counting {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        self.out.fetch_add(pages as isize, Ordering::Relaxed);
        self.allocated.fetch_add(pages as isize, Ordering::Relaxed);
        self.heap.alloc(pages)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        self.out.fetch_sub(pages as isize, Ordering::Relaxed);
        // SAFETY: the caller's promise is the same.
        unsafe { self.heap.release(ptr, pages) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { self.heap.discard(ptr, pages) }
    }
}

#[test]
fn dropping_the_pool_returns_every_page_even_of_leaked_objects() {
    let source = Arc::new(Counting::default());
    let builder = Pool::builder().backend(Arc::clone(&source)).page_size(8192);
    let pool = builder.retain_pages(20).build().unwrap();
    let mut handles: Vec<_> = (0..500)
        .map(|i| pool.insert(&object(i + 1, 1)).unwrap())
        .collect();
    for handle in handles.drain(..250) {
        pool.free(handle);
    }
    drop(handles);
    let out = source.out.load(Ordering::Relaxed);
    assert_eq!(out as usize, pool.resident_pages() * 8192 / SOURCE_PAGE);
    assert!(out > 0);
    drop(pool);
    assert_eq!(source.out.load(Ordering::Relaxed), 0);
}
