//! How a class grows: by no more than it has, however many threads find it full at once.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

use zsalloc::{Handle, Heap, PageSource, Pool, SourceError};
use zslock::RawZsLock;

const THREADS: usize = 16;

/// A heap where, when it is told to, threads that ask for pages meet before any gets some.
struct Meeting {
    barrier: Barrier,
    meet: AtomicBool,
    /// So many times giving back panics.
    panics: AtomicUsize,
}

// SAFETY: forwards to `Heap`.
unsafe impl PageSource for Meeting {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        if self.meet.load(Relaxed) {
            self.barrier.wait();
        }
        Heap::new().alloc(pages)
    }
    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { Heap::new().release(ptr, pages) };
        let one_less = |left: usize| left.checked_sub(1);
        let panics = self.panics.fetch_update(Relaxed, Relaxed, one_less);
        assert!(panics.is_err(), "the source panics");
    }
    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller's promise is the same.
        unsafe { Heap::new().discard(ptr, pages) }
    }
}

const LEN: usize = 3328;

/// A full class, and how many objects `THREADS` threads got that found it full at the same time.
fn grow_at_once(panics: usize) -> (Pool<RawZsLock, Arc<Meeting>>, Vec<Handle>, usize) {
    let source = Arc::new(Meeting {
        barrier: Barrier::new(THREADS),
        meet: AtomicBool::new(false),
        panics: AtomicUsize::new(0),
    });
    let builder = Pool::builder().backend(Arc::clone(&source));
    let pool = builder.build().unwrap();
    let slots = || pool.zspages().map(|zspage| zspage.slots).sum::<usize>();
    let mut handles = Vec::new();
    while handles.len() < 2 * THREADS || slots() > handles.len() {
        handles.push(pool.alloc(LEN).unwrap());
    }
    let before = pool.resident_pages();
    source.panics.store(panics, Relaxed);
    source.meet.store(true, Relaxed);
    let insert = || catch_unwind(AssertUnwindSafe(|| pool.insert(&[7; LEN]).unwrap()));
    let more: Vec<_> = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(insert)).collect();
        let results = threads.into_iter().map(|thread| thread.join().unwrap());
        results.filter_map(Result::ok).collect()
    });
    source.meet.store(false, Relaxed);
    assert!(more.iter().all(|handle| *pool.read(handle) == [7; LEN]));
    let count = more.len();
    handles.extend(more);
    let after = pool.resident_pages();
    assert!(after <= 2 * before, "{before} pages became {after}");
    (pool, handles, count)
}

#[test]
fn a_class_at_most_doubles() {
    let (pool, handles, more) = grow_at_once(0);
    assert_eq!(more, THREADS);
    pool.free_many(handles);
    assert_eq!(pool.resident_pages(), 0);
}

/// Pages that turn out not to be needed go back, to a source that panics.
#[test]
fn an_insertion_that_panics_has_stored_nothing() {
    let (pool, handles, more) = grow_at_once(3);
    assert_eq!(more, THREADS - 3);
    assert_eq!(pool.stats().objects, handles.len());
    pool.free_many(handles);
    assert_eq!(pool.resident_pages(), 0);
}
