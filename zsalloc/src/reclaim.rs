//! Deferred reclamation: the only file that names crossbeam-epoch.
//!
//! A reader finds an object by following two tables without a lock, so a header or a table segment
//! that it may be looking at must not be freed under it. What becomes unreachable is *retired*: it
//! is freed once every thread that was pinned at that time has unpinned (K. Fraser, "Practical
//! lock-freedom", 2004; the implementation is crossbeam-epoch's).
//!
//! **Rule: pin first, lock second.** `pin` may run deferred functions, of this pool, of other pools
//! and of any other user of the default collector in the process. They may take locks. So no lock
//! of the pool is held when it pins; functions that retire under a lock take the caller's [`Pin`].

use std::ptr::NonNull;

use crate::primitive::is_broken;

#[cfg(any(zslock_loom, zsalloc_shuttle))]
pub(crate) mod twin;
#[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
use crossbeam_epoch as epoch;
#[cfg(any(zslock_loom, zsalloc_shuttle))]
use twin as epoch;

/// Proof that this thread is pinned: nothing retired from now on is freed before it is dropped.
pub(crate) struct Pin(epoch::Guard);

/// Pins the current thread. Must not be called with a lock of a pool held.
#[inline]
pub(crate) fn pin() -> Pin {
    Pin(epoch::pin())
}

/// Frees what this thread has retired so far, unless somebody is pinned who may look at it. With no lock of
/// a pool held, as for [`pin`].
pub(crate) fn collect() {
    let mut pin = pin();
    // A round advances the epoch by one, if nobody is behind; two later what was retired may be freed, and
    // what that retires in turn takes as long.
    (0..8).for_each(|_| pin.collect());
}

/// Frees what was retired by `end`. (The twins keep the memory until the next execution, and fail on
/// whoever still reaches for it.)
///
/// # Safety
///
/// Nobody uses `retired` but `end`, which may run at any later time, and captures nothing that can end
/// before.
unsafe fn free_with<T>(retired: NonNull<T>, end: impl FnOnce()) {
    #[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
    {
        let _ = retired;
        end();
    }
    #[cfg(any(zslock_loom, zsalloc_shuttle))]
    // SAFETY: the caller's promise.
    unsafe {
        twin::bury(retired, end);
    }
}

impl Pin {
    /// Pins anew and frees what may be freed, for those that retire much within one pin: the collector
    /// does a bounded amount of work once in 128 pins, and none for what is retired. With no lock of a
    /// pool held, as for [`pin`]. What was found within the pin must not be used after it.
    pub(crate) fn collect(&mut self) {
        self.0.repin();
        self.0.flush();
    }

    /// Runs `f` once no thread that is pinned now is pinned any more, on any thread.
    ///
    /// # Safety
    ///
    /// `f` may be sent to another thread and run there at any later time: what it captures is
    /// `Send`, and borrows nothing that can end before.
    pub(crate) unsafe fn defer(&self, f: impl FnOnce()) {
        if is_broken("retired without waiting") {
            return f();
        }
        // SAFETY: the caller's promise is the one that `defer_unchecked` asks for.
        unsafe { self.0.defer_unchecked(f) }
    }

    /// Frees `value` once no thread that is pinned now is pinned any more. A pointer, as a `Box` would
    /// claim to be the only way to memory that those threads still read.
    ///
    /// # Safety
    ///
    /// `value` came from a `Box`. `T` is `Send` and `'static`, though the compiler may not know, and no
    /// new reference to `value` can be obtained.
    pub(crate) unsafe fn retire<T>(&self, value: NonNull<T>) {
        // SAFETY: from a `Box`, and nobody else reaches it by then.
        let end = move || drop(unsafe { Box::from_raw(value.as_ptr()) });
        // SAFETY: the caller's promise is the same; the only capture is `value`.
        unsafe { self.retire_with(value, end) }
    }

    /// `retire` for what came from elsewhere: `end` frees it.
    ///
    /// # Safety
    ///
    /// As for `retire`, of `value` and of what `end` captures; `end` may be called once nobody reaches
    /// `value`.
    pub(crate) unsafe fn retire_with<T>(&self, value: NonNull<T>, end: impl FnOnce()) {
        if is_broken("segment freed without waiting") {
            // SAFETY: the caller's promise.
            return unsafe { free_with(value, end) };
        }
        // SAFETY: the caller says that all captures are `Send + 'static`, and that nobody else reaches
        // `value` by then.
        unsafe { self.defer(move || free_with(value, end)) }
    }
}
