//! Storing an object.

use std::mem;
use std::ptr::NonNull;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::error::AllocError;
use crate::handle::Handle;
use crate::handle_table::Entry;
use crate::pages::NoPages;
use crate::pool::{ClassGuard, Pool};
use crate::primitive::{is_broken, shadow};
use crate::reclaim::{self, Pin};
use crate::zspage::{ReadHold, Zspage};

/// A slot that has its handle but not its bytes yet. The hold keeps it where it is, so compaction
/// never moves half-written bytes.
struct Reserved<L: RawRwLock> {
    handle: Handle,
    slot: NonNull<u8>,
    hold: ReadHold<L>,
}

impl<L: RawRwLock> Reserved<L> {
    /// Writes the bytes, and only then lets go of the slot, within the pin that it was found in: another
    /// would cost another barrier.
    fn fill(self, len: usize, pin: &Pin, fill: impl FnOnce(NonNull<u8>)) -> Handle {
        let Self { handle, slot, hold } = self;
        let hold = (!is_broken("insertion not held")).then_some(hold);
        shadow::stored(slot, len);
        fill(slot);
        if let Some(hold) = hold {
            hold.end(pin);
        }
        handle
    }
}

/// A handle that is taken and has no object yet. Goes back to its class when the storing ends early,
/// by an error or a panic; that locks the class.
struct SpareHandle<'p, L: RawRwLock, S: PageSource> {
    pool: &'p Pool<L, S>,
    class: usize,
    index: u32,
}

impl<L: RawRwLock, S: PageSource> SpareHandle<'_, L, S> {
    /// The handle gets its object.
    fn used(self) -> u32 {
        mem::ManuallyDrop::new(self).index
    }
}

impl<L: RawRwLock, S: PageSource> Drop for SpareHandle<'_, L, S> {
    fn drop(&mut self) {
        let mut class = self.pool.lock_class(self.class);
        class.spare_handles.push(self.index);
    }
}

/// A new zspage that is in no class yet. Retired when the storing ends early, by a panic in the code of
/// its lock.
struct Unlisted<'p, L: RawRwLock, S: PageSource> {
    pool: &'p Pool<L, S>,
    header: NonNull<Zspage<L>>,
    pin: &'p Pin,
}

impl<L: RawRwLock, S: PageSource> Drop for Unlisted<'_, L, S> {
    fn drop(&mut self) {
        // SAFETY: never added to its class, empty, and nobody else knows it.
        unsafe { self.pool.retire_zspage(self.header, self.pin) };
    }
}

/// An object whose handle nobody gets if the code of a lock or of the page source panics now. Then it is
/// freed.
struct Unreturned<'p, L: RawRwLock, S: PageSource> {
    pool: &'p Pool<L, S>,
    handle: &'p Handle,
}

