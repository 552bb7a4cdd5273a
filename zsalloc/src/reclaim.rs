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

/// Frees what was retired: the end of a deferred function. (The twins keep the memory, and fail on
/// whoever still reaches for it.)
///
/// # Safety
///
/// `retired` came from a `Box`, and nobody else uses it.
pub(crate) unsafe fn free<T>(retired: NonNull<T>) {
    #[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
    // SAFETY: the caller's promise.
    drop(unsafe { Box::from_raw(retired.as_ptr()) });
    #[cfg(any(zslock_loom, zsalloc_shuttle))]
    twin::bury(retired);
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
        if is_broken("segment freed without waiting") {
            // SAFETY: the caller's promise.
            return unsafe { free(value) };
        }
        // SAFETY: the only capture is `value`, which the caller says is `Send + 'static`, and which
        // nobody else reaches by then.
        unsafe { self.defer(move || free(value)) }
    }
}
