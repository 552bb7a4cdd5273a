//! When a lock is biased again: not before its readers have had the time to earn what its last revocation cost.
//!
//! A revocation that took `t` keeps its lock unbiased for `K * t`, as in BRAVO (D. Dice and A. Kogan, "BRAVO: Biased Locking for
//! Reader-Writer Locks", USENIX ATC 2019, there `N = 9`): whatever the mixture of reads and writes, revocations of a lock then take at most
//! one part in `K + 1` of the time. The table is shared by all locks and hashed by address: it is advice, and a lock that is kept unbiased by
//! another one's revocation is only slower.

#[cfg(all(feature = "std", not(zslock_loom)))]
mod clock {
    use core::sync::atomic::{AtomicU64, Ordering::Relaxed};
    use std::sync::OnceLock;
    use std::time::{Duration, Instant};

    /// How many times the cost of its last revocation a lock stays unbiased. A compromise: where one
    /// access in a hundred is a write a larger one loses less against the plain lock, where one in ten thousand is a smaller one gains more.
    const K: u32 = 20;

    const PLACES_LOG2: u32 = 10;
    /// Nanoseconds since [`start`] until which the locks of each place are not biased. Relaxed: it is advice.
    static INHIBITED_UNTIL: [AtomicU64; 1 << PLACES_LOG2] =
        [const { AtomicU64::new(0) }; 1 << PLACES_LOG2];

    fn place(address: usize) -> &'static AtomicU64 {
        // Fibonacci hashing (Knuth, The Art of Computer Programming 3, 6.4): 2^64 divided by the golden ratio.
        let hash = (address as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        &INHIBITED_UNTIL[(hash >> (u64::BITS - PLACES_LOG2)) as usize]
    }

    /// Nanoseconds since the first call; they last for centuries.
    fn now() -> u64 {
        static START: OnceLock<Instant> = OnceLock::new();
        nanoseconds(START.get_or_init(Instant::now).elapsed())
    }

    fn nanoseconds(duration: Duration) -> u64 {
        u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
    }

    /// What a revocation took.
    #[derive(Clone, Copy)]
    pub(crate) struct Cost(Duration);

    /// Runs the dear part of a revocation.
    pub(crate) fn cost_of(revocation: impl FnOnce()) -> Cost {
        let start = Instant::now();
        revocation();
        Cost(start.elapsed())
    }

    /// The lock was revoked at this cost.
    pub(crate) fn inhibit(address: usize, cost: Cost) {
        let until = now().saturating_add(nanoseconds(cost.0 * K));
        place(address).store(until, Relaxed);
    }

    /// Whether it is too early to bias the lock again.
    pub(crate) fn is_inhibited(address: usize) -> bool {
        now() < place(address).load(Relaxed)
    }
}

#[cfg(any(not(feature = "std"), zslock_loom))]
mod clock {
    //! loom has no clock, and its models say themselves when a lock is biased; without `std` none is.

    #[derive(Clone, Copy)]
    pub(crate) struct Cost;

    pub(crate) fn cost_of(revocation: impl FnOnce()) -> Cost {
        revocation();
        Cost
    }

    pub(crate) fn inhibit(_address: usize, _cost: Cost) {}

    pub(crate) fn is_inhibited(_address: usize) -> bool {
        true
    }
}

pub(crate) use clock::{cost_of, inhibit, is_inhibited};
