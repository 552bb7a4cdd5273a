//! Evacuation: moving everything out of a region, so that its addresses can be given back as a
//! whole.
//!
//! Evacuation goes through the zspages in the region, one at a time, while no new page comes from
//! there. Those whose objects fit into free slots elsewhere are emptied, which takes no pages; the
//! others are migrated. What it lists is never up to date: a zspage may be retired, migrated or mapped
//! before its turn comes, and one whose pages were taken just before the evacuation began may join
//! its class after the list was made. So it looks again until it finds nothing that it has not tried.

use std::collections::{HashMap, HashSet};

use lock_api::RawRwLock;

use crate::backend::{PageSource, addresses, overlaps};
use crate::hold_time::HoldTimes;
use crate::migrate::NotMoved;
use crate::pages::NoPages;
use crate::pool::Pool;
use crate::region::{Located, RegionId};
use crate::relocate::{Destinations, Step};
use crate::returns::Returns;
use crate::zspage::ZspageId;

/// The result of [`Pool::evacuate`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EvacuateReport {
    /// The region.
    pub region: RegionId,
    /// Zspages moved to other regions.
    pub zspages_moved: usize,
    /// Those of them that were not moved as they are, but emptied and given back: their objects
    /// fitted into free slots in other regions.
    pub zspages_emptied: usize,
    /// The pages of the zspages moved.
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
            zspages_emptied: 0,
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
    /// Its objects do not fit into free slots elsewhere, and the page source had no run of its length
    /// outside the regions that are being evacuated.
    Source,
    /// Its objects do not fit into free slots elsewhere, and the pool is at its limit,
    /// [`max_pages`](crate::PoolBuilder::max_pages): a migration holds both copies for a moment.
    /// [Compact](Pool::compact) or free objects, and evacuate again.
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
    /// each class's mutex in turn, and holds it while the objects of one zspage are copied, or 512
    /// zspages are looked at. Looks at every zspage of the pool, twice or a few times more, and once
    /// more at those of a class that has some in the region.
    ///
    /// Sparse zspages are emptied into free slots elsewhere, as far as there are any; that takes no
    /// pages. The others are moved as they are, as by [`migrate`](Self::migrate); of the pool's limit
    /// that needs as many pages as one zspage has. [Compact](Self::compact) before, and there is less
    /// to move.
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
            let (_, mut batch): (Vec<_>, Vec<_>) = inside
                .iter()
                .partition(|zspage| refused.contains_key(&zspage.id));
            if batch.is_empty() {
                break inside;
            }
            // Within a class the sparsest first: so the free slots elsewhere empty the most.
            batch.sort_unstable_by_key(|zspage| (zspage.class, zspage.objects));
            self.prepare(batch.iter().map(|zspage| zspage.id));
            for class in batch.chunk_by(|one, next| one.class == next.class) {
                self.move_out(class, &mut report, &mut refused);
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

    /// Moves zspages of one class out of their region, the sparsest first.
    #[track_caller]
    fn move_out(
        &self,
        zspages: &[&Located],
        report: &mut EvacuateReport,
        refused: &mut HashMap<ZspageId, StayReason>,
    ) {
        let mut destinations = self.room_outside(zspages);
        let (mut returns, times) = (Returns::to(&self.pages), HoldTimes::default());
        for &&Located { id, .. } in zspages {
            if let Some(room) = &mut destinations {
                match self.empty_zspage(id, room, usize::MAX, &mut returns, &times) {
                    Step::Emptied { objects, pages } => {
                        self.counters.moved(objects);
                        report.zspages_moved += 1;
                        report.zspages_emptied += 1;
                        report.pages_moved += pages;
                        report.objects_moved += objects;
                        continue;
                    }
                    // There is none for those that have more objects, either.
                    Step::NoRoom => destinations = None,
                    // Migration finds out what there is to report.
                    Step::Thinned { .. } | Step::Busy | Step::Gone => {}
                }
            }
            // They may be all that is left below the limit.
            returns.flush();
            let reason = match self.migrate_prepared(id) {
                Ok(moved) => {
                    report.zspages_moved += 1;
                    report.pages_moved += moved.pages;
                    report.objects_moved += moved.objects;
                    continue;
                }
                Err(NotMoved::Gone) => continue,
                Err(NotMoved::Busy) => StayReason::Mapped,
                Err(NotMoved::NoPages(NoPages::Source)) => StayReason::Source,
                Err(NotMoved::NoPages(NoPages::Limit)) => StayReason::Limit,
            };
            refused.insert(id, reason);
        }
    }

    /// The zspages of the same class that have room and lie where nothing is being evacuated, the
    /// fullest first.
    fn room_outside(&self, zspages: &[&Located]) -> Option<Destinations> {
        let class = zspages.first()?.class;
        // Somebody else may have migrated one of them meanwhile. It is no destination of itself.
        let sources: HashSet<_> = zspages.iter().map(|zspage| zspage.id).collect();
        let excluded = self.pages.excluded();
        let page_size = self.pages.page_size();
        let mut outside = self.locate(class);
        outside.retain(|zspage| {
            let run = addresses(zspage.base, zspage.pages * page_size);
            let has_room = zspage.objects < zspage.slots;
            has_room && !overlaps(&run, &excluded) && !sources.contains(&zspage.id)
        });
        outside.sort_unstable_by(|one, other| {
            (other.objects * one.slots).cmp(&(one.objects * other.slots))
        });
        let ids = outside.into_iter().map(|zspage| zspage.id);
        Some(Destinations::new(ids.collect()))
    }
}
