//! Pages from the operating system.

use std::collections::BTreeMap;
use std::ffi::c_void;
use std::fmt;
use std::ptr::{self, NonNull};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::region::{PageMap, REGION_PAGES};
use super::{PageSource, SOURCE_PAGE, SourceError};
use crate::class_lock::{self, PoolMutex, leaf_mutex};

/// Anonymous private memory of the operating system; a released run goes back to it at once.
///
/// Addresses come in regions of 4 MiB, which is also the longest run. The memory of a released run
/// is returned with `MADV_DONTNEED`; a region without runs is unmapped (one empty region is kept:
/// addresses, no memory). Huge pages are switched off: a run of a few pages must not keep 2 MiB
/// resident.
pub struct Mmap {
    regions: PoolMutex<Regions>,
}

/// Regions by address.
#[derive(Default)]
struct Regions(BTreeMap<usize, Region>);

struct Region {
    base: NonNull<u8>,
    pages: PageMap,
}

// SAFETY: the pointer is to a mapping of the process; no thread is tied to it.
unsafe impl Send for Region {}

impl Mmap {
    /// The source. It holds nothing until pages are allocated.
    pub fn new() -> Self {
        Self {
            regions: leaf_mutex(&class_lock::REGIONS, Regions::default()),
        }
    }
}

impl Default for Mmap {
    fn default() -> Self {
        Self::new()
    }
}

impl Regions {
    /// A run from the lowest region that has one.
    fn take(&mut self, pages: usize) -> Option<NonNull<u8>> {
        // Pages of the system, which are what it takes back, may be larger than ours.
        let align = rustix::param::page_size() / SOURCE_PAGE;
        let regions = self.0.values_mut();
        let mut candidates = regions.filter(|region| region.pages.may_have(pages));
        candidates.find_map(|region| {
            let start = region.pages.take(pages, align.max(1))?;
            // SAFETY: `start` is within the region.
            Some(unsafe { region.base.add(start * SOURCE_PAGE) })
        })
    }

    /// Makes a run free again. Returns its region, taken out, if no run is left in it and another
    /// empty one is at hand.
    fn put(&mut self, run: NonNull<u8>, pages: usize) -> Option<Region> {
        let (&base, region) = self.0.range_mut(..=run.addr().get()).next_back()?;
        let start = (run.addr().get() - base) / SOURCE_PAGE;
        region.pages.put(start, pages);
        let is_empty = |region: &Region| region.pages.count() == 0;
        let spare = is_empty(region) && self.0.values().filter(|r| is_empty(r)).count() > 1;
        spare.then(|| self.0.remove(&base)).flatten()
    }
}

// SAFETY: the kernel gives page-aligned, zeroed, private memory; `PageMap` hands out each page once;
// what is released is discarded first, so it is zeroed when it is handed out again.
unsafe impl PageSource for Mmap {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        if pages > REGION_PAGES {
            return Err(SourceError);
        }
        if let Some(run) = self.regions.lock().take(pages) {
            return Ok(run);
        }
        let base = map_region()?;
        let region = Region {
            base,
            pages: PageMap::new(),
        };
        let mut regions = self.regions.lock();
        regions.0.insert(base.addr().get(), region);
        regions.take(pages).ok_or(SourceError)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        // System calls are made without the lock. Until the run is clean it stays marked as used.
        // SAFETY: the caller no longer uses it.
        unsafe { self.discard(ptr, pages) };
        let unused = self.regions.lock().put(ptr, pages);
        if let Some(region) = unused {
            // SAFETY: taken out of the list, without runs.
            unsafe { unmap_region(region.base) };
        }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        let (run, bytes) = (ptr.as_ptr().cast::<c_void>(), pages * SOURCE_PAGE);
        // DONTNEED, not FREE: the latter would leave the memory resident until there is pressure,
        // and would not promise zeros.
        // SAFETY: the caller does not access the pages, and nobody relies on their contents.
        let done = unsafe { madvise(run, bytes, Advice::LinuxDontNeed) };
        if done.is_err() {
            // Only memory locked with `mlockall` is refused. It stays, but it has to be zeroed.
            // SAFETY: the pages are mapped writable, and nobody else accesses them.
            unsafe { ptr.write_bytes(0, bytes) };
        }
    }

    fn granularity(&self) -> usize {
        rustix::param::page_size()
    }
}

const REGION_BYTES: usize = REGION_PAGES * SOURCE_PAGE;

fn map_region() -> Result<NonNull<u8>, SourceError> {
    // SAFETY: a null address lets the kernel choose; no existing mapping is touched.
    let region = unsafe {
        mmap_anonymous(
            ptr::null_mut(),
            REGION_BYTES,
            ProtFlags::READ | ProtFlags::WRITE,
            // NORESERVE: a region is addresses first; memory is committed as pages are touched.
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        )
    };
    let region = region.map_err(|_| SourceError)?;
    // A kernel without huge pages refuses the advice, and needs none.
    // SAFETY: it changes no contents, and the region is ours.
    let _ = unsafe { madvise(region, REGION_BYTES, Advice::LinuxNoHugepage) };
    NonNull::new(region.cast()).ok_or(SourceError)
}

/// # Safety
///
/// `region` is from `map_region` and not used any more.
unsafe fn unmap_region(region: NonNull<u8>) {
    let region = region.as_ptr().cast();
    // SAFETY: the caller's promise.
    if unsafe { munmap(region, REGION_BYTES) }.is_err() {
        // The kernel merges neighbouring mappings, and refuses to split one when the process has too
        // many. Then the addresses are lost; the memory still goes back.
        // SAFETY: nobody uses the pages.
        let _ = unsafe { madvise(region, REGION_BYTES, Advice::LinuxDontNeed) };
    }
}

impl Drop for Mmap {
    fn drop(&mut self) {
        for region in self.regions.get_mut().0.values() {
            // SAFETY: what was allocated may be used no longer than the source lives.
            unsafe { unmap_region(region.base) };
        }
    }
}

impl fmt::Debug for Mmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regions = self.regions.lock();
        f.debug_struct("Mmap")
            .field("regions", &regions.0.len())
            .field(
                "pages",
                &regions.0.values().map(|r| r.pages.count()).sum::<usize>(),
            )
            .finish()
    }
}
