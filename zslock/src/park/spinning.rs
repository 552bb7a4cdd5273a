//! Waiting without an operating system: look again after a while.
//!
//! Nobody is ever in a queue, so nobody can be woken, and a parked bit in the word only sends the next unlock through its
//! slow path, which clears it.

use super::{Parked, Unparked, Waiter, Wake};

/// Without a clock there are no deadlines.
pub(crate) type Deadline = Option<core::convert::Infallible>;

/// `pause` instructions between two looks.
const PAUSES: u32 = 64;

pub(crate) fn park(
    _key: usize,
    _waiter: Waiter,
    validate: impl FnOnce() -> bool,
    _timed_out: impl FnOnce(bool),
    _deadline: Deadline,
) -> Parked {
    if !validate() {
        return Parked::Invalid;
    }
    for _ in 0..PAUSES {
        core::hint::spin_loop();
    }
    Parked::Woken(Wake::Retry)
}

pub(crate) fn unpark_one(_key: usize, decide: impl FnOnce(Unparked) -> Wake) {
    decide(Unparked {
        any: false,
        more: false,
    });
}

pub(crate) fn unpark_all(_key: usize, decide: impl FnOnce(u32) -> Wake) {
    decide(0);
}
