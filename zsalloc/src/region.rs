//! Regions: the spans of addresses that a pool's pages lie in.

use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::NonNull;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::backend::region::REGION_BYTES;
use crate::hold_time::HoldTimes;
use crate::member::Member;
use crate::pool::Pool;
use crate::zspage::ZspageId;

/// Names a region: 4 MiB of addresses that begin at a multiple of 4 MiB. It is a place and not a
/// thing, so an id is never stale; there may just be nothing of a pool in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RegionId(usize);

impl RegionId {
    /// The region that an address lies in.
    pub fn of_address(address: usize) -> Self {
        Self(address / REGION_BYTES)
    }

    /// The addresses of the region.
    pub fn addresses(self) -> Range<usize> {
        let start = self.0 * REGION_BYTES;
        // Nothing is ever stored in the last byte of the address space.
        start..start.saturating_add(REGION_BYTES)
    }

    /// The regions that a run touches; one, or two neighbours: a run is at most 1 MiB.
    fn of_run(base: usize, bytes: usize) -> impl Iterator<Item = Self> {
        (base / REGION_BYTES..=(base + bytes - 1) / REGION_BYTES).map(Self)
    }
}

/// One region at the moment it was listed by [`Pool::regions`]. A zspage that straddles the border
/// of two regions counts in both.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct RegionInfo {
    /// Its name.
    pub id: RegionId,
    /// The zspages in it.
    pub zspages: usize,
    /// The pages of these zspages.
    pub pages: usize,
    /// The objects in these zspages.
    pub objects: usize,
    /// Those of the zspages of which an object was mapped, or, for a moment, an insertion copied or
    /// idle pages were discarded. They would stay.
    pub mapped: usize,
    /// Pages in free runs that the pool [retains](crate::PoolBuilder::retain_pages).
    pub retained_pages: usize,
}

impl RegionInfo {
    fn new(id: RegionId) -> Self {
        Self {
            id,
            zspages: 0,
            pages: 0,
            objects: 0,
            mapped: 0,
            retained_pages: 0,
        }
    }
}

/// Where a zspage is.
pub(crate) struct Located {
    pub(crate) id: ZspageId,
    pub(crate) class: usize,
    pub(crate) pages: usize,
    pub(crate) objects: usize,
    pub(crate) slots: usize,
    mapped: bool,
    /// The address of its first page.
    pub(crate) base: NonNull<u8>,
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// The regions that hold pages of the pool, by address. The list is made at the call, waiting
    /// for each class's mutex in turn, for up to 512 zspages at a time, in the time that it takes to
    /// look at every zspage. A zspage that comes or goes meanwhile may be counted or not.
    ///
    /// What is in few regions, or in regions that are mostly empty, can be moved away with
    /// [`evacuate`](Self::evacuate):
    ///
    /// ```
    /// let pool = zsalloc::Pool::new();
    /// let handles: Vec<_> = (0..4000).map(|_| pool.alloc(3000)).collect::<Result<_, _>>()?;
    /// let regions: Vec<_> = pool.regions().collect();
    /// assert!(regions.len() > 2);
    /// let addresses = regions[0].id.addresses();
    /// assert_eq!((addresses.start % (4 << 20), addresses.len()), (0, 4 << 20));
    /// # handles.into_iter().for_each(|handle| pool.free(handle));
    /// assert_eq!(pool.regions().count(), 0);
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    pub fn regions(&self) -> impl Iterator<Item = RegionInfo> + use<L, S> {
        let mut regions = BTreeMap::new();
        let page_size = self.pages.page_size();
        self.for_each_zspage(|zspage| {
            for id in RegionId::of_run(zspage.base.addr().get(), zspage.pages * page_size) {
                let info = regions.entry(id).or_insert(RegionInfo::new(id));
                info.zspages += 1;
                info.pages += zspage.pages;
                info.objects += zspage.objects;
                info.mapped += usize::from(zspage.mapped);
            }
        });
        for (base, pages) in self.pages.retained_runs() {
            for id in RegionId::of_run(base, pages * page_size) {
                let info = regions.entry(id).or_insert(RegionInfo::new(id));
                info.retained_pages += pages;
            }
        }
        regions.into_values()
    }

    /// The zspages that lie, at least partly, in a region.
    pub(crate) fn zspages_in(&self, region: RegionId) -> Vec<Located> {
        let page_size = self.pages.page_size();
        let mut inside = Vec::new();
        self.for_each_zspage(|zspage| {
            let mut regions = RegionId::of_run(zspage.base.addr().get(), zspage.pages * page_size);
            if regions.any(|id| id == region) {
                inside.push(zspage);
            }
        });
        inside
    }

    fn for_each_zspage(&self, look: impl FnMut(Located)) {
        let classes = (0..self.class_count()).flat_map(|class| self.locate(class));
        classes.for_each(look);
    }

    /// Where the zspages of a class are.
    pub(crate) fn locate(&self, class: usize) -> Vec<Located> {
        let see = |member: Member<'_, L>| Located {
            id: member.id(),
            class,
            pages: member.pages(),
            objects: member.used(),
            slots: member.slots(),
            mapped: member.zspage().lock().is_locked(),
            base: member.zspage().base(),
        };
        self.list_class(class, &HoldTimes::default(), see, |zspage| zspage.id)
    }
}
