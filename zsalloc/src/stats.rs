//! Counters and statistics.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::fullness::GROUPS;
use crate::hold_time::HoldTimes;
use crate::member::Member;
use crate::plan::surplus;
use crate::pool::Pool;
use crate::zspage::ZspageInfo;

/// Events since the pool was built. All orderings are Relaxed: statistics publish nothing.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    maps_waited: AtomicU64,
    migrations: AtomicU64,
    migrations_refused: AtomicU64,
    objects_moved: AtomicU64,
}

impl Counters {
    #[cold]
    pub(crate) fn map_waited(&self) {
        self.maps_waited.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn migrated(&self, objects: usize) {
        self.migrations.fetch_add(1, Ordering::Relaxed);
        self.moved(objects);
    }

    pub(crate) fn migration_refused(&self) {
        self.migrations_refused.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn moved(&self, objects: usize) {
        self.objects_moved
            .fetch_add(objects as u64, Ordering::Relaxed);
    }
}

/// A pool at one moment; what changes while it is counted may be counted either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct PoolStats {
    /// Objects stored.
    pub objects: usize,
    /// Zspages.
    pub zspages: usize,
    /// Pages held: see [`Pool::resident_pages`].
    pub resident_pages: usize,
    /// Pages that compaction would give back: see [`Pool::freeable`].
    pub freeable: usize,
    /// Pages among the resident ones without memory: compaction found no byte of an object in them
    /// and gave their memory back, and nothing was stored there since. See
    /// [`CompactReport::pages_discarded`](crate::CompactReport::pages_discarded).
    pub discarded_pages: usize,
    /// Bytes of handle table, zspage table, headers and lists. Without those that were retired and
    /// wait to be freed: see [limits](crate::docs::limits#what-others-in-the-process-do).
    pub metadata_bytes: usize,
    /// Maps that waited for a zspage to be migrated or emptied, so far. About: each looks once, just
    /// before it locks, so one that finds the lock released or taken a moment later is miscounted.
    /// (To try first would count exactly, but lockdep learns no order from attempts.)
    pub maps_waited: u64,
    /// Zspages migrated with [`Pool::migrate`] or [`Pool::evacuate`], so far.
    pub migrations: u64,
    /// Migrations refused as [busy](crate::MigrateError::Busy), so far: an object was mapped, or for a
    /// moment copied by an insertion, or idle pages were discarded.
    pub migrations_refused: u64,
    /// Objects moved by migration and compaction, so far.
    pub objects_moved: u64,
}

/// One size class: a row of the kernel's debugfs file `zsmalloc/*/classes`, which `Display` prints
/// in the same layout.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassStats {
    /// The index of the class before equal ones are merged, so numbers are missing: under
    /// [`Zsmalloc`](crate::ClassPolicy::Zsmalloc) the kernel's, `(size - 32) / step` with a step of a
    /// 256th of a page; under [`Adaptive`](crate::ClassPolicy::Adaptive) likewise, `size / step - 1`
    /// with a 128th.
    pub class: usize,
    /// The slot size in bytes.
    pub size: usize,
    /// Zspages by fullness: empty, below 10 %, below 20 %, ... below 100 %, full.
    pub zspages: [usize; GROUPS],
    /// Slots.
    pub obj_allocated: usize,
    /// Objects.
    pub obj_used: usize,
    /// Pages.
    pub pages_used: usize,
    /// The length of the class's longest zspage, in pages.
    pub pages_per_zspage: usize,
    /// Pages that compaction would give back.
    pub freeable: usize,
}

impl ClassStats {
    /// The head of the table whose rows `Display` prints.
    pub const HEADER: &'static str = " class  size       10%       20%       30%       40%       \
        50%       60%       70%       80%       90%       99%      100% obj_allocated   obj_used \
        pages_used pages_per_zspage freeable";

