//! How much memory the pool holds, and how much the system sees this process hold.

use examples::memory::process_bytes;
use zsalloc::Pool;

use crate::store::ZspageLock;

/// Both sizes at one moment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sample {
    /// Nanoseconds since the run began.
    pub(crate) at: u64,
    pub(crate) pool_pages: u64,
    /// `None` where the system does not tell.
    pub(crate) process_bytes: Option<u64>,
}

impl Sample {
    pub(crate) fn of<L: ZspageLock>(pool: &Pool<L>, at: u64) -> Self {
        Sample {
            at,
            pool_pages: pool.resident_pages() as u64,
            process_bytes: process_bytes(),
        }
    }
}
