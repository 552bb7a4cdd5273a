//! Building a pool.

use std::fmt;

use lock_api::RawRwLock;
use zslock::RawZsLock;

use crate::auto_compact::AutoCompact;
use crate::backend::{Mmap, PageSource};
use crate::error::BuildError;
use crate::pool::Pool;
use crate::size_class::{self, CHAIN_SIZES};

/// How objects are sorted into size classes, and how long zspages are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClassPolicy {
    /// Exactly the kernel's: see [`size_class::table`]. For comparison with it.
    Zsmalloc {
        /// The longest zspage, in pages: 4..=16. The kernel's default is 8.
        chain_size: usize,
    },
    /// Classes 32 bytes apart (a 128th of a page), of which those with the same runs are one: 113 with
    /// 4 KiB pages and at most 16 of them. Zspages of one class may differ in length. A
    /// class grows by the longest efficient run that at most doubles it, so small classes stay
    /// small and large ones waste little. In a pool of 64 pages or more the run may have up to four times
    /// as many slots as the class has objects: pages of it that are not used yet take no memory.
    Adaptive {
        /// The longest zspage, in pages: 1..=16.
        max_pages: usize,
    },
}

impl Default for ClassPolicy {
    /// `Adaptive { max_pages: 16 }`.
    fn default() -> Self {
        Self::Adaptive { max_pages: 16 }
    }
}

/// Configures a [`Pool`]; made by [`Pool::builder`].
///
/// ```
/// use zsalloc::{ClassPolicy, Pool};
///
/// let pool = Pool::builder()
///     .classes(ClassPolicy::Zsmalloc { chain_size: 8 })
///     .max_pages(1024)
///     .build()?;
/// assert_eq!(pool.resident_pages(), 0);
/// # Ok::<(), zsalloc::BuildError>(())
/// ```
#[must_use = "a builder does nothing until `build`"]
pub struct PoolBuilder<L, S> {
    pub(crate) classes: ClassPolicy,
    pub(crate) page_size: usize,
    pub(crate) source: S,
    pub(crate) new_lock: fn() -> L,
    pub(crate) prepare_exclusive: Option<fn(&[&L])>,
    pub(crate) max_pages: usize,
    pub(crate) retain_pages: usize,
    pub(crate) auto_compact: Option<AutoCompact>,
}

impl PoolBuilder<RawZsLock, Mmap> {
    pub(crate) fn new() -> Self {
        Self {
            classes: ClassPolicy::default(),
            page_size: 4096,
            source: Mmap::new(),
            new_lock: crate::class_lock::zspage_lock,
            prepare_exclusive: None,
            max_pages: usize::MAX,
            retain_pages: 0,
            auto_compact: None,
        }
    }
}

impl<L, S> PoolBuilder<L, S> {
    /// How objects are sorted into classes. Default: `Adaptive { max_pages: 16 }`.
    pub fn classes(mut self, classes: ClassPolicy) -> Self {
        self.classes = classes;
        self
    }

    /// The page size in bytes, a power of two in 4096..=65536; also the longest object. Default:
    /// 4096.
    pub fn page_size(mut self, page_size: usize) -> Self {
        self.page_size = page_size;
        self
    }

    /// Where pages come from. Default: [`Mmap`].
    pub fn backend<T: PageSource>(self, source: T) -> PoolBuilder<L, T> {
        PoolBuilder {
            classes: self.classes,
            page_size: self.page_size,
            source,
            new_lock: self.new_lock,
            prepare_exclusive: self.prepare_exclusive,
            max_pages: self.max_pages,
            retain_pages: self.retain_pages,
            auto_compact: self.auto_compact,
        }
    }

    /// The lock of a zspage: any reader-writer lock of `lock_api`. `new_lock` makes an unlocked
    /// one; it is called for each new zspage. Resets
    /// [`prepare_exclusive`](Self::prepare_exclusive), which depends on the lock's type. What the pool
    /// asks of a lock, and what its code may do, is in [plugging in](crate::docs::plugging_in).
    ///
    /// ```
    /// use zsalloc::Pool;
    /// use zsalloc::lock_api::RawRwLock;
    ///
    /// let pool = Pool::builder().lock_with(|| parking_lot::RawRwLock::<false>::INIT).build()?;
    /// # drop(pool);
    /// # Ok::<(), zsalloc::BuildError>(())
    /// ```
    pub fn lock_with<K: RawRwLock>(self, new_lock: fn() -> K) -> PoolBuilder<K, S> {
        PoolBuilder {
            classes: self.classes,
            page_size: self.page_size,
            source: self.source,
            new_lock,
            prepare_exclusive: None,
            max_pages: self.max_pages,
            retain_pages: self.retain_pages,
            auto_compact: self.auto_compact,
        }
    }

    /// A function that is told which zspage locks are about to be tried exclusively: once for each
    /// batch of a compaction, once for a migration. For locks that can prepare many at once, such
    /// as a biased lock that revokes the bias of a batch with one barrier. It is called with no
    /// lock of the pool held, and the locks may be in any state. Default: none.
    pub fn prepare_exclusive(mut self, prepare: fn(&[&L])) -> Self {
        self.prepare_exclusive = Some(prepare);
        self
    }

