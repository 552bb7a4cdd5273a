//! Evacuation: moving everything out of a region, so that its addresses can be given back as a
//! whole.
//!
//! Evacuation is migration of whatever lies in the region, one zspage at a time, while no new page
//! comes from there. What it lists is never up to date: a zspage may be retired, migrated or mapped
//! before its turn comes, and one whose pages were taken just before the evacuation began may join
//! its class after the list was made. So it looks again until it finds nothing that it has not tried.

use std::collections::HashMap;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::migrate::NotMoved;
use crate::pages::NoPages;
use crate::pool::Pool;
use crate::region::RegionId;
use crate::zspage::ZspageId;

/// The result of [`Pool::evacuate`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvacuateReport {
    /// The region.
    pub region: RegionId,
    /// Zspages moved to other regions.
    pub zspages_moved: usize,
    /// The pages of these zspages.
    pub pages_moved: usize,
    /// The objects in them.
    pub objects_moved: usize,
    /// Retained free pages returned to the source.
    pub retained_pages: usize,
    /// The zspages that are still in the region, and why.
    pub stayed: Vec<Stayed>,
    /// The page source says that nothing is left in the region: no pages of this or another pool,
    /// and nothing that it keeps. With [`Mmap`](crate::Mmap) the addresses are unmapped. A source
    /// that cannot tell never says so.
    pub given_back: bool,
}

impl EvacuateReport {
    fn new(region: RegionId) -> Self {
        Self {
            region,
            zspages_moved: 0,
            pages_moved: 0,
            objects_moved: 0,
            retained_pages: 0,
            stayed: Vec::new(),
            given_back: false,
        }
    }

    /// Whether the pool has no zspage and no free page in the region any more. Pages that another
    /// thread had fetched before the evacuation began, and not put to use before it ended, are not
    /// seen; evacuate again if [`given_back`](Self::given_back) says that something is left.
    pub fn is_empty(&self) -> bool {
        self.stayed.is_empty()
    }

    /// The number of zspages that stayed for one reason.
    pub fn stayed_because(&self, reason: StayReason) -> usize {
        let stayed = self.stayed.iter();
        stayed.filter(|stayed| stayed.reason == reason).count()
    }
}

/// A zspage that an evacuation did not move.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stayed {
    /// The zspage.
    pub id: ZspageId,
    /// Its length in pages.
    pub pages: usize,
    /// Why it stayed.
    pub reason: StayReason,
}

/// Why a zspage stayed in a region.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StayReason {
    /// An object of it was mapped, or being written by an insertion, or compaction was giving idle
    /// pages of it back. Evacuate again when the maps are gone.
    Mapped,
    /// The page source had no run of this length outside the regions that are being evacuated.
    Source,
    /// The pool is at its limit, [`max_pages`](crate::PoolBuilder::max_pages), and a migration holds
    /// both copies for a moment. [Compact](Pool::compact) or free objects, and evacuate again.
    Limit,
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Moves everything out of a region, so that its 4 MiB of addresses can be given back as a
    /// whole. Handles stay valid.
    ///
    /// While it runs, no pages come from the region for insertions, compactions, migrations and
    /// other evacuations, and none are retained there. Several regions, and the same one several
    /// times, may be evacuated at once. Afterwards the region is like any other: what its
    /// addresses are used for is up to the page source.
    ///
    /// Never waits for a map: a zspage with a mapped object stays, and the report says so. Waits for
    /// each class's mutex in turn, and holds it while one zspage is copied. Looks at every zspage of
    /// the pool, twice or a few times more. Of the pool's limit it needs as many pages as one zspage
    /// has.
    ///
    /// Every zspage is moved as it is, however few objects are in it.
    /// [Compact](Self::compact) before, and there is less to move.
    ///
    /// ```
    /// use zsalloc::{Pool, StayReason};
    ///
    /// let pool = Pool::new();
    /// let handles: Vec<_> = (0..4000).map(|_| pool.alloc(3000)).collect::<Result<_, _>>()?;
    ///
    /// // One mapped object keeps its zspage, and so the region.
    /// let map = pool.read(&handles[0]);
    /// let region = pool.regions().find(|region| region.mapped > 0).unwrap();
    /// let report = pool.evacuate(region.id);
    /// assert_eq!(report.stayed_because(StayReason::Mapped), 1);
    /// assert_eq!(report.zspages_moved, region.zspages - 1);
    /// assert!(!report.given_back);
    ///
    /// drop(map);
    /// let report = pool.evacuate(region.id);
    /// assert!(report.is_empty() && report.given_back);
    /// assert!(pool.regions().all(|other| other.id != region.id));
    /// # handles.into_iter().for_each(|handle| pool.free(handle));
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    ///
    /// A region without pages of this pool is reported as empty, with nothing moved.
    ///
    /// The kernel does this to zsmalloc's pages, too, when it needs a contiguous block or takes
    /// memory offline: see
    /// [page migration](https://docs.kernel.org/mm/page_migration.html#non-lru-page-migration).
    #[track_caller]
    pub fn evacuate(&self, region: RegionId) -> EvacuateReport {
        // Ends even if a lock's or the source's code panics.
        let exclusion = self.pages.exclude(region.addresses());
        let mut report = EvacuateReport::new(region);
        report.retained_pages = exclusion.release_retained();
        let mut refused = HashMap::new();
        // Nothing can enter the region but what had its pages before, so this ends.
        let stayed = loop {
            let inside = self.zspages_in(region);
            let ids = inside.iter().map(|zspage| zspage.id);
            let batch: Vec<_> = ids.filter(|id| !refused.contains_key(id)).collect();
            if batch.is_empty() {
                break inside;
            }
            self.prepare(batch.iter().copied());
            for id in batch {
                self.move_out(id, &mut report, &mut refused);
            }
        };
        let stayed = stayed.into_iter().map(|zspage| Stayed {
            id: zspage.id,
            pages: zspage.pages,
            reason: refused[&zspage.id],
        });
        report.stayed = stayed.collect();
        report.given_back = exclusion.trim_source();
        report
    }

    #[track_caller]
    fn move_out(
        &self,
        id: ZspageId,
        report: &mut EvacuateReport,
        refused: &mut HashMap<ZspageId, StayReason>,
    ) {
        let reason = match self.migrate_prepared(id) {
            Ok(moved) => {
                report.zspages_moved += 1;
                report.pages_moved += moved.pages;
                report.objects_moved += moved.objects;
                return;
            }
            Err(NotMoved::Gone) => return,
            Err(NotMoved::Busy) => StayReason::Mapped,
            Err(NotMoved::NoPages(NoPages::Source)) => StayReason::Source,
            Err(NotMoved::NoPages(NoPages::Limit)) => StayReason::Limit,
        };
        refused.insert(id, reason);
    }
}