    /// The kernel's last row, `Total`, of such a table.
    ///
    /// ```
    /// use zsalloc::ClassStats;
    ///
    /// let pool = zsalloc::Pool::new();
    /// let total = ClassStats::total(&pool.class_stats()).to_string();
    /// assert!(total.starts_with(" Total "));
    /// assert_eq!(total.len(), ClassStats::HEADER.len());
    /// ```
    pub fn total(rows: &[Self]) -> impl fmt::Display {
        fmt::from_fn(move |f| {
            let sum = |of: fn(&Self) -> usize| rows.iter().map(of).sum::<usize>();
            write!(f, " {:>5} {:5}", "Total", "")?;
            for group in 1..GROUPS {
                let zspages: usize = rows.iter().map(|row| row.zspages[group]).sum();
                write!(f, " {zspages:9}")?;
            }
            write!(
                f,
                " {:13} {:10} {:10} {:16} {:8}",
                sum(|row| row.obj_allocated),
                sum(|row| row.obj_used),
                sum(|row| row.pages_used),
                "",
                sum(|row| row.freeable)
            )
        })
    }
}

impl fmt::Display for ClassStats {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, " {:5} {:5}", self.class, self.size)?;
        // Like the kernel, without the empty ones.
        for zspages in &self.zspages[1..] {
            write!(f, " {zspages:9}")?;
        }
        write!(
            f,
            " {:13} {:10} {:10} {:16} {:8}",
            self.obj_allocated,
            self.obj_used,
            self.pages_used,
            self.pages_per_zspage,
            self.freeable
        )
    }
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// The pages held; memory really resident is this less [`PoolStats::discarded_pages`] and less pages never touched.
    ///
    /// At this moment: those of zspages and of migrations in progress, and retained free ones. In units of the pool's page size. Never waits.
    ///
    /// ```
    /// let pool = zsalloc::Pool::new();
    /// let page = pool.alloc(4096)?;
    /// assert_eq!(pool.resident_pages(), 1);
    /// pool.free(page);
    /// assert_eq!(pool.resident_pages(), 0);
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    pub fn resident_pages(&self) -> usize {
        self.pages.resident()
    }

    /// Counts what the pool holds and has done. Waits for each class's mutex in turn.
    ///
    /// ```
    /// let pool = zsalloc::Pool::new();
    /// let handle = pool.insert(b"abc")?;
    /// let map = pool.read(&handle);
    /// let id = pool.zspages().next().unwrap().id;
    /// assert!(pool.migrate(id).is_err());
    /// drop(map);
    /// assert!(pool.migrate(id).is_ok());
    ///
    /// let stats = pool.stats();
    /// assert_eq!((stats.objects, stats.zspages, stats.resident_pages), (1, 1, 1));
    /// assert_eq!((stats.migrations_refused, stats.migrations, stats.objects_moved), (1, 1, 1));
    /// # pool.free(handle);
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    pub fn stats(&self) -> PoolStats {
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let mut stats = PoolStats {
            resident_pages: self.pages.resident(),
            metadata_bytes: self.table_bytes(),
            maps_waited: load(&self.counters.maps_waited),
            migrations: load(&self.counters.migrations),
            migrations_refused: load(&self.counters.migrations_refused),
            objects_moved: load(&self.counters.objects_moved),
            ..PoolStats::default()
        };
        for (index, chain) in self.table.chains().iter().enumerate() {
            let class = self.lock_class(index);
            stats.objects += class.objects();
            stats.zspages += class.len();
            stats.freeable += surplus(chain, &class);
            stats.discarded_pages += class.discarded_pages();
            stats.metadata_bytes += class.bytes();
        }
        stats
    }

    /// One row per size class, by size. Waits for each class's mutex in turn.
    ///
    /// ```
    /// use zsalloc::{ClassPolicy, ClassStats, Pool};
    ///
    /// let policy = ClassPolicy::Zsmalloc { chain_size: 8 };
    /// let pool = Pool::builder().classes(policy).build()?;
    /// let handle = pool.alloc(2100).unwrap();
    /// let rows = pool.class_stats();
    /// assert_eq!(rows.len(), 119);
    ///
    /// // As in the kernel's debugfs: the class of 2176 bytes has 15 slots in 8 pages.
    /// let row = rows.into_iter().find(|row| row.obj_used == 1).unwrap();
    /// assert_eq!((row.size, row.obj_allocated, row.pages_used), (2176, 15, 8));
    /// let table = format!("{}\n{row}", ClassStats::HEADER);
    /// assert!(table.starts_with(" class  size "));
    /// # pool.free(handle);
    /// # Ok::<(), zsalloc::BuildError>(())
    /// ```
    pub fn class_stats(&self) -> Vec<ClassStats> {
        let chains = self.table.chains().iter().enumerate();
        let row = |(index, chain): (usize, &crate::chain::Chain)| {
            let class = self.lock_class(index);
            ClassStats {
                class: self.table.raw_index(chain.size()),
                size: chain.size(),
                zspages: class.groups().counts(),
                obj_allocated: class.slots(),
                obj_used: class.objects(),
                pages_used: class.pages(),
                pages_per_zspage: chain.full().pages,
                freeable: surplus(chain, &class),
            }
        };
        chains.map(row).collect()
    }

    /// The zspages of the pool, class by class. The list is made at the call, waiting for each
    /// class's mutex in turn, for up to 512 zspages at a time. Each is listed once; one that comes or
    /// goes meanwhile, perhaps not; and it may be gone when it is used.
    ///
    /// ```
    /// let pool = zsalloc::Pool::new();
    /// let handle = pool.alloc(1000)?;
    /// let map = pool.read(&handle);
    /// let zspage = pool.zspages().next().unwrap();
    /// assert_eq!((zspage.size, zspage.pages, zspage.slots, zspage.used), (1024, 1, 4, 1));
    /// assert!(zspage.mapped);
    /// # drop(map);
    /// # pool.free(handle);
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    pub fn zspages(&self) -> impl Iterator<Item = ZspageInfo> + use<L, S> {
        let mut list = Vec::new();
        for (index, chain) in self.table.chains().iter().enumerate() {
            let see = |member: Member<'_, L>| ZspageInfo {
                id: member.id(),
                size: chain.size(),
                pages: member.pages(),
                slots: member.slots(),
                used: member.used(),
                mapped: member.zspage().lock().is_locked(),
            };
            list.extend(self.list_class(index, &HoldTimes::default(), see, |zspage| zspage.id));
        }
        list.into_iter()
    }
}

