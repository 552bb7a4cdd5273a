//! Pages from the operating system.

use std::ffi::c_void;
use std::fmt;
use std::ops::Range;
use std::ptr::{self, NonNull};

use rustix::mm::{Advice, MapFlags, ProtFlags, madvise, mmap_anonymous, munmap};

use super::advice::{self, Lists};
use super::region::{REGION_BYTES, REGION_PAGES};
use super::regions::{Region, Regions};
use super::{PageSource, SOURCE_PAGE, SourceError, overlaps};
use crate::class_lock::{self, PoolMutex, leaf_mutex};

/// Anonymous private memory of the operating system; a released run goes back to it at once.
///
/// Addresses come in regions of 4 MiB, aligned to 4 MiB, which is also the longest run. The memory of
/// a released run is returned with `MADV_DONTNEED`, that of several by one call of `process_madvise`
/// where the system allows that (a sandbox has to allow that call or to fail it; one that ends processes
/// for it is too strict); a region without runs is unmapped (one empty region is kept: addresses, no
/// memory). Huge pages are switched off: a run of a few pages must not
/// keep 2 MiB resident.
///
/// A run comes from the first region that has one, at the lowest free address. Runs of different
/// lengths therefore fragment a region: what is free between them may be too short for the next
/// long run, which then takes another region. That costs addresses and never memory, as only pages
/// of runs are resident.
pub struct Mmap {
    regions: PoolMutex<Regions>,
    lists: Lists,
}

impl Mmap {
    /// The source. It holds nothing until pages are allocated.
    pub fn new() -> Self {
        Self {
            regions: leaf_mutex(&class_lock::REGIONS, Regions::default()),
            lists: Lists::new(),
        }
    }

    /// Returns the memory of several runs, with one system call if that is possible.
    ///
    /// # Safety
    ///
    /// As for `discard`, for each of them.
    unsafe fn discard_many(&self, runs: &[(NonNull<u8>, usize)]) {
        // SAFETY: the caller's promise.
        if runs.len() > 1 && unsafe { self.lists.discard(runs) } {
            return;
        }
        for &(run, pages) in runs {
            // SAFETY: the caller's promise. Twice does no harm.
            unsafe { self.discard(run, pages) };
        }
    }
}

impl Default for Mmap {
    fn default() -> Self {
        Self::new()
    }
}

