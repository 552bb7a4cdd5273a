//! Freeing and replacing an object.

use std::ptr::NonNull;

use lock_api::{MutexGuard, RawRwLock};

use crate::auto_compact::STEP_MOVES;
use crate::backend::PageSource;
use crate::error::{AllocError, HandleError};
use crate::handle::Handle;
use crate::handle_table::{Entry, EntryCell};
use crate::pool::{ClassGuard, Pool};
use crate::primitive::shadow;
use crate::primitive::size::COLLECT_INTERVAL;
use crate::reclaim::{self, Pin};
use crate::returns::Returns;
use crate::zspage::Zspage;

/// How many objects `free_many` sorts by class at a time.
const FREE_BATCH: usize = 512;

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Frees an object. If it was the last of its zspage, the pages go back to their source, unless
    /// they are [retained](crate::PoolBuilder::retain_pages), with no class or zspage locked.
    ///
    /// May wait for the class's mutex, as [`insert`](Self::insert); never for a map.
    ///
    /// # Panics
    ///
    /// If the handle is of another pool; its object is then leaked. See
    /// [`checked_free`](Self::checked_free).
    #[track_caller]
    pub fn free(&self, handle: Handle) {
        let index = self.index_of(&handle);
        // SAFETY: the handle is live and ends here.
        unsafe { self.free_index(index) };
    }

    /// Like [`free`](Self::free), with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// The handle itself and [`HandleError::ForeignPool`] if it is of another pool.
    #[track_caller]
    pub fn checked_free(&self, handle: Handle) -> Result<(), (Handle, HandleError)> {
        match self.check(&handle) {
            Ok(index) => {
                // SAFETY: the handle is live and ends here.
                unsafe { self.free_index(index) };
                Ok(())
            }
            Err(error) => Err((handle, error)),
        }
    }

    /// Frees many objects, locking each class once for several hundred of them, and returns emptied
    /// pages several with one system call, all of them before it ends. Waits as
    /// [`free`](Self::free) does.
    ///
    /// ```
    /// let pool = zsalloc::Pool::new();
    /// let handles: Vec<_> = (1..=1000).map(|len| pool.alloc(len)).collect::<Result<_, _>>()?;
    /// pool.free_many(handles);
    /// assert_eq!(pool.resident_pages(), 0);
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If a handle is of another pool. Objects before it are freed; its own and those after it are
    /// leaked. If the iterator panics, the objects before are freed, too. If a page source panics, up
    /// to 512 objects are leaked.
    #[track_caller]
    pub fn free_many(&self, handles: impl IntoIterator<Item = Handle>) {
        let mut batch = Batch {
            pool: self,
            indices: Vec::with_capacity(FREE_BATCH),
        };
        for handle in handles {
            batch.indices.push(self.index_of(&handle));
            if batch.indices.len() == FREE_BATCH {
                batch.free();
            }
        }
        batch.free();
    }

    /// Appends an object to `target` and frees it.
    ///
    /// # Panics
    ///
    /// If the handle is of another pool; its object is then leaked.
    #[track_caller]
    pub fn take(&self, handle: Handle, target: &mut Vec<u8>) {
        target.extend_from_slice(&self.read(&handle));
        self.free(handle);
    }

    /// Stores `bytes` in place of the object. The handle is then the new object's: in place if it
    /// fits the same size class, otherwise under another number (see [`Handle::into_raw`]).
    ///
    /// # Errors
    ///
    /// See [`AllocError`]; the old object is unchanged.
    ///
    /// # Panics
    ///
    /// If the handle is of another pool.
    #[track_caller]
    pub fn replace(&self, handle: &mut Handle, bytes: &[u8]) -> Result<(), AllocError> {
        let class = self.class_of(bytes.len())?;
        if class != self.table.index_of(self.len(handle)) {
            let new = self.insert(bytes)?;
            self.free(std::mem::replace(handle, new));
            return Ok(());
        }
        self.overwrite(handle, bytes);
        Ok(())
    }

    /// Replaces an object by one of the same class.
    #[track_caller]
    fn overwrite(&self, handle: &mut Handle, bytes: &[u8]) {
        let pin = reclaim::pin();
        let index = handle.index();
        let object = self.write(handle);
        shadow::changed(object.slot());
        // SAFETY: the slot is as long as every object of its class, and the map gives us the only
        // access. `bytes` cannot overlap it: a `&[u8]` into the pool borrows another object.
        unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), object.slot().as_ptr(), bytes.len());
        }
        // The new length comes after the bytes, so the old contents of the slot never show. Nobody
        // else looks at the entry: the handle is ours alone, and compaction has to wait for the map.
        let cell = self.handles.cell(index, &pin);
        let entry = cell.load();
        cell.publish(Entry::new(entry.zspage(), entry.slot(), bytes.len()));
    }

    /// # Safety
    ///
    /// `index` is of a live handle of this pool that nobody uses any more.
    #[track_caller]
    pub(crate) unsafe fn free_index(&self, index: u32) {
        let pin = reclaim::pin();
        let cell = self.handles.cell(index, &pin);
        let class_index = self.class_of_object(cell);
        let mut class = self.lock_class(class_index);
        // SAFETY: the caller's promise, and the class is the object's.
        let retired = unsafe { self.free_locked(&mut class, (index, cell), &pin) };
        let grant = self.earn(&mut class, class_index, 1, STEP_MOVES);
        drop(class);
        if let Some(header) = retired {
            // SAFETY: removed from its class just now, by us, and empty. The exclusive lock is held
            // only with the class locked, so nobody holds it.
            unsafe { self.retire_zspage(header, &pin) };
        }
        drop(pin);
        if let Some(grant) = grant {
            self.compact_automatically(class_index, grant);
        }
    }

    /// Frees the objects of many handles, locking each class once, and leaves the list empty.
    ///
    /// # Safety
    ///
    /// As for `free_index`, for each of them.
    #[track_caller]
    unsafe fn free_batch(&self, indices: &mut Vec<u32>) {
        let mut returns = Returns::to(&self.pages);
        let mut pin = reclaim::pin();
        let mut since_collection = 0;
        let class_of = |index| self.class_of_object(self.handles.cell(index, &pin));
        let with_class = |index| (class_of(index), index);
        let mut batch: Vec<_> = indices.drain(..).map(with_class).collect();
        batch.sort_unstable();
        let mut moves = STEP_MOVES.max(batch.len() as u32);
        for objects in batch.chunk_by(|one, next| one.0 == next.0) {
            let class_index = objects[0].0;
            let mut class = self.lock_class(class_index);
            for &(_, index) in objects {
                let cell = self.handles.cell(index, &pin);
                // SAFETY: the caller's promise, and the class is the object's.
                let retired = unsafe { self.free_locked(&mut class, (index, cell), &pin) };
                if let Some(header) = retired {
                    // At once, so that no other one is lost should the page source panic.
                    MutexGuard::unlocked(&mut class, || {
                        // SAFETY: as in `free_index`.
                        unsafe { self.retire_zspage_to(header, &pin, &mut returns) };
                        since_collection += 1;
                        if since_collection == COLLECT_INTERVAL {
                            since_collection = 0;
                            pin.collect();
                        }
                    });
                }
            }
            let grant = self.earn(&mut class, class_index, objects.len(), moves);
            drop(class);
            if let Some(grant) = grant {
                // What a step retires is collected with its own pins, which must not lie in this one.
                drop(pin);
                moves -= self.compact_automatically(class_index, grant);
                pin = reclaim::pin();
            }
        }
    }

    /// The class of a live object. It may be moving, but moves keep its length, and the length gives
    /// the class.
    fn class_of_object(&self, cell: &EntryCell) -> usize {
        self.table.index_of(cell.load().len())
    }

    /// Frees an object of the locked class. Returns its zspage if that is now empty: removed from the
    /// class, to be retired without it.
    ///
    /// # Safety
    ///
    /// As for `free_index`; `class` is the object's, and `cell` that of the index.
    unsafe fn free_locked(
        &self,
        class: &mut ClassGuard<'_, L>,
        (index, cell): (u32, &EntryCell),
        pin: &Pin,
    ) -> Option<NonNull<Zspage<L>>> {
        // With the class locked it cannot move.
        let entry = cell.load();
        let zspage = self
            .header(entry.zspage(), pin)
            .expect("a zspage with an object is not retired");
        shadow::freed(zspage.slot(entry.slot()));
        let emptied = class.put_slot(zspage, entry.slot());
        let retired = emptied.then(|| class.remove(zspage));
        self.put_handle(class, index, pin);
        retired
    }
}

/// Handles that were given up and whose objects are not freed yet. They are, even if the iterator that
/// gives the handles panics.
struct Batch<'p, L: RawRwLock, S: PageSource> {
    pool: &'p Pool<L, S>,
    /// Of live handles, which ended here.
    indices: Vec<u32>,
}

impl<L: RawRwLock, S: PageSource> Batch<'_, L, S> {
    #[track_caller]
    fn free(&mut self) {
        // SAFETY: the handles are live and ended here.
        unsafe { self.pool.free_batch(&mut self.indices) };
    }
}

impl<L: RawRwLock, S: PageSource> Drop for Batch<'_, L, S> {
    fn drop(&mut self) {
        if !self.indices.is_empty() {
            self.free();
        }
    }
}
