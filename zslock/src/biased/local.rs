//! What a thread knows of its own: its slots, and how many reads it has counted.

use super::slots::Block;

#[cfg(any(feature = "std", zslock_loom))]
mod thread {
    use core::cell::Cell;

    use super::Block;
    use crate::biased::table::Lease;
    use crate::primitive::thread_local_cell;

    /// Counted reads between two attempts to bias a lock.
    const PERIOD: u32 = 64;
    /// The same after an attempt that came too early: each reads the clock, which takes as long as some reads.
    const LONG_PERIOD: u32 = 4 * PERIOD;

    /// Has no destructor: it can be used for as long as the thread runs.
    pub(super) struct Local {
        block: Cell<Option<&'static Block>>,
        /// No block, and none to be had: the table is full, or the thread is ending.
        is_denied: Cell<bool>,
        until_bias: Cell<u32>,
    }

    impl Local {
        pub(super) const fn new() -> Self {
            Self {
                block: Cell::new(None),
                is_denied: Cell::new(false),
                until_bias: Cell::new(PERIOD),
            }
        }
    }

    /// The thread's lease. It ends with the thread.
    pub(super) struct Tenant(Cell<Option<Lease>>);

    impl Tenant {
        pub(super) const fn new() -> Self {
            Self(Cell::new(None))
        }
    }

    impl Drop for Tenant {
        fn drop(&mut self) {
            // A model that has failed: nothing more can be asked of loom.
            #[cfg(zslock_loom)]
            if std::thread::panicking() {
                return;
            }
            // What reads from here on, in the destructors of other thread-locals, counts.
            let _ = LOCAL.try_with(|local| {
                local.block.set(None);
                local.is_denied.set(true);
            });
            if let Some(lease) = self.0.take() {
                lease.end();
            }
        }
    }

    thread_local_cell! {
        static LOCAL: Local = Local::new();
        static TENANT: Tenant = Tenant::new();
    }

    /// The slots of this thread, if it has any.
    #[inline]
    pub(crate) fn block() -> Option<&'static Block> {
        LOCAL
            .try_with(|local| local.block.get().or_else(|| lease(local)))
            .unwrap_or(None)
    }

    #[cold]
    #[inline(never)]
    fn lease(local: &Local) -> Option<&'static Block> {
        if local.is_denied.get() {
            return None;
        }
        // An error: the lease was ended already.
        let lease = TENANT.try_with(|tenant| {
            tenant.0.set(Lease::begin());
            tenant.0.get()
        });
        let block = lease.unwrap_or(None).map(|lease| lease.block);
        local.block.set(block);
        local.is_denied.set(block.is_none());
        block
    }

    /// The attempt came too early.
    pub(crate) fn postpone_bias() {
        let _ = LOCAL.try_with(|local| local.until_bias.set(LONG_PERIOD));
    }

    /// Told of every counted read; every so many of them it is time to try to bias the lock.
    #[inline]
    pub(crate) fn is_time_to_bias() -> bool {
        let countdown = |local: &Local| {
            let left = local.until_bias.get() - 1;
            local.until_bias.set(if left == 0 { PERIOD } else { left });
            left == 0
        };
        LOCAL.try_with(countdown).unwrap_or(false)
    }
}

#[cfg(any(feature = "std", zslock_loom))]
pub(crate) use thread::{block, is_time_to_bias, postpone_bias};

/// Without thread-locals nobody has slots.
#[cfg(not(any(feature = "std", zslock_loom)))]
pub(crate) const fn block() -> Option<&'static Block> {
    None
}

/// As [`is_time_to_bias`].
#[cfg(not(any(feature = "std", zslock_loom)))]
pub(crate) const fn postpone_bias() {}

/// And no lock is biased.
#[cfg(not(any(feature = "std", zslock_loom)))]
pub(crate) const fn is_time_to_bias() -> bool {
    false
}