    /// The most pages that the pool may hold, those of migrations in progress and retained ones
    /// included. Default: no limit.
    pub fn max_pages(mut self, max_pages: usize) -> Self {
        self.max_pages = max_pages;
        self
    }

    /// How many free pages the pool keeps instead of returning them at once, for speed. They count
    /// as resident; [`trim`](Pool::trim) returns them. What [`free`](Pool::free),
    /// [`compact`](Pool::compact) and [`migrate`](Pool::migrate) give back goes here first, and the
    /// oldest pages beyond this number on to the source; of 128 and more, up to one in 64 (and at
    /// most 64) before they must, so that one system call returns several. Default: 0, every free
    /// page goes back at once.
    pub fn retain_pages(mut self, retain_pages: usize) -> Self {
        self.retain_pages = retain_pages;
        self
    }

    /// Lets the pool compact by itself, in small steps, when objects are freed. Default: off.
    ///
    /// After a free ([`free`](Pool::free), [`free_many`](Pool::free_many), [`take`](Pool::take), or
    /// [`replace`](Pool::replace) across size classes) whose class has a whole zspage too many, and
    /// more surplus pages than the [slack](AutoCompact::slack) allows, the freeing thread moves some
    /// objects of the class together, after its own object is free and with no lock held.
    ///
    /// * Two frees pay for one move: over the life of a pool, steps move at most half as many objects
    ///   as were freed, whatever the load. One free moves at most 64 objects; `free_many`, at most 64
    ///   more than it frees.
    /// * Like [`compact`](Pool::compact), a step never waits for a map. Zspages with mapped objects
    ///   are skipped, and a class in which nothing could be moved is left alone for 16 frees,
    ///   then 32, up to 4096.
    /// * A pool in which nothing is freed does nothing: what the last frees left is for `compact`.
    /// * An insertion that meets [`max_pages`](Self::max_pages) compacts before it is refused, the
    ///   classes with the largest surplus first, until it finds its pages. These moves are not bound
    ///   by the credit of the frees. It is refused when no step gains anything, and so are the next
    ///   15, at once, unless something is freed before.
    ///
    /// What the slack costs and gives, with 90,000 objects of log-normal sizes (median 1300 bytes)
    /// of which random ones are replaced, two replacements an object: bytes of pages and metadata
    /// for each byte stored, and objects moved for each one replaced.
    ///
    /// | slack | adaptive classes | zsmalloc's, chain 8 |
    /// |---|---|---|
    /// | off | 1.085, 0 | 1.080, 0 |
    /// | 0.1 | 1.075, 0.004 | 1.075, 0.003 |
    /// | 0.05 | 1.057, 0.020 | 1.063, 0.017 |
    /// | 0.03, the default | 1.049, 0.040 | 1.055, 0.036 |
    /// | 0.02 | 1.047, 0.052 | 1.052, 0.052 |
    /// | 0.0 | 1.046, 0.077 | 1.047, 0.100 |
    ///
    /// `cargo test --release -p zsalloc --test auto_density figures -- --ignored --nocapture` prints
    /// them. The smaller a class, the more a zspage weighs, and the less automatic compaction gains.
    pub fn auto_compact(mut self, policy: AutoCompact) -> Self {
        self.auto_compact = Some(policy);
        self
    }
}

impl<L: RawRwLock + Send + Sync + 'static, S: PageSource> PoolBuilder<L, S> {
    /// Builds the pool. No page is allocated yet.
    ///
    /// # Errors
    ///
    /// A page size, chain size or maximum out of range; a source that cannot serve the page size;
    /// the 2^32 - 1 pool ids of the process used up.
    pub fn build(self) -> Result<Pool<L, S>, BuildError> {
        let page_size = self.page_size;
        if !size_class::is_page_size(page_size) {
            return Err(BuildError::PageSize { page_size });
        }
        let granularity = self.source.granularity();
        if granularity > page_size {
            return Err(BuildError::SourceGranularity {
                page_size,
                granularity,
            });
        }
        if self
            .auto_compact
            .as_ref()
            .is_some_and(|policy| !policy.is_valid())
        {
            return Err(BuildError::Slack);
        }
        match self.classes {
            ClassPolicy::Zsmalloc { chain_size } if !CHAIN_SIZES.contains(&chain_size) => {
                Err(BuildError::ChainSize { chain_size })
            }
            ClassPolicy::Adaptive { max_pages } if !(1..=16).contains(&max_pages) => {
                Err(BuildError::MaxPages { max_pages })
            }
            _ => Pool::with_config(self),
        }
    }
}

impl<L, S: fmt::Debug> fmt::Debug for PoolBuilder<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PoolBuilder")
            .field("classes", &self.classes)
            .field("page_size", &self.page_size)
            .field("source", &self.source)
            .field("max_pages", &self.max_pages)
            .field("retain_pages", &self.retain_pages)
            .field("auto_compact", &self.auto_compact)
            .finish_non_exhaustive()
    }
}
