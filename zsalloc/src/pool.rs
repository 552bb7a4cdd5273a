//! The pool: what it consists of, how it begins and ends.

use std::fmt;
use std::ptr::NonNull;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

use lock_api::RawRwLock;
use zslock::RawZsLock;

use crate::auto_compact::Automatic;
use crate::backend::{Mmap, PageSource};
use crate::chain::{ClassTable, Run};
use crate::class::Class;
use crate::class_lock::{self, PoolMutex, RawPoolMutex, ZSPAGE_TABLE, class_mutex};
use crate::config::PoolBuilder;
use crate::error::{BuildError, HandleError};
use crate::handle::Handle;
use crate::handle_table::HandleTable;
use crate::index_table::IndexTable;
use crate::metadata::MetadataPages;
use crate::pages::{NoPages, Pages};
use crate::primitive::is_broken;
use crate::reclaim::{self, Pin};
use crate::returns::Returns;
use crate::stats::Counters;
use crate::sweep::Turn;
use crate::zspage::{Zspage, next_serial};
use crate::zspage_table::{Ending, ZspageTable};

/// The id of the next pool; ids start at 1 and are never reused. 0: exhausted.
static NEXT_ID: AtomicU32 = AtomicU32::new(1);
/// The serial number of the next zspage of any pool, so that no pool takes another's for its own.
static NEXT_SERIAL: AtomicU32 = AtomicU32::new(1);

fn next_id(next: &AtomicU32) -> Result<u32, BuildError> {
    // Relaxed: only uniqueness matters, which any atomic read-modify-write gives.
    next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |id| {
        (id != 0).then(|| id.wrapping_add(1))
    })
    .map_err(|_| BuildError::PoolIdsExhausted)
}

/// A pool of small objects that can be moved.
///
/// `L` is the lock of a zspage, any raw reader-writer lock of `lock_api`; `S` is where pages come
/// from. All methods take `&self`; a pool is `Send` and `Sync` if its lock is. Dropping the pool
/// frees every object and page.
///
/// ```
/// let pool = zsalloc::Pool::new();
/// let handle = pool.insert(b"hello")?;
/// assert_eq!(&*pool.read(&handle), b"hello");
/// pool.free(handle);
/// # Ok::<(), zsalloc::AllocError>(())
/// ```
///
/// Maps borrow the pool, so it cannot be dropped under them:
///
/// ```compile_fail,E0505
/// let pool = zsalloc::Pool::new();
/// let handle = pool.insert(b"hello")?;
/// let map = pool.read(&handle);
/// drop(pool);
/// drop(map);
/// # Ok::<(), zsalloc::AllocError>(())
/// ```
// Invariant: a `Pool<L, S>` is made only by `PoolBuilder::build`, which asks for `L: Send + Sync +
// 'static`. The type is invariant in `L` (`UnsafeCell` in its zspage table), so this holds wherever a pool is seen, and
// the methods need not repeat the bounds.
pub struct Pool<L: RawRwLock = RawZsLock, S: PageSource = Mmap> {
    id: u32,
    pub(crate) table: ClassTable,
    classes: Box<[PoolMutex<Class<L>>]>,
    pub(crate) handles: HandleTable,
    /// Shared with the deferred functions that make an index free again.
    pub(crate) zspages: Arc<ZspageTable<L>>,
    pub(crate) pages: Pages<S>,
    pub(crate) counters: Counters,
    pub(crate) prepare_exclusive: Option<fn(&[&L])>,
    /// Automatic compaction, if it is on.
    pub(crate) automatic: Option<Automatic>,
    new_lock: fn() -> L,
    /// Tells lockdep that this thread's hold of a lock may end on another.
    pub(crate) detach: fn(&L),
    /// The class where the next compaction with a budget begins.
    pub(crate) compact_cursor: AtomicUsize,
    /// The class whose idle pages go back when another one grows.
    pub(crate) sweep_turn: Turn,
}

// SAFETY: with `L: Send + Sync` every header may be used and dropped on any thread; the classes and
// tables are behind locks and atomics; `PageSource` implies `Send + Sync`.
unsafe impl<L: RawRwLock + Send + Sync, S: PageSource> Send for Pool<L, S> {}
// SAFETY: as above.
unsafe impl<L: RawRwLock + Send + Sync, S: PageSource> Sync for Pool<L, S> {}

impl Pool {
    /// A pool with the default lock, page source and class policy.
    ///
    /// # Panics
    ///
    /// If this process has made 2^32 - 1 pools already; or on a system with pages larger than
    /// 4 KiB, where a page size has to be chosen with [`builder`](Self::builder).
    pub fn new() -> Self {
        match Self::builder().build() {
            Ok(pool) => pool,
            Err(error) => panic!("{error}"),
        }
    }

