//! Moving a zspage to other pages.

use std::ptr::NonNull;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::class::Slots;
use crate::error::MigrateError;
use crate::pool::Pool;
use crate::primitive::shadow;
use crate::reclaim::{self, Pin};
use crate::zspage::{WriteHold, Zspage, ZspageId};

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
        let result = self.try_migrate(id);
        match result {
            Ok(objects) => self.counters.migrated(objects),
            Err(MigrateError::Busy) => self.counters.migration_refused(),
            Err(MigrateError::Gone | MigrateError::Source) => {}
        }
        result.map(drop)
    }

    /// The number of objects moved.
    #[track_caller]
    fn try_migrate(&self, id: ZspageId) -> Result<usize, MigrateError> {
        let pin = reclaim::pin();
        let zspage = self.find(id, &pin).ok_or(MigrateError::Gone)?;
        if let Some(prepare) = self.prepare_exclusive {
            prepare(&[&zspage.lock]);
        }
        // Pages come without the class lock. Do not fetch them in vain.
        if zspage.lock.is_locked() {
            return Err(MigrateError::Busy);
        }
        let pages = zspage.pages();
        let new = self.pages.take(pages);
        let new = new.map_err(|_| MigrateError::Source)?;

        let class = self.lock_class(zspage.class());
        let moved = match class.get(zspage) {
            None => Err(MigrateError::Gone),
            Some(slots) => match WriteHold::try_lock(zspage) {
                None => Err(MigrateError::Busy),
                Some(hold) => {
                    let old = zspage.base();
                    // SAFETY: `new` is as long as the zspage and nobody else's.
                    unsafe { copy_objects(slots, new) };
                    zspage.set_base(new);
                    // Release: the unlock. A reader that locks the zspage from now on finds the new
                    // base and the bytes copied there.
                    drop(hold);
                    Ok((old, slots.used()))
                }
            },
        };
        // Pages go back without it, too.
        drop(class);
        let (unused, result) = match moved {
            Ok((old, objects)) => (old, Ok(objects)),
            Err(error) => (new, Err(error)),
        };
        // SAFETY: both runs came from `take(pages)`; the one not in use is given back.
        unsafe { self.pages.give(unused, pages) };
        result
    }

    /// The header that an id names, if the zspage still has one. Whether it is still in its class
    /// is known only with the class locked.
    pub(crate) fn find<'p>(&self, id: ZspageId, pin: &'p Pin) -> Option<&'p Zspage<L>> {
        self.header(id.index, pin)
            .filter(|zspage| zspage.id() == id)
    }
}

/// Copies every slot in use; pages without one stay untouched. With the class and the zspage
/// (exclusively) locked.
///
/// # Safety
///
/// `new` is the start of memory as long as the zspage that nobody else accesses.
unsafe fn copy_objects<L>(slots: &Slots<L>, new: NonNull<u8>) {
    let zspage = slots.zspage();
    let size = zspage.slot_size();
    for (slot, _) in slots.objects() {
        // SAFETY: the slot lies in both runs, which do not overlap. No object of the zspage is
        // mapped (exclusive lock), so nobody writes it. The whole slot is initialised: sources give
        // zeroed pages.
        unsafe {
            let (old, new) = (zspage.slot(slot), new.add(slot * size));
            shadow::read(old);
            shadow::written(new);
            old.copy_to_nonoverlapping(new, size);
        }
    }
}
