//! Reaching the bytes of an object.

use std::fmt;
use std::ops::{Deref, DerefMut};
use std::ptr::NonNull;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::borrows::Borrows;
use crate::error::HandleError;
use crate::handle::Handle;
use crate::handle_table::EntryCell;
use crate::pool::Pool;
use crate::primitive::{self, is_broken, shadow};
use crate::reclaim::{self, Pin};
use crate::zspage::ReadHold;

/// Read access to an object: dereferences to its bytes.
///
/// While it lives, no object of the same zspage moves, so keep it as long as needed and not longer.
/// It may be held while sleeping or across `.await`, and is `Send` where the lock's read guard is.
/// Other objects may be inserted, freed, read and written meanwhile.
#[must_use = "the object is unmapped when the map is dropped"]
pub struct Mapped<'a, L: RawRwLock, S: PageSource> {
    pub(crate) bytes: NonNull<u8>,
    pub(crate) len: usize,
    // Dropped last of what matters: after it the bytes may move.
    pub(crate) hold: ReadHold<L>,
    pool: &'a Pool<L, S>,
    // The pool and the handle: 'a.
    _borrows: Borrows<&'a Pool<L, S>>,
}

/// Write access to an object: dereferences to its bytes.
///
/// It holds the zspage's *read* lock, for the same reason as [`Mapped`]: to keep the object where it
/// is. That nobody else accesses the object is guaranteed by the borrow of its handle.
#[must_use = "the object is unmapped when the map is dropped"]
pub struct MappedMut<'a, L: RawRwLock, S: PageSource>(Mapped<'a, L, S>);

// SAFETY: the bytes are shared read-only and plain data; the hold and the pool reference are sent
// only if they may be (`Pool: Sync` needs `L: Send + Sync`).
unsafe impl<L: RawRwLock + Send + Sync, S: PageSource> Send for Mapped<'_, L, S> where
    L::SharedGuard: Send
{
}
// SAFETY: `&Mapped` gives `&[u8]`.
unsafe impl<L: RawRwLock + Send + Sync, S: PageSource> Sync for Mapped<'_, L, S> where
    L::SharedGuard: Sync
{
}

impl<L: RawRwLock, S: PageSource> Deref for Mapped<'_, L, S> {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        shadow::read(self.bytes);
        // SAFETY: `len` initialised bytes of the object's slot. They stay there while the zspage is
        // held, and nobody writes them while the handle is borrowed shared (or, within `MappedMut`,
        // exclusively by us).
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl<L: RawRwLock, S: PageSource> MappedMut<'_, L, S> {
    /// The slot, which is as long as the class's size: the object and what is behind it.
    pub(crate) fn slot(&self) -> NonNull<u8> {
        self.0.bytes
    }
}

impl<L: RawRwLock, S: PageSource> Deref for MappedMut<'_, L, S> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl<L: RawRwLock, S: PageSource> DerefMut for MappedMut<'_, L, S> {
    fn deref_mut(&mut self) -> &mut [u8] {
        shadow::changed(self.0.bytes);
        // SAFETY: as in `Mapped::deref`; the handle is borrowed exclusively for as long as this map
        // lives, so no other reference to these bytes exists. The slice ends with the object:
        // neighbours in the zspage are never part of it.
        unsafe { std::slice::from_raw_parts_mut(self.0.bytes.as_ptr(), self.0.len) }
    }
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Maps an object for reading.
    ///
    /// Waits only while the object's zspage is being migrated or emptied by compaction; how long
    /// readers wait is the lock's business. Takes no class or pool lock.
    ///
    /// # Panics
    ///
    /// If the handle is of another pool; see [`checked_read`](Self::checked_read). And if the zspage
    /// has more maps than its lock can count: see the [limits](crate::docs::limits).
    #[track_caller]
    #[inline]
    pub fn read<'a>(&'a self, handle: &'a Handle) -> Mapped<'a, L, S> {
        let index = self.index_of(handle);
        // SAFETY: the handle is live, and borrowed for 'a.
        unsafe { self.map(index) }
    }

    /// Maps an object for writing. Waits as [`read`](Self::read) does; writers of different objects
    /// never wait for each other.
    ///
    /// ```
    /// let pool = zsalloc::Pool::new();
    /// let mut handle = pool.alloc(3)?;
    /// pool.write(&mut handle).copy_from_slice(b"abc");
    /// assert_eq!(&*pool.read(&handle), b"abc");
    /// # pool.free(handle);
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the handle is of another pool, or the zspage has more maps than its lock can count.
    #[track_caller]
    pub fn write<'a>(&'a self, handle: &'a mut Handle) -> MappedMut<'a, L, S> {
        let index = self.index_of(handle);
        // SAFETY: the handle is live, and borrowed for 'a; exclusively, as `MappedMut` needs.
        MappedMut(unsafe { self.map(index) })
    }

