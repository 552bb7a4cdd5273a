//! Putting a waiting thread to sleep, and waking it.
//!
//! Three implementations with one interface: [parking_lot_core](https://docs.rs/parking_lot_core)'s table of queues
//! (feature `std`), a twin on loom's primitives for the models, and, without `std`, one that only spins.
//!
//! What the lock relies on:
//!
//! 1. `park` calls `validate` under the queue's lock and enqueues the thread only if it says so.
//! 2. The callbacks of `unpark_*` run under the same lock, with the woken threads already out of the queue.
//! 3. So between a `validate` that said yes and the thread being in the queue, no callback runs: a bit that `validate`
//!    saw set is cleared only by someone who then finds the thread.
//! 4. `park` returns `TimedOut` only if no unpark has chosen the thread: a wake-up is never lost to a time-out.
//! 5. What the waker did before its call to `unpark_*`, and in the callback, happens before the park returns.
//! 6. The callbacks of one queue never park, unpark or panic.

/// What a woken thread finds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wake {
    /// The lock may be free: try again. It is token 0, so that a stray wake-up means just this.
    Retry,
    /// The waker has taken the lock on this thread's behalf.
    Granted,
}

/// How a park ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Parked {
    /// Another thread chose this one.
    Woken(Wake),
    /// `validate` said no.
    Invalid,
    /// The deadline passed, and nobody had chosen this thread.
    TimedOut,
}

/// What a thread waits for, told to the callback of [`unpark_all`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waiter {
    /// It can be granted a share of the lock.
    Reader,
    /// It has to try by itself.
    Other,
}

/// What [`unpark_one`] took out of the queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Unparked {
    /// A thread was in the queue; it is about to wake.
    pub(crate) any: bool,
    /// Others are still in the queue.
    pub(crate) more: bool,
}

#[cfg(zslock_loom)]
mod loom;
#[cfg(not(any(feature = "std", zslock_loom)))]
mod spinning;
#[cfg(all(feature = "std", not(zslock_loom)))]
mod table;

#[cfg(zslock_loom)]
use self::loom as imp;
#[cfg(not(any(feature = "std", zslock_loom)))]
use spinning as imp;
#[cfg(all(feature = "std", not(zslock_loom)))]
use table as imp;

#[cfg(zslock_loom)]
pub use imp::is_anyone_parked;
pub(crate) use imp::{Deadline, park, unpark_all, unpark_one};
