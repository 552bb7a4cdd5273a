//! Counters.

use std::sync::atomic::{AtomicU64, Ordering};

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::pool::Pool;

/// Events since the pool was built.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    maps_waited: AtomicU64,
}

impl Counters {
    #[cold]
    pub(crate) fn map_waited(&self) {
        // Relaxed: a statistic.
        self.maps_waited.fetch_add(1, Ordering::Relaxed);
    }
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// The pages that the pool holds at this moment: those of zspages and of migrations in
    /// progress, and retained free ones. In units of the pool's page size. Never waits.
    pub fn resident_pages(&self) -> usize {
        self.pages.resident()
    }
}