#[cfg(test)]
mod tests {
    use super::ClassStats;

    /// Header and two rows of the example in the kernel's Documentation/mm/zsmalloc.rst.
    const DOCUMENTED: [&str; 3] = [
        " class  size       10%       20%       30%       40%       50%       60%       70%       80%       90%       99%      100% obj_allocated   obj_used pages_used pages_per_zspage freeable",
        "    30   512         0        12         4         1         0         1         0         0         1         0       414          3464       3346        433                1       14",
        "    31   528         2         7         2         2         1         0         1         0         0         2       117          4154       3793        536                4       44",
    ];

    fn rows() -> [ClassStats; 2] {
        let row =
            |class,
             size,
             zspages,
             [obj_allocated, obj_used, pages_used, per, freeable]: [usize; 5]| {
                ClassStats {
                    class,
                    size,
                    zspages,
                    obj_allocated,
                    obj_used,
                    pages_used,
                    pages_per_zspage: per,
                    freeable,
                }
            };
        [
            row(
                30,
                512,
                [9, 0, 12, 4, 1, 0, 1, 0, 0, 1, 0, 414],
                [3464, 3346, 433, 1, 14],
            ),
            row(
                31,
                528,
                [9, 2, 7, 2, 2, 1, 0, 1, 0, 0, 2, 117],
                [4154, 3793, 536, 4, 44],
            ),
        ]
    }

    #[test]
    fn rows_stand_in_the_columns_of_the_kernels_documentation() {
        assert_eq!(ClassStats::HEADER, DOCUMENTED[0]);
        for (row, documented) in rows().iter().zip(&DOCUMENTED[1..]) {
            assert_eq!(row.to_string(), *documented);
        }
    }

    #[test]
    fn the_total_sums_each_column_in_its_place() {
        let total = ClassStats::total(&rows()).to_string();
        assert_eq!(total.len(), ClassStats::HEADER.len());
        let sums = [2, 19, 6, 3, 1, 1, 1, 0, 1, 2, 531, 7618, 7139, 969, 58];
        let fields: Vec<_> = total.split_whitespace().collect();
        assert_eq!(fields[0], "Total");
        assert_eq!(fields[1..], sums.map(|sum| sum.to_string()));
        // The column of pages per zspage is empty, as in the kernel.
        let end = DOCUMENTED[0].find(" freeable").unwrap();
        assert!(total[end - "pages_per_zspage".len()..end].trim().is_empty());
    }
}