    /// Configures a pool.
    pub fn builder() -> PoolBuilder<RawZsLock, Mmap> {
        PoolBuilder::new()
    }
}

impl Default for Pool {
    fn default() -> Self {
        Self::new()
    }
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// The builder has checked the ranges.
    pub(crate) fn with_config(config: PoolBuilder<L, S>) -> Result<Self, BuildError>
    where
        L: Send + Sync + 'static,
    {
        let table = ClassTable::new(config.classes, config.page_size);
        let classes = table.chains().iter();
        let retains = config.retain_pages > 0;
        let metadata = MetadataPages::of_process();
        Ok(Self {
            id: next_id(&NEXT_ID)?,
            classes: classes
                .map(|chain| class_mutex(Class::new(config.page_size, chain.size(), retains)))
                .collect(),
            table,
            handles: HandleTable::new(metadata),
            zspages: Arc::new(IndexTable::new(&ZSPAGE_TABLE, metadata)),
            pages: Pages::new(
                config.source,
                config.page_size,
                config.max_pages,
                config.retain_pages,
            ),
            counters: Counters::default(),
            prepare_exclusive: config.prepare_exclusive,
            automatic: config.auto_compact.map(Automatic::new),
            new_lock: config.new_lock,
            detach: class_lock::detach,
            compact_cursor: AtomicUsize::new(0),
            sweep_turn: Turn::default(),
        })
    }

    /// The class lock. The caller holds no other class lock and is pinned already if it is going
    /// to be (see the rule in `reclaim`).
    #[track_caller]
    pub(crate) fn lock_class(&self, class: usize) -> ClassGuard<'_, L> {
        self.classes[class].lock()
    }

    /// The number of distinct classes.
    pub(crate) fn class_count(&self) -> usize {
        self.classes.len()
    }

    /// The bytes of the pool itself and its tables.
    pub(crate) fn table_bytes(&self) -> usize {
        size_of::<Self>()
            + size_of_val(&*self.classes)
            + self.table.bytes()
            + self.handles.bytes()
            + self.zspages.bytes()
    }

    pub(crate) fn new_handle(&self, index: u32) -> Handle {
        Handle::new(self.id, index)
    }

    /// The index of a handle of this pool.
    pub(crate) fn check(&self, handle: &Handle) -> Result<u32, HandleError> {
        if handle.pool() == self.id {
            Ok(handle.index())
        } else {
            Err(HandleError::ForeignPool {
                pool: self.id,
                handle: handle.pool(),
            })
        }
    }

    /// Like `check`.
    ///
    /// # Panics
    ///
    /// If the handle is of another pool.
    #[track_caller]
    pub(crate) fn index_of(&self, handle: &Handle) -> u32 {
        match self.check(handle) {
            Ok(index) => index,
            Err(error) => panic!("{error}"),
        }
    }

    /// The header behind a zspage index that was read from an entry, a list or an id. It is alive
    /// while the pin lasts, though the zspage may be retired meanwhile; `None` if it is already.
    #[inline]
    pub(crate) fn header<'p>(&self, index: u32, pin: &'p Pin) -> Option<&'p Zspage<L>> {
        self.zspages.find(index, pin)
    }

    /// The length of a zspage in pages.
    pub(crate) fn pages_of(&self, zspage: &Zspage<L>) -> usize {
        let slots = &zspage.slots;
        self.table.chain(slots.class()).pages_for(slots.count())
    }

    /// Makes a zspage that is in no class yet.
    pub(crate) fn new_zspage(
        &self,
        class: usize,
        run: Run,
        pin: &Pin,
    ) -> Result<NonNull<Zspage<L>>, NoPages> {
        // Foreign code that may panic comes first, while there is nothing to lose.
        let lock = (self.new_lock)();
        let base = self.pages.take(run.pages)?;
        let mut index = Vec::with_capacity(1);
        self.zspages.acquire(1, &mut index, pin);
        let Some(index) = index.pop() else {
            // SAFETY: just taken, and unused.
            unsafe { self.pages.give(base, run.pages) };
            return Err(NoPages::Source);
        };
        let shape = (class, run.slots, self.table.chain(class).size());
        let cell = self.zspages.get(index, pin).expect("the index is live");
        // SAFETY: the index was acquired just now.
        let zspage = unsafe { cell.fill(lock, index, shape, base) };
        zspage.publish(next_serial(&NEXT_SERIAL));
        Ok(zspage.into())
    }

    /// Gives the pages of a zspage back at once, and frees its header when nobody can look at it
    /// any more. No lock is held.
    ///
    /// # Safety
    ///
    /// The zspage was removed from its class (or never added), has no objects, is retired once, and
    /// nobody holds its exclusive lock.
    pub(crate) unsafe fn retire_zspage(&self, header: NonNull<Zspage<L>>, pin: &Pin) {
        // SAFETY: the caller's promise.
        let (run, pages) = unsafe { self.retire_header(header, pin) };
        // SAFETY: `take` gave this run to the zspage, and no object is left in it.
        unsafe { self.pages.give(run, pages) };
    }

    /// Like `retire_zspage`, for who retires several: the pages go back with those of others.
    ///
    /// # Safety
    ///
    /// As for `retire_zspage`.
    pub(crate) unsafe fn retire_zspage_to(
        &self,
        header: NonNull<Zspage<L>>,
        pin: &Pin,
        returns: &mut Returns<'_, S>,
    ) {
        // SAFETY: the caller's promise.
        let (run, pages) = unsafe { self.retire_header(header, pin) };
        // SAFETY: `take` gave this run to the zspage, and no object is left in it.
        unsafe { returns.give(run, pages) };
    }

    /// Frees the header of a zspage when nobody can look at it any more. Returns its pages, which can go
    /// back now.
    ///
    /// # Safety
    ///
    /// As for `retire_zspage`.
    unsafe fn retire_header(&self, header: NonNull<Zspage<L>>, pin: &Pin) -> (NonNull<u8>, usize) {
        // SAFETY: alive until the deferred function below runs, which is not while we are pinned.
        let zspage = unsafe { header.as_ref() };
        let index = zspage.slots.index();
        let (base, pages) = (zspage.base(), self.pages_of(zspage));
        // First nobody new can find the header, then its freeing is deferred: the epoch protects
        // only those who were pinned by then.
        if !is_broken("header cleared late") {
            zspage.clear();
        }
        if is_broken("index free at once") {
            self.zspages.release([index], pin);
        }
        let table = Arc::clone(&self.zspages);
        let free = move || {
            // SAFETY: filled in by `new_zspage`; every thread that could have found it has unpinned since
            // it was cleared, and the index is released below.
            drop(unsafe { Ending::new(header) });
            // Only now may the index name another zspage: an entry that a reader compares with an
            // earlier value of itself must not mean something else.
            if !is_broken("index free at once") {
                table.release([index], &reclaim::pin());
            }
        };
        // SAFETY: the header is ours, `L: Send + 'static` (invariant of `Pool`), and the table is
        // kept alive by the `Arc`.
        unsafe { pin.defer(free) };
        // A reader that is still about to lock this zspage will find its entry changed and will not
        // touch the data, so the pages need not wait for the epoch. Reading `base` without a lock
        // is fine: nobody can migrate what is in no class. The caller gives them back after all this, as
        // a page source may panic.
        if is_broken("header cleared late") {
            zspage.clear();
        }
        (base, pages)
    }
}