// SAFETY: the kernel gives page-aligned, zeroed, private memory; `PageMap` hands out each page once;
// what is released is discarded first, so it is zeroed when it is handed out again.
unsafe impl PageSource for Mmap {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        self.alloc_outside(pages, &[])
    }

    fn alloc_outside(
        &self,
        pages: usize,
        excluded: &[Range<usize>],
    ) -> Result<NonNull<u8>, SourceError> {
        if !(1..=REGION_PAGES).contains(&pages) {
            return Err(SourceError);
        }
        let pages = whole_system_pages(pages);
        if let Some(run) = self.regions.lock().take(pages, excluded) {
            return Ok(run);
        }
        // System calls are made without the lock.
        let region = map_region_outside(excluded)?;
        let mut regions = self.regions.lock();
        if let Some(run) = regions.take(pages, excluded) {
            // Another thread has added a region meanwhile, or released a run.
            drop(regions);
            // SAFETY: just mapped, and unused.
            unsafe { unmap_region(&region) };
            return Ok(run);
        }
        regions.add(region);
        regions.take(pages, excluded).ok_or(SourceError)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        let pages = whole_system_pages(pages);
        // System calls are made without the lock. Until the run is clean it stays marked as used.
        // SAFETY: the caller no longer uses it.
        unsafe { self.discard(ptr, pages) };
        let unused = self.regions.lock().put(ptr, pages);
        if let Some(region) = unused {
            // SAFETY: taken out of the list, without runs.
            unsafe { unmap_region(&region) };
        }
    }

    unsafe fn release_many(&self, runs: &[(NonNull<u8>, usize)]) {
        for runs in runs.chunks(advice::MOST) {
            // On the stack: who returns memory may be short of it.
            let mut whole = [(NonNull::dangling(), 0); advice::MOST];
            for (whole, &(run, pages)) in whole.iter_mut().zip(runs) {
                *whole = (run, whole_system_pages(pages));
            }
            let runs = &whole[..runs.len()];
            // As in `release`.
            // SAFETY: the caller no longer uses them.
            unsafe { self.discard_many(runs) };
            let mut regions = self.regions.lock();
            let put = |&(run, pages): &(_, usize)| regions.put(run, pages);
            let unused: Vec<_> = runs.iter().filter_map(put).collect();
            drop(regions);
            for region in unused {
                // SAFETY: taken out of the list, without runs.
                unsafe { unmap_region(&region) };
            }
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

    fn trim(&self, span: Range<usize>) -> bool {
        let mut regions = self.regions.lock();
        let empty = regions.take_empty(&span);
        let rest = regions.has_any_in(&span);
        drop(regions);
        let unmapped = empty.iter().fold(true, |all, region| {
            // SAFETY: taken out of the list, without runs.
            unsafe { unmap_region(region) && all }
        });
        unmapped && !rest
    }

    fn granularity(&self) -> usize {
        rustix::param::page_size()
    }
}

/// Pages of the system, which are what it takes back, may be larger than ours.
fn whole_system_pages(pages: usize) -> usize {
    pages.next_multiple_of((rustix::param::page_size() / SOURCE_PAGE).max(1))
}

/// A new region that does not overlap what is excluded. The kernel may well choose the addresses of
/// an excluded region that was unmapped a moment ago.
fn map_region_outside(excluded: &[Range<usize>]) -> Result<Region, SourceError> {
    let mut inside = Vec::new();
    // Regions are disjoint, so only a few can be inside.
    let outside = loop {
        match map_region() {
            Ok(region) if overlaps(&region.addresses(), excluded) => inside.push(region),
            other => break other,
        }
    };
    for region in inside {
        // SAFETY: just mapped, and unused.
        unsafe { unmap_region(&region) };
    }
    outside
}

fn map_region() -> Result<Region, SourceError> {
    let mut base = map(REGION_BYTES)?;
    // Mostly it is, once the first region was: the kernel puts mappings side by side.
    if !base.addr().get().is_multiple_of(REGION_BYTES) {
        // SAFETY: just mapped, and unused.
        let _ = unsafe { munmap(base.as_ptr().cast(), REGION_BYTES) };
        base = map_aligned()?;
    }
    // A kernel without huge pages refuses the advice, and needs none.
    // SAFETY: it changes no contents, and the region is ours.
    let _ = unsafe { madvise(base.as_ptr().cast(), REGION_BYTES, Advice::LinuxNoHugepage) };
    Ok(Region::new(base))
}

/// Maps more than a region, and unmaps what is before and behind the aligned part.
fn map_aligned() -> Result<NonNull<u8>, SourceError> {
    let all = map(2 * REGION_BYTES)?;
    let before = all.addr().get().next_multiple_of(REGION_BYTES) - all.addr().get();
    // SAFETY: a whole region fits between the next multiple and the end.
    let (base, end) = unsafe { (all.add(before), all.add(before + REGION_BYTES)) };
    for (rest, bytes) in [(all, before), (end, REGION_BYTES - before)] {
        if bytes > 0 {
            // Refused only if the process has too many mappings. Then these addresses are lost; there
            // is no memory behind them.
            // SAFETY: just mapped, and unused.
            let _ = unsafe { munmap(rest.as_ptr().cast(), bytes) };
        }
    }
    Ok(base)
}

fn map(bytes: usize) -> Result<NonNull<u8>, SourceError> {
    // SAFETY: a null address lets the kernel choose; no existing mapping is touched.
    let mapping = unsafe {
        mmap_anonymous(
            ptr::null_mut(),
            bytes,
            ProtFlags::READ | ProtFlags::WRITE,
            // NORESERVE: a region is addresses first; memory is committed as pages are touched.
            MapFlags::PRIVATE | MapFlags::NORESERVE,
        )
    };
    let mapping = mapping.map_err(|_| SourceError)?;
    NonNull::new(mapping.cast()).ok_or(SourceError)
}

/// Returns whether the addresses went back, too.
///
/// # Safety
///
/// The region is in no list and its pages are not used any more.
unsafe fn unmap_region(region: &Region) -> bool {
    let base = region.base().as_ptr().cast();
    // SAFETY: the caller's promise.
    let unmapped = unsafe { munmap(base, REGION_BYTES) }.is_ok();
    if !unmapped {
        // The kernel merges neighbouring mappings, and refuses to split one when the process has too
        // many. Then the addresses are lost; the memory still goes back.
        // SAFETY: nobody uses the pages.
        let _ = unsafe { madvise(base, REGION_BYTES, Advice::LinuxDontNeed) };
    }
    unmapped
}

impl Drop for Mmap {
    fn drop(&mut self) {
        for region in self.regions.get_mut().iter() {
            // SAFETY: what was allocated may be used no longer than the source lives.
            unsafe { unmap_region(region) };
        }
    }
}

impl fmt::Debug for Mmap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let regions = self.regions.lock();
        f.debug_struct("Mmap")
            .field("regions", &regions.iter().count())
            .field("pages", &regions.pages())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::backend::addresses;

    /// How many pages of a run are resident.
    fn resident(run: NonNull<u8>, pages: usize) -> usize {
        let mut page_states = vec![0; pages];
        // SAFETY: the run is mapped, and there is a byte for each page.
        let asked = unsafe {
            libc::mincore(
                run.as_ptr().cast(),
                pages * SOURCE_PAGE,
                page_states.as_mut_ptr(),
            )
        };
        assert_eq!(asked, 0);
        page_states.iter().filter(|&state| state & 1 == 1).count()
    }

    /// More runs than a call takes, of several lengths, every second one; with one call for many, and
    /// on a system that refuses it.
    #[test]
    fn many_runs_go_back_and_no_others() {
        if rustix::param::page_size() != SOURCE_PAGE {
            return;
        }
        for lists in [Lists::new(), Lists::refused()] {
            let mut source = Mmap::new();
            source.lists = lists;
            let runs: Vec<_> = (0..400)
                .map(|i| (source.alloc(1 + i % 5).unwrap(), 1 + i % 5))
                .collect();
            for &(run, pages) in &runs {
                // SAFETY: ours, and as long as asked for.
                unsafe { run.write_bytes(0xab, pages * SOURCE_PAGE) };
                assert_eq!(resident(run, pages), pages);
            }
            let every_second = |first: usize| runs.iter().skip(first).step_by(2).copied();
            let released: Vec<_> = every_second(0).collect();
            // SAFETY: from `alloc`, and used no more.
            unsafe { source.release_many(&released) };
            assert!(
                released
                    .iter()
                    .all(|&(run, pages)| resident(run, pages) == 0)
            );
            for (run, pages) in every_second(1) {
                // SAFETY: still ours.
                let bytes =
                    unsafe { std::slice::from_raw_parts(run.as_ptr(), pages * SOURCE_PAGE) };
                assert!(bytes.iter().all(|&byte| byte == 0xab));
            }
            // They are free to be had again, as zeros.
            let again: Vec<_> = (0..200).map(|_| source.alloc(1).unwrap()).collect();
            for page in again {
                assert!(released.iter().any(|&(run, pages)| {
                    addresses(run, pages * SOURCE_PAGE).contains(&page.addr().get())
                }));
                // SAFETY: ours.
                let bytes = unsafe { std::slice::from_raw_parts(page.as_ptr(), SOURCE_PAGE) };
                assert!(bytes.iter().all(|&byte| byte == 0));
            }
        }
    }

    #[test]
    fn a_system_that_takes_lists_is_given_lists() {
        let source = Mmap::new();
        let runs = [3, 1].map(|pages| (source.alloc(pages).unwrap(), pages));
        for &(run, pages) in &runs {
            // SAFETY: ours, and as long as asked for.
            unsafe { run.write_bytes(1, pages * SOURCE_PAGE) };
        }
        // SAFETY: ours; nobody relies on the contents.
        let done = unsafe { source.lists.discard(&runs) };
        let gone = runs.iter().all(|&(run, pages)| resident(run, pages) == 0);
        assert_eq!(done, gone);
        // SAFETY: from `alloc`, and used no more.
        unsafe { source.release_many(&runs) };
    }
}