    /// Like [`read`](Self::read), with an error instead of a panic.
    ///
    /// # Errors
    ///
    /// [`HandleError::ForeignPool`] if the handle is of another pool.
    #[track_caller]
    pub fn checked_read<'a>(&'a self, handle: &'a Handle) -> Result<Mapped<'a, L, S>, HandleError> {
        let index = self.check(handle)?;
        // SAFETY: the handle is live, and borrowed for 'a.
        Ok(unsafe { self.map(index) })
    }

    /// Copies an object into the beginning of `target` and returns its length. Waits as
    /// [`read`](Self::read) does.
    ///
    /// # Panics
    ///
    /// If the handle is of another pool, or `target` is shorter than the object.
    #[track_caller]
    pub fn copy_to(&self, handle: &Handle, target: &mut [u8]) -> usize {
        let index = self.index_of(handle);
        // One pin for finding the object and for letting go of it: whatever the lock, that needs no
        // second barrier.
        let pin = reclaim::pin();
        // SAFETY: the handle is live, and borrowed for longer than the map lives.
        let object = unsafe { self.map_within(index, &pin) };
        let len = object.len();
        assert!(
            target.len() >= len,
            "a target of {} bytes is too short for an object of {len}",
            target.len()
        );
        target[..len].copy_from_slice(&object);
        let Mapped { hold, .. } = object;
        hold.end(&pin);
        len
    }

    /// The length of an object in bytes. Never waits.
    ///
    /// # Panics
    ///
    /// If the handle is of another pool.
    #[track_caller]
    pub fn len(&self, handle: &Handle) -> usize {
        let index = self.index_of(handle);
        self.handles.cell(index, &reclaim::pin()).load().len()
    }

    /// Finds an object and holds its zspage.
    ///
    /// # Safety
    ///
    /// `index` is of a live handle of this pool that stays borrowed as long as the hold lives.
    #[track_caller]
    #[inline(always)]
    pub(crate) unsafe fn map<'a>(&'a self, index: u32) -> Mapped<'a, L, S> {
        // SAFETY: the caller's promise is the same.
        unsafe { self.map_within(index, &reclaim::pin()) }
    }

    /// `map` within the caller's pin, which keeps the header alive between finding it and holding it.
    ///
    /// # Safety
    ///
    /// As for `map`.
    #[track_caller]
    #[inline(always)]
    unsafe fn map_within<'a>(&'a self, index: u32, pin: &Pin) -> Mapped<'a, L, S> {
        let cell = self.handles.cell(index, pin);
        // SAFETY: the caller's promise is the same.
        match unsafe { self.map_as_it_is(cell, pin) } {
            Some(map) => map,
            // SAFETY: as above.
            None => unsafe { self.map_moving(cell, pin) },
        }
    }

    /// `map` of an object that moves just now. Apart, so that the usual path stays short.
    ///
    /// # Safety
    ///
    /// As for `map`.
    #[track_caller]
    #[cold]
    unsafe fn map_moving<'a>(&'a self, cell: &EntryCell, pin: &Pin) -> Mapped<'a, L, S> {
        loop {
            // SAFETY: the caller's promise is the same.
            if let Some(map) = unsafe { self.map_as_it_is(cell, pin) } {
                return map;
            }
            primitive::spin_loop();
        }
    }

    /// Maps the object behind `cell`, unless it moves between the look at its entry and the hold of
    /// its zspage.
    ///
    /// # Safety
    ///
    /// As for `map`; `cell` is that of the index.
    #[track_caller]
    #[inline(always)]
    unsafe fn map_as_it_is<'a>(&'a self, cell: &EntryCell, pin: &Pin) -> Option<Mapped<'a, L, S>> {
        let entry = cell.load();
        // None: retired since the entry was loaded. The object is elsewhere, and the entry says so.
        let zspage = self.header(entry.zspage(), pin)?;
        if zspage.lock().is_locked_exclusive() {
            self.counters.map_waited();
        }
        // SAFETY: alive while pinned; if the entry is unchanged below, the object keeps it alive
        // afterwards: a zspage with an object is not retired, and the object can neither move
        // (we hold the zspage) nor be freed (the handle is borrowed).
        let hold = unsafe { ReadHold::lock(zspage.into()) };
        // The entry may have changed before we got the lock. From now on it cannot: that takes
        // the exclusive lock of the zspage it names. An entry that changed and changed back is
        // fine too, as the index of a zspage is not reused while we are pinned.
        let unchanged = cell.load() == entry || is_broken("re-check omitted");
        unchanged.then(|| Mapped {
            bytes: zspage.slot(entry.slot()),
            len: entry.len(),
            hold,
            pool: self,
            _borrows: Borrows::new(),
        })
    }
}

impl<L: RawRwLock, S: PageSource> fmt::Debug for Mapped<'_, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Mapped")
            .field("len", &self.len)
            .field("zspage", &self.hold.zspage().id())
            .field("pool", self.pool)
            .finish()
    }
}

impl<L: RawRwLock, S: PageSource> fmt::Debug for MappedMut<'_, L, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MappedMut").field(&self.0).finish()
    }
}
