//! How long a thread looks before it parks, and when a writer counts as starving.

use crate::park::Deadline;

/// Looks at the word before the first park, plain and gated. Forty `pause` are half a microsecond to two, by processor: longer than
/// a write section ought to last, shorter than a trip through the scheduler. A gated waiter waits for a whole phase of
/// others and looks longer. Chosen by `cargo run --release -p benches --bin locks`: with 100 for the plain lock the longest wait
/// of eight threads grew by half, with 100 for the gated one its throughput fell by a third. Spinning never yields:
/// `sched_yield` was measured to cost more than parking. loom explores the interleavings itself.
const FIRST_SPINS: [u32; 2] = if cfg!(zslock_loom) { [0, 0] } else { [40, 300] };
/// Looks after each park.
const SPINS: u32 = if cfg!(zslock_loom) { 0 } else { 40 };
/// Looks of the last reader at a lock that nobody takes, before it wakes a writer.
pub(crate) const LOOKS: u32 = if cfg!(zslock_loom) { 0 } else { 4 };

/// One wait for the lock: its spin budget, its deadline, and since when it lasts.
pub(crate) struct Wait {
    spins: u32,
    pub(crate) deadline: Deadline,
    patience: Patience,
}

impl Wait {
    pub(crate) fn until<const GATED: bool>(deadline: Deadline) -> Self {
        Self {
            spins: FIRST_SPINS[GATED as usize],
            deadline,
            patience: Patience::new(),
        }
    }

    /// Pauses once if the spin budget allows it; `false` means that it is time to park.
    pub(crate) fn spin(&mut self) -> bool {
        if self.spins == 0 {
            return false;
        }
        self.spins -= 1;
        core::hint::spin_loop();
        true
    }

    /// Back from a park: spin again before the next one.
    pub(crate) fn unparked(&mut self) {
        self.spins = SPINS;
        self.patience.unparked();
    }

    /// Whether this wait has lasted so long that the lock should be handed over. Asked before each park.
    pub(crate) fn is_starving(&mut self) -> bool {
        self.patience.is_exhausted()
    }
}

#[cfg(all(feature = "std", not(zslock_loom)))]
mod patience {
    use std::time::{Duration, Instant};

    /// A writer is starving once it has waited this long since it first parked.
    const LIMIT: Duration = Duration::from_millis(1);

    pub(crate) struct Patience(Option<Instant>);

    impl Patience {
        pub(crate) fn new() -> Self {
            Self(None)
        }

        pub(crate) fn unparked(&mut self) {}

        /// The clock starts at the first park: a wait that ends in the spin phase never reads it.
        pub(crate) fn is_exhausted(&mut self) -> bool {
            match self.0 {
                Some(since) => since.elapsed() > LIMIT,
                None => {
                    self.0 = Some(Instant::now());
                    false
                }
            }
        }
    }
}

#[cfg(zslock_loom)]
mod patience {
    /// loom has no clock: a wait is starving once it was woken in vain.
    pub(crate) struct Patience(bool);

    impl Patience {
        pub(crate) fn new() -> Self {
            Self(false)
        }

        pub(crate) fn unparked(&mut self) {
            self.0 = true;
        }

        pub(crate) fn is_exhausted(&mut self) -> bool {
            self.0
        }
    }
}

#[cfg(not(any(feature = "std", zslock_loom)))]
mod patience {
    /// Without parking there is nobody to hand the lock to.
    pub(crate) struct Patience;

    impl Patience {
        pub(crate) fn new() -> Self {
            Self
        }

        pub(crate) fn unparked(&mut self) {}

        pub(crate) fn is_exhausted(&mut self) -> bool {
            false
        }
    }
}

use patience::Patience;