impl<L: RawRwLock, S: PageSource> Drop for Unreturned<'_, L, S> {
    fn drop(&mut self) {
        // SAFETY: a live handle, of which nobody else knows and which the caller forgets. Its zspage's
        // header outlives the caller's hold because of the caller's pin.
        unsafe { self.pool.free_index(self.handle.index()) };
    }
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Stores a copy of `bytes`.
    ///
    /// May wait for the class's mutex, which is held for the time of a slot's search, or of moving
    /// one zspage. Never waits for a map.
    ///
    /// # Errors
    ///
    /// See [`AllocError`]; the pool is unchanged.
    ///
    /// # Panics
    ///
    /// If the zspage has more maps than its lock can count: see the [limits](crate::docs::limits).
    #[track_caller]
    pub fn insert(&self, bytes: &[u8]) -> Result<Handle, AllocError> {
        let pin = reclaim::pin();
        let reserved = self.reserve(bytes.len(), &pin)?;
        // SAFETY: the slot is at least `bytes.len()` long and belongs to this object alone, whose
        // handle nobody else has; the hold keeps it there. `bytes` cannot overlap it: a `&[u8]` into
        // the pool borrows another object.
        Ok(reserved.fill(bytes.len(), &pin, |slot| unsafe {
            std::ptr::copy_nonoverlapping(bytes.as_ptr(), slot.as_ptr(), bytes.len());
        }))
    }

    /// Stores an object of `len` zero bytes, to be filled with [`write`](Self::write).
    ///
    /// Waits as [`insert`](Self::insert) does.
    ///
    /// # Errors
    ///
    /// See [`AllocError`]; the pool is unchanged.
    #[track_caller]
    pub fn alloc(&self, len: usize) -> Result<Handle, AllocError> {
        let pin = reclaim::pin();
        let reserved = self.reserve(len, &pin)?;
        // The slot may hold bytes of an earlier object.
        // SAFETY: as in `insert`.
        Ok(reserved.fill(len, &pin, |slot| unsafe { slot.write_bytes(0, len) }))
    }

    /// The class of an object of `len` bytes.
    pub(crate) fn class_of(&self, len: usize) -> Result<usize, AllocError> {
        let max = self.table.max();
        match len {
            0 => Err(AllocError::ZeroSize),
            _ if len > max => Err(AllocError::TooLarge { len, max }),
            _ => Ok(self.table.index_of(len)),
        }
    }

    /// Finds a place for an object of `len` bytes, in a zspage that has room or in a new one.
    fn reserve(&self, len: usize, pin: &Pin) -> Result<Reserved<L>, AllocError> {
        let class = self.class_of(len)?;
        let mut locked = self.lock_class(class);
        if let Some(hold) = hold_any(&locked) {
            let index = self.take_handle(&mut locked, pin)?;
            return Ok(self.publish(&mut locked, hold, index, len, pin));
        }
        let index = self.take_handle(&mut locked, pin)?;
        let objects = locked.objects();
        // Pages come from the system without the class lock.
        drop(locked);
        let spare = SpareHandle {
            pool: self,
            class,
            index,
        };
        self.sweep();
        let grown = self.grow(class, objects, pin);
        let header = grown.or_else(|error| self.grow_at_limit(error, class, objects, pin))?;
        let unlisted = Unlisted {
            pool: self,
            header,
            pin,
        };
        // Nobody knows the zspage yet, so this does not wait, and it is outside the class lock.
        // SAFETY: the object that is published below keeps the header alive, or else the caller's pin.
        let hold = unsafe { ReadHold::lock(header) };
        let mut locked = self.lock_class(class);
        if let Some(other) = hold_any(&locked) {
            // Others have made room meanwhile: if each who found none added a zspage, a class would
            // grow by as many as there are threads.
            let reserved = self.publish(&mut locked, other, spare.used(), len, pin);
            drop(locked);
            hold.end(pin);
            let unreturned = Unreturned {
                pool: self,
                handle: &reserved.handle,
            };
            drop(unlisted);
            mem::forget(unreturned);
            return Ok(reserved);
        }
        mem::forget(unlisted);
        // SAFETY: a new header of this class; it is removed before it is retired.
        unsafe { locked.add(header, false) };
        Ok(self.publish(&mut locked, hold, spare.used(), len, pin))
    }

    /// A new zspage for a class without room.
    pub(crate) fn grow(
        &self,
        class: usize,
        objects: usize,
        pin: &Pin,
    ) -> Result<NonNull<Zspage<L>>, AllocError> {
        let mut error = AllocError::OutOfMemory;
        let chain = self.table.chain(class);
        for run in chain.growth(objects, self.pages.resident()) {
            match self.new_zspage(class, run, pin) {
                Ok(header) => return Ok(header),
                Err(NoPages::Source) => error = AllocError::OutOfMemory,
                Err(NoPages::Limit) => {
                    let max_pages = self.pages.max();
                    error = AllocError::Limit { max_pages };
                }
            }
        }
        Err(error)
    }

    /// Takes a slot of the held zspage and lets the handle name it. With the class locked.
    fn publish(
        &self,
        class: &mut ClassGuard<'_, L>,
        hold: ReadHold<L>,
        index: u32,
        len: usize,
        pin: &Pin,
    ) -> Reserved<L> {
        let zspage = hold.zspage();
        let slot = class.take_slot(zspage, index);
        let entry = Entry::new(zspage.slots.index(), slot, len);
        self.handles.cell(index, pin).publish(entry);
        Reserved {
            handle: self.new_handle(index),
            slot: zspage.slot(slot),
            hold,
        }
    }
}

/// Holds the fullest zspage that has room. Only tries: a blocking acquisition under the class lock
/// would invert the order of a user who holds a map and inserts. Exclusive holds end before the
/// class lock is released, so with most locks the first attempt succeeds.
fn hold_any<L: RawRwLock>(class: &ClassGuard<'_, L>) -> Option<ReadHold<L>> {
    class.with_room().find_map(|member| {
        // SAFETY: the object that is published in it keeps the header alive.
        unsafe { ReadHold::try_lock(member.zspage().into()) }
    })
}