/// A locked class.
pub(crate) type ClassGuard<'a, L> = lock_api::MutexGuard<'a, RawPoolMutex, Class<L>>;

impl<L: RawRwLock, S: PageSource> Drop for Pool<L, S> {
    fn drop(&mut self) {
        let rest = Rest(self);
        rest.0.end_zspages();
    }
}

/// Goes on with the other zspages, should the code of a lock or of the page source panic at one.
struct Rest<'p, L: RawRwLock, S: PageSource>(&'p mut Pool<L, S>);

impl<L: RawRwLock, S: PageSource> Drop for Rest<'_, L, S> {
    fn drop(&mut self) {
        self.0.end_zspages();
    }
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Ends all zspages, each out of its class before foreign code runs for it.
    fn end_zspages(&mut self) {
        // Exclusive access: no map, no other thread. What was retired earlier does not need the
        // pool: it shares the zspage table.
        let mut returns = Returns::to(&self.pages);
        for (chain, class) in self.table.chains().iter().zip(&mut self.classes) {
            while let Some(header) = class.get_mut().pop() {
                // SAFETY: filled in by `new_zspage`; it was in a class, so not retired.
                let zspage = unsafe { Ending::new(header) };
                // SAFETY: the run is the zspage's; all objects end here.
                unsafe { returns.give(zspage.base(), chain.pages_for(zspage.slots.count())) };
            }
        }
    }
}

impl<L: RawRwLock, S: PageSource> fmt::Debug for Pool<L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool")
            .field("id", &self.id)
            .field("page_size", &self.pages.page_size())
            .field("classes", &self.class_count())
            .field("resident_pages", &self.pages.resident())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_used_up_and_never_used_again() {
        let next = AtomicU32::new(u32::MAX - 1);
        assert_eq!(next_id(&next), Ok(u32::MAX - 1));
        assert_eq!(next_id(&next), Ok(u32::MAX));
        for _ in 0..3 {
            assert_eq!(next_id(&next), Err(BuildError::PoolIdsExhausted));
        }
    }
}
