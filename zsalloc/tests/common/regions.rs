//! Pools in more than one region, and a page source whose regions a test knows.

use std::ptr::NonNull;
use std::sync::{Arc, Mutex};

use zsalloc::lock_api::RawRwLock;
use zsalloc::{Handle, Heap, Mapped, PageSource, Pool, RegionId, SourceError};

use super::{Random, is_intact, object};

/// Objects of random lengths, some 2 KiB on average.
pub(crate) fn filled<L: RawRwLock, S: PageSource>(
    pool: &Pool<L, S>,
    count: u64,
    seed: u64,
) -> Vec<Handle> {
    let mut random = Random::new(seed);
    let objects = (0..count).map(|name| object(1 + random.below(4096), name));
    objects.map(|bytes| pool.insert(&bytes).unwrap()).collect()
}

pub(crate) fn all_intact<L: RawRwLock, S: PageSource>(
    pool: &Pool<L, S>,
    handles: &[Handle],
) -> bool {
    handles.iter().all(|handle| is_intact(&pool.read(handle)))
}

pub(crate) fn region_of<L: RawRwLock, S: PageSource>(map: &Mapped<'_, L, S>) -> RegionId {
    RegionId::of_address(map.as_ptr().addr())
}

/// Nothing is in flight, nothing leaked.
pub(crate) fn assert_no_leak<L: RawRwLock, S: PageSource>(pool: &Pool<L, S>) {
    let pages: usize = pool.zspages().map(|zspage| zspage.pages).sum();
    assert_eq!(pool.resident_pages(), pages);
}

/// Called once, when a run was found and is not yet handed out.
pub(crate) type Callback = fn();

/// First-fit from four whole regions of the heap, so that runs straddle the borders of regions; page by
/// page, as simple as can be. Keeps to the default `alloc_outside`.
pub(crate) struct Watched {
    heap: NonNull<u8>,
    memory: NonNull<u8>,
    used: Mutex<Used>,
    pub(crate) callback: Mutex<Option<Callback>>,
}

struct Used {
    pages: Vec<bool>,
    /// No page below is free.
    lowest: usize,
}

// SAFETY: the memory is plain bytes, handed out under the mutex.
unsafe impl Send for Watched {}
// SAFETY: as above.
unsafe impl Sync for Watched {}

const WATCHED_PAGES: usize = 4096;
/// So that there are as many from a region's border on.
const HEAP_PAGES: usize = WATCHED_PAGES + 1023;

impl Watched {
    pub(crate) fn new() -> Arc<Self> {
        let heap = Heap::new().alloc(HEAP_PAGES).unwrap();
        let before = heap.addr().get().wrapping_neg() % (4 << 20);
        Arc::new(Self {
            heap,
            // SAFETY: before the last `WATCHED_PAGES`.
            memory: unsafe { heap.add(before) },
            used: Mutex::new(Used {
                pages: vec![false; WATCHED_PAGES],
                lowest: 0,
            }),
            callback: Mutex::new(None),
        })
    }

    pub(crate) fn used(&self) -> usize {
        let used = self.used.lock().unwrap();
        used.pages.iter().filter(|&&used| used).count()
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        // SAFETY: from `alloc` of as many pages; the pool is gone.
        unsafe { Heap::new().release(self.heap, HEAP_PAGES) };
    }
}

// SAFETY: each page is handed out once, and zeroed when it is released.
unsafe impl PageSource for Watched {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        let mut used = self.used.lock().unwrap();
        let mut start = used.lowest;
        loop {
            let run = used.pages.get(start..start + pages).ok_or(SourceError)?;
            match run.iter().rposition(|&used| used) {
                Some(last) => start += last + 1,
                None => break,
            }
        }
        used.pages[start..start + pages].fill(true);
        if start == used.lowest {
            used.lowest += pages;
        }
        drop(used);
        let callback = self.callback.lock().unwrap().take();
        if let Some(callback) = callback {
            callback();
        }
        // SAFETY: within the memory.
        Ok(unsafe { self.memory.add(start * 4096) })
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the caller no longer uses it.
        unsafe { self.discard(ptr, pages) };
        let start = (ptr.addr().get() - self.memory.addr().get()) / 4096;
        let mut used = self.used.lock().unwrap();
        used.pages[start..start + pages].fill(false);
        used.lowest = used.lowest.min(start);
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: the pages are ours and nobody accesses them now.
        unsafe { ptr.write_bytes(0, pages * 4096) };
    }
}
