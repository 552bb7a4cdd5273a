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

use crossbeam_epoch::Guard;

/// Proof that this thread is pinned: nothing retired from now on is freed before it is dropped.
pub(crate) struct Pin(Guard);

/// Pins the current thread. Must not be called with a lock of a pool held.
#[inline]
pub(crate) fn pin() -> Pin {
    Pin(crossbeam_epoch::pin())
}

impl Pin {
    /// Runs `f` once no thread that is pinned now is pinned any more, on any thread.
    ///
    /// # Safety
    ///
    /// `f` may be sent to another thread and run there at any later time: what it captures is
    /// `Send`, and borrows nothing that can end before.
    pub(crate) unsafe fn defer(&self, f: impl FnOnce()) {
        // SAFETY: the caller's promise is the one that `defer_unchecked` asks for.
        unsafe { self.0.defer_unchecked(f) }
    }

    /// Frees `value` once no thread that is pinned now is pinned any more.
    ///
    /// # Safety
    ///
    /// `T` is `Send` and `'static`, though the compiler may not know, and no new reference to
    /// `value` can be obtained.
    pub(crate) unsafe fn retire<T>(&self, value: Box<T>) {
        // SAFETY: the only capture is `value`, which the caller says is `Send + 'static`.
        unsafe { self.defer(move || drop(value)) }
    }
}
