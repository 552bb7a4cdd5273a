//! Moving a zspage to other pages.

use std::ptr::NonNull;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::error::MigrateError;
use crate::pages::NoPages;
use crate::pool::Pool;
use crate::primitive::shadow;
use crate::reclaim::{self, Pin};
use crate::zspage::{WriteHold, Zspage, ZspageId};

/// What a migration moved.
pub(crate) struct Moved {
    pub(crate) objects: usize,
    pub(crate) pages: usize,
}

/// Why it moved nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotMoved {
    Busy,
    Gone,
    NoPages(NoPages),
}

impl From<NotMoved> for MigrateError {
    fn from(reason: NotMoved) -> Self {
        match reason {
            NotMoved::Busy => Self::Busy,
            NotMoved::Gone => Self::Gone,
            NotMoved::NoPages(_) => Self::Source,
        }
    }
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Moves a zspage to new pages and returns the old ones. Handles stay valid; maps that arrive
    /// meanwhile wait.
    ///
    /// Never waits for a map. May wait for the class's mutex, and holds it while the objects are
    /// copied: at most 64 KiB with 4 KiB pages.
    ///
    /// ```
    /// use zsalloc::{MigrateError, Pool};
    ///
    /// let pool = Pool::new();
    /// let handle = pool.insert(b"abc")?;
    /// let id = pool.zspages().next().unwrap().id;
    ///
    /// let map = pool.read(&handle);
    /// assert_eq!(pool.migrate(id), Err(MigrateError::Busy));
    /// drop(map);
    /// assert_eq!(pool.migrate(id), Ok(()));
    /// assert_eq!(&*pool.read(&handle), b"abc");
    ///
    /// pool.free(handle);
    /// assert_eq!(pool.migrate(id), Err(MigrateError::Gone));
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// See [`MigrateError`]; the zspage is where it was.
    #[track_caller]
    pub fn migrate(&self, id: ZspageId) -> Result<(), MigrateError> {
        if self.find(id, &reclaim::pin()).is_none() {
            return Err(MigrateError::Gone);
        }
        self.prepare([id]);
        self.migrate_prepared(id)?;
        Ok(())
    }

    /// Migrates a zspage whose lock was [prepared](Self::prepare), and counts it.
    #[track_caller]
    pub(crate) fn migrate_prepared(&self, id: ZspageId) -> Result<Moved, NotMoved> {
        let result = self.try_migrate(id);
        match &result {
            Ok(moved) => self.counters.migrated(moved.objects),
            Err(NotMoved::Busy) => self.counters.migration_refused(),
            Err(NotMoved::Gone | NotMoved::NoPages(_)) => {}
        }
        result
    }

    #[track_caller]
    fn try_migrate(&self, id: ZspageId) -> Result<Moved, NotMoved> {
        let pin = reclaim::pin();
        let zspage = self.find(id, &pin).ok_or(NotMoved::Gone)?;
        // Pages come without the class lock. Do not fetch them in vain.
        if zspage.lock().is_locked() {
            return Err(NotMoved::Busy);
        }
        let pages = self.pages_of(zspage);
        // Goes back at the end, whatever happens here, and without the class lock: it is declared
        // before the class.
        let mut run = self.pages.take_spare(pages).map_err(NotMoved::NoPages)?;

        let mut class = self.lock_class(zspage.slots.class());
        let objects = class.get(zspage).ok_or(NotMoved::Gone)?.used();
        let hold = WriteHold::try_lock(zspage).ok_or(NotMoved::Busy)?;
        let old = zspage.base();
        // SAFETY: the new run is as long as the zspage and nobody else's.
        unsafe { copy_objects(zspage, run.base()) };
        zspage.set_base(run.base());
        // SAFETY: the zspage's run came from `take`, too, and is the zspage's no longer.
        unsafe { run.exchange(old) };
        // Release: the unlock. A reader that locks the zspage from now on finds the new base and the
        // bytes copied there.
        drop(hold);
        class.new_run(zspage);
        Ok(Moved { objects, pages })
    }

    /// The header that an id names, if the zspage still has one. Whether it is still in its class
    /// is known only with the class locked.
    pub(crate) fn find<'p>(&self, id: ZspageId, pin: &'p Pin) -> Option<&'p Zspage<L>> {
        self.zspages.find_by_id(id, pin)
    }
}

/// Copies every slot in use; pages without one stay untouched. With the class and the zspage
/// (exclusively) locked.
///
/// # Safety
///
/// `new` is the start of memory as long as the zspage that nobody else accesses.
unsafe fn copy_objects<L>(zspage: &Zspage<L>, new: NonNull<u8>) {
    let size = zspage.slot_size();
    for (slot, _) in zspage.slots.objects() {
        // SAFETY: the slot lies in both runs, which do not overlap. No object of the zspage is
        // mapped (exclusive lock), so nobody writes it. The whole slot is initialised: sources give
        // zeroed pages.
        unsafe {
            let (old, new) = (zspage.slot(slot), new.add(slot * size));
            shadow::read(old);
            shadow::stored(new, size);
            old.copy_to_nonoverlapping(new, size);
            shadow::freed(old);
        }
    }
}
