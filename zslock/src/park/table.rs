//! Parking in parking_lot_core's global table.

use core::cell::Cell;
use std::time::Instant;

use parking_lot_core::{FilterOp, ParkResult, ParkToken, UnparkResult, UnparkToken, unpark_filter};

use super::{Parked, Unparked, Waiter, Wake};

/// When to give up; `None` is never.
pub(crate) type Deadline = Option<Instant>;

const READER: ParkToken = ParkToken(1);
const OTHER: ParkToken = ParkToken(0);
const RETRY: UnparkToken = UnparkToken(0);
const GRANTED: UnparkToken = UnparkToken(1);

const fn token(wake: Wake) -> UnparkToken {
    match wake {
        Wake::Retry => RETRY,
        Wake::Granted => GRANTED,
    }
}

/// Sleeps on `key` until unparked or past `deadline`, if `validate` still agrees under the queue's lock.
/// `timed_out` is told, under that lock, whether this thread was the last in the queue.
pub(crate) fn park(
    key: usize,
    waiter: Waiter,
    validate: impl FnOnce() -> bool,
    timed_out: impl FnOnce(bool),
    deadline: Deadline,
) -> Parked {
    let park_token = match waiter {
        Waiter::Reader => READER,
        Waiter::Other => OTHER,
    };
    // SAFETY: `key` is an address inside the caller's own lock, so no other user of the table has it, and the
    // callbacks only touch that lock's word: they neither panic nor call into parking_lot_core.
    let result = unsafe {
        parking_lot_core::park(
            key,
            validate,
            || {},
            |_, was_last| timed_out(was_last),
            park_token,
            deadline,
        )
    };
    match result {
        ParkResult::Unparked(GRANTED) => Parked::Woken(Wake::Granted),
        ParkResult::Unparked(_) => Parked::Woken(Wake::Retry),
        ParkResult::Invalid => Parked::Invalid,
        ParkResult::TimedOut => Parked::TimedOut,
    }
}

/// Wakes the first thread on `key`, if there is one; `decide` says with what.
pub(crate) fn unpark_one(key: usize, decide: impl FnOnce(Unparked) -> Wake) {
    let callback = |result: UnparkResult| {
        token(decide(Unparked {
            any: result.unparked_threads != 0,
            more: result.have_more_threads,
        }))
    };
    // SAFETY: as in `park`; `decide` only touches the lock's word.
    unsafe { parking_lot_core::unpark_one(key, callback) };
}

/// Wakes every thread on `key`; `decide` is told how many of them are readers and says with what.
pub(crate) fn unpark_all(key: usize, decide: impl FnOnce(u32) -> Wake) {
    // The table asks about every thread first and calls back then; both closures look at the count.
    let readers = Cell::new(0);
    let count = |token: ParkToken| {
        readers.set(readers.get() + u32::from(token == READER));
        FilterOp::Unpark
    };
    // SAFETY: as in `park`; the filter touches a local, and `decide` only the lock's word.
    unsafe { unpark_filter(key, count, |_| token(decide(readers.get()))) };
}
