//! What the pool is made of: the real thing, or the twins that a model checker watches.
//!
//! Under `--cfg zslock_loom` (one flag models the pool on top of the modelled lock) and `--cfg zsalloc_shuttle` the
//! atomics, the class mutex ([`class_lock`](crate::class_lock)) and the epoch ([`reclaim`](crate::reclaim)) are twins, tables
//! are tiny, and [`shadow`] tells the checker of every access to memory that is no atomic. In a normal build all of this is
//! the standard library's or compiles to nothing.
//!
//! Counters, serial numbers and pool ids stay plain atomics everywhere: they publish nothing, and would only multiply the
//! executions.

#[cfg(any(zslock_loom, zsalloc_shuttle))]
pub mod execution;
#[cfg(any(zslock_loom, zsalloc_shuttle))]
mod mutex;
#[cfg(any(zslock_loom, zsalloc_shuttle))]
#[path = "primitive/watched.rs"]
pub(crate) mod shadow;

#[cfg(zslock_loom)]
pub(crate) use loom::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};
#[cfg(zsalloc_shuttle)]
pub(crate) use shuttle::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};
#[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
pub(crate) use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64};

#[cfg(zslock_loom)]
pub(crate) use loom::hint::spin_loop;
#[cfg(zsalloc_shuttle)]
pub(crate) use shuttle::hint::spin_loop;
#[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
pub(crate) use std::hint::spin_loop;

#[cfg(any(zslock_loom, zsalloc_shuttle))]
pub(crate) use execution::{is_broken, ordering};
#[cfg(any(zslock_loom, zsalloc_shuttle))]
pub(crate) use mutex::RawMutex;

/// The ordering of a site. (The mutation run may weaken it.)
#[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
#[inline(always)]
pub(crate) const fn ordering(site: crate::order::Site) -> std::sync::atomic::Ordering {
    site
}

/// Whether a protocol mutant is on. (Only in the mutation run.)
#[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
#[inline(always)]
pub(crate) const fn is_broken(_mutant: &str) -> bool {
    false
}

/// Tells the story of an execution. (Only under a checker.)
#[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
#[inline(always)]
pub(crate) fn note(_what: impl FnOnce() -> String) {}
#[cfg(any(zslock_loom, zsalloc_shuttle))]
pub(crate) fn note(what: impl FnOnce() -> String) {
    execution::step(what());
}

/// Sizes of tables, as small under a checker as they can be, so that few objects make them grow and shrink.
pub(crate) mod size {
    const CHECKED: bool = cfg!(any(zslock_loom, zsalloc_shuttle));

    /// Cells per segment of the handle table: one page of 8-byte cells.
    pub(crate) const HANDLE_SEGMENT: usize = if CHECKED { 1 } else { 512 };
    /// Cells per segment of the zspage table: one page of headers of 64 bytes.
    pub(crate) const ZSPAGE_SEGMENT: usize = if CHECKED { 1 } else { 64 };
    /// The most that a table has.
    pub(crate) const MAX_SEGMENT: usize = if CHECKED { 1 } else { 512 };
    /// Places in a table's first directory.
    pub(crate) const DIRECTORY: usize = if CHECKED { 1 } else { 4 };
    /// How many handles a class fetches from the table at a time; twice as many are kept.
    pub(crate) const HANDLE_BATCH: usize = if CHECKED { 1 } else { 32 };
    /// After so many retirements within one pin `free_many` lets go of what went before.
    pub(crate) const COLLECT_INTERVAL: usize = if CHECKED { 1 } else { 64 };
    /// Classes of the adaptive policy, before equal ones are merged: 32 bytes apart with 4 KiB pages.
    pub(crate) const ADAPTIVE_CLASSES: usize = if CHECKED { 4 } else { 128 };
}

/// Memory that is no atomic, as a checker sees it: slots, headers, segments, directories, each named by where it begins.
///
/// The checker fails if an access is not ordered after the last one that conflicts with it, or if it goes to something that
/// has been freed, moved away or given back. Nothing here touches the memory itself.
#[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
pub(crate) mod shadow {
    use std::ptr::NonNull;

    /// What begins at `place` is read.
    #[inline(always)]
    pub(crate) fn read<T>(_place: NonNull<T>) {}

    /// What begins at `place` is written for the first time, or for the first time after it ended.
    #[inline(always)]
    pub(crate) fn written<T>(_place: NonNull<T>) {}

    /// An object of `bytes` bytes is stored in a slot.
    #[inline(always)]
    pub(crate) fn stored(_slot: NonNull<u8>, _bytes: usize) {}

    /// What begins at `place` is written over.
    #[inline(always)]
    pub(crate) fn changed<T>(_place: NonNull<T>) {}

    /// What began at `place` ends; it may be written again.
    #[inline(always)]
    pub(crate) fn freed<T>(_place: NonNull<T>) {}

    /// A run of pages is taken from where pages come from.
    #[inline(always)]
    pub(crate) fn taken(_run: NonNull<u8>, _bytes: usize) {}

    /// A run of pages is given back. It holds no object.
    #[inline(always)]
    pub(crate) fn given_back(_run: NonNull<u8>, _bytes: usize) {}

    /// The memory of a part of a run is given back. It holds no object.
    #[inline(always)]
    pub(crate) fn discarded(_part: NonNull<u8>, _bytes: usize) {}
}
