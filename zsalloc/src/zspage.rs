//! Zspages: runs of pages that hold the objects of one class, and the lock that keeps them in
//! place while one is mapped.

use std::cell::UnsafeCell;
use std::fmt;
use std::mem::{ManuallyDrop, MaybeUninit};
use std::ptr::NonNull;
use std::sync::atomic::{self, Ordering};

use lock_api::RawRwLock;

use crate::at_once;
use crate::order;
use crate::primitive::{AtomicPtr, AtomicU32, is_broken, ordering, shadow};
use crate::reclaim::{self, Pin};
use crate::slots::{LockedU32, Slots};

/// Names a zspage, for [`Pool::migrate`](crate::Pool::migrate). Not reused within 2^32 zspages of
/// a process; an id of a zspage that no longer exists, or is another pool's, is recognised.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ZspageId {
    pub(crate) index: u32,
    pub(crate) serial: u32,
}

/// One zspage at the moment it was listed by [`Pool::zspages`](crate::Pool::zspages).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ZspageInfo {
    /// Its name.
    pub id: ZspageId,
    /// The slot size of its class, in bytes.
    pub size: usize,
    /// Its length in pages.
    pub pages: usize,
    /// Its slots.
    pub slots: usize,
    /// The slots that hold an object.
    pub used: usize,
    /// Whether an object of it was mapped. Also true for the moment in which an insertion copies, or
    /// idle pages are discarded.
    pub mapped: bool,
}

/// The mark of a header that no zspage has.
const VACANT: u32 = 0;

/// What is known about a zspage: its header. It lies in the zspage table, whose
/// [cells](crate::zspage_table::ZspageCell) say when it may be borrowed.
///
/// With a lock of at most 8 bytes it takes 64, a line of the cache, and 64 headers take a page.
pub(crate) struct Zspage<L> {
    /// The serial number of the zspage while it can be found, otherwise `VACANT`.
    mark: AtomicU32,
    /// Invariant: initialised from `fill` to `end`.
    lock: UnsafeCell<MaybeUninit<L>>,
    /// Invariant: changes only under the class lock *and* the exclusive zspage lock, so that either
    /// lock permits reading it.
    base: AtomicPtr<u8>,
    /// The length of a slot in bytes. Does not change while the zspage lives. Here because the lengths of
    /// the class's objects are many, and to find the class by a length costs a look at another table.
    size: LockedU32,
    pub(crate) slots: Slots,
}

// SAFETY: a lock that any thread may use, reached by reference but when its zspage begins and ends, and
// words that are atomics.
unsafe impl<L: Send + Sync> Sync for Zspage<L> {}

impl<L> Default for Zspage<L> {
    fn default() -> Self {
        Self {
            mark: AtomicU32::new(VACANT),
            lock: UnsafeCell::new(MaybeUninit::uninit()),
            base: AtomicPtr::default(),
            size: LockedU32::default(),
            slots: Slots::default(),
        }
    }
}

impl<L> Zspage<L> {
    /// Begins a zspage, which nobody can find yet. The caller passes sizes that fit: a class has at most
    /// 16 pages of at most 64 KiB.
    ///
    /// # Safety
    ///
    /// Nobody else uses the header, and the zspage that had it before has [ended](Self::end).
    pub(crate) unsafe fn fill(
        &self,
        lock: L,
        index: u32,
        (class, slots, size): (usize, usize, usize),
        base: NonNull<u8>,
    ) {
        // SAFETY: nobody else uses the header.
        unsafe {
            (*self.lock.get()).write(lock);
            self.slots.fill(index, class, slots);
        }
        // A slot is at most a page long.
        self.size.set(size as u32);
        // Relaxed: `publish` comes after.
        self.base.store(base.as_ptr(), Ordering::Relaxed);
    }

    /// Lets the zspage be found under this serial number.
    pub(crate) fn publish(&self, serial: u32) {
        // Release: pairs with the Acquire in `found`.
        self.mark.store(serial, ordering(order::HEADER_PUBLISH));
    }

    /// Lets nobody find the zspage any more.
    pub(crate) fn clear(&self) {
        // Release: pairs with the Acquire in `found`; the objects' entries were changed before.
        self.mark.store(VACANT, ordering(order::HEADER_CLEAR));
    }

    /// The serial number under which the zspage is found, if it is.
    #[inline(always)]
    pub(crate) fn found(&self) -> Option<u32> {
        // Acquire: pairs with the Release in `publish` (the header is initialised), and with that in
        // `clear` (whoever finds nothing also finds the entry changed).
        let mark = self.mark.load(ordering(order::HEADER_LOAD));
        (mark != VACANT).then_some(mark)
    }

    /// Drops what `fill` was given.
    ///
    /// # Safety
    ///
    /// Filled, and nobody uses the header until it is filled again.
    pub(crate) unsafe fn end(&self) {
        // SAFETY: nobody uses the header.
        unsafe { self.slots.end() };
        // Last, as a lock's code may panic.
        // SAFETY: filled, so the lock is initialised; dropped once.
        unsafe { (*self.lock.get()).assume_init_drop() };
    }

    /// Shared: nothing in the zspage moves. Exclusive: no object of it is mapped. Under the class
    /// lock it is only tried.
    #[inline(always)]
    pub(crate) fn lock(&self) -> &L {
        // SAFETY: whoever has a reference to a zspage found it, or has just filled it; and it does not end
        // while they have it.
        unsafe { (*self.lock.get()).assume_init_ref() }
    }

    /// The lock without a borrow of the rest of the header.
    ///
    /// # Safety
    ///
    /// The zspage does not end while the lock is borrowed.
    #[inline(always)]
    unsafe fn lock_alone<'l>(zspage: NonNull<Self>) -> &'l L {
        // SAFETY: the caller keeps the header, and so an initialised lock.
        unsafe { (*UnsafeCell::raw_get(&raw const (*zspage.as_ptr()).lock)).assume_init_ref() }
    }

    /// Its name, while it can be found.
    pub(crate) fn id(&self) -> ZspageId {
        ZspageId {
            index: self.slots.index(),
            // Relaxed: nothing is reached by it.
            serial: self.mark.load(Ordering::Relaxed),
        }
    }

    /// The address of the first slot. Call with the class or the zspage locked.
    #[inline(always)]
    pub(crate) fn base(&self) -> NonNull<u8> {
        // Relaxed: either lock orders this after the last change.
        let base = self.base.load(Ordering::Relaxed);
        NonNull::new(base).expect("a zspage has pages")
    }

    /// Moves the zspage. Call with the class locked and the zspage locked exclusively.
    pub(crate) fn set_base(&self, base: NonNull<u8>) {
        // Relaxed: published by the release of either lock.
        self.base.store(base.as_ptr(), Ordering::Relaxed);
    }

    /// The address of a slot. Call with the class or the zspage locked.
    #[inline(always)]
    pub(crate) fn slot(&self, slot: usize) -> NonNull<u8> {
        // SAFETY: slots lie within the run, which is one allocation.
        unsafe { self.base().add(slot * self.slot_size()) }
    }

    /// The length of a slot in bytes.
    #[inline(always)]
    pub(crate) fn slot_size(&self) -> usize {
        self.size.get() as usize
    }
}

/// A serial number that is no mark of a vacant header.
pub(crate) fn next_serial(next: &atomic::AtomicU32) -> u32 {
    loop {
        // Relaxed: only uniqueness matters.
        let serial = next.fetch_add(1, Ordering::Relaxed);
        if serial != VACANT {
            return serial;
        }
    }
}

/// A shared hold of a zspage: while it lives, no object of the zspage moves. It may be held while
/// sleeping. It does not keep the header alive, an object in the zspage does.
pub(crate) struct ReadHold<L: RawRwLock> {
    zspage: NonNull<Zspage<L>>,
    guard: ManuallyDrop<L::SharedGuard>,
}

impl<L: RawRwLock> ReadHold<L> {
    /// Waits while the zspage is locked exclusively, which is while its objects are being moved.
    ///
    /// # Safety
    ///
    /// The header outlives the hold.
    #[track_caller]
    #[inline]
    pub(crate) unsafe fn lock(zspage: NonNull<Zspage<L>>) -> Self {
        shadow::read(zspage);
        // SAFETY: the caller keeps the header alive.
        let guard = unsafe { zspage.as_ref() }.lock().lock_shared();
        Self {
            zspage,
            guard: ManuallyDrop::new(guard),
        }
    }

    /// Never waits.
    ///
    /// # Safety
    ///
    /// The header outlives the hold.
    #[track_caller]
    pub(crate) unsafe fn try_lock(zspage: NonNull<Zspage<L>>) -> Option<Self> {
        // SAFETY: the caller keeps the header alive.
        let guard = unsafe { zspage.as_ref() }.lock().try_lock_shared()?;
        Some(Self {
            zspage,
            guard: ManuallyDrop::new(guard),
        })
    }

    pub(crate) fn zspage(&self) -> &Zspage<L> {
        shadow::read(self.zspage);
        // SAFETY: whoever made the hold promised that the header outlives it.
        unsafe { self.zspage.as_ref() }
    }
}

impl<L: RawRwLock> ReadHold<L> {
    /// Lets go within the caller's pin, which is as good as the one that `drop` may take.
    #[inline]
    pub(crate) fn end(self, _pin: &Pin) {
        let mut hold = ManuallyDrop::new(self);
        // SAFETY: not dropped, so taken once.
        let guard = unsafe { ManuallyDrop::take(&mut hold.guard) };
        // SAFETY: pinned by the caller; the guard is this hold's.
        unsafe { Self::unlock(hold.zspage, guard) };
    }

    /// Lets go without a pin, by the last step that this thread does to the header. The guard comes back, and the zspage is
    /// still held, if the lock cannot promise that.
    ///
    /// # Safety
    ///
    /// `guard` is that of a hold of `zspage`, which ends here or when the guard that comes back does.
    #[inline(always)]
    unsafe fn unlock_at_once(
        zspage: NonNull<Zspage<L>>,
        guard: L::SharedGuard,
    ) -> Result<(), L::SharedGuard> {
        shadow::read(zspage);
        // Only the lock is borrowed: it is atomic, so the reference to it may outlive it by what is left of this call, as in
        // `Arc`'s drop.
        // SAFETY: while the zspage is held, whoever made the hold keeps the header alive. The guard is from this
        // lock, which is one of a pool's and thus `'static`.
        unsafe { at_once::try_unlock_shared(Zspage::lock_alone(zspage), guard) }?;
        if is_broken("touched after unlocking at once") {
            shadow::read(zspage);
        }
        Ok(())
    }

    /// # Safety
    ///
    /// `guard` is that of a hold of `zspage`, which ends here.
    #[inline]
    unsafe fn unlock_pinned(zspage: NonNull<Zspage<L>>, guard: L::SharedGuard) {
        let _pin = (!is_broken("unmapping not pinned")).then(reclaim::pin);
        // SAFETY: pinned; the rest is the caller's promise.
        unsafe { Self::unlock(zspage, guard) };
    }

    /// The same, apart: with it inline, maps are passed to their drop through memory, which takes longer than the pin.
    ///
    /// # Safety
    ///
    /// As for `unlock_pinned`.
    #[cold]
    #[inline(never)]
    unsafe fn unlock_pinned_rarely(zspage: NonNull<Zspage<L>>, guard: L::SharedGuard) {
        // SAFETY: the caller's promise.
        unsafe { Self::unlock_pinned(zspage, guard) };
    }

    /// # Safety
    ///
    /// `guard` is that of a hold of `zspage`, which ends here. And pinned: the lock may touch its word after the operation that
    /// releases it (to wake waiters). By then a compactor may have moved the last object away and retired the header.
    #[inline]
    unsafe fn unlock(zspage: NonNull<Zspage<L>>, guard: L::SharedGuard) {
        // SAFETY: the guard is from this lock; the header is alive now by the promise of whoever
        // made the hold, and the pin keeps it so until the lock is done with it.
        unsafe { zspage.as_ref().lock().unlock_shared(guard) };
        // As if the lock touched its word last of all: some do.
        shadow::read(zspage);
    }
}

impl<L: RawRwLock> Drop for ReadHold<L> {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: dropped once, so taken once.
        let guard = unsafe { ManuallyDrop::take(&mut self.guard) };
        // SAFETY: this hold's, which ends.
        let Err(guard) = (unsafe { Self::unlock_at_once(self.zspage, guard) }) else {
            return;
        };
        // SAFETY: the guard that came back, so that this hold goes on.
        unsafe {
            if at_once::is_usual::<L>() {
                Self::unlock_pinned_rarely(self.zspage, guard);
            } else {
                Self::unlock_pinned(self.zspage, guard);
            }
        }
    }
}

// SAFETY: a hold is the guard of a lock that any thread may use (`L: Sync`); it may be released
// elsewhere if the guard may travel. The pointer is used only to reach the lock and plain fields.
unsafe impl<L: RawRwLock + Sync> Send for ReadHold<L> where L::SharedGuard: Send {}
// SAFETY: a shared hold only gives `&Zspage`, whose fields are `Sync`, and never the guard itself.
unsafe impl<L: RawRwLock + Sync> Sync for ReadHold<L> where L::SharedGuard: Sync {}

/// An exclusive hold of a zspage: no object of it is mapped. Only ever tried for, and only with
/// the class locked.
pub(crate) struct WriteHold<'z, L: RawRwLock> {
    zspage: &'z Zspage<L>,
    /// `None` once released.
    guard: Option<L::ExclusiveGuard>,
}

impl<'z, L: RawRwLock> WriteHold<'z, L> {
    pub(crate) fn try_lock(zspage: &'z Zspage<L>) -> Option<Self> {
        let guard = zspage.lock().try_lock_exclusive()?;
        let mut hold = Self {
            zspage,
            guard: Some(guard),
        };
        if is_broken("exclusive hold ends at once") {
            hold.release();
        }
        Some(hold)
    }

    fn release(&mut self) {
        if let Some(guard) = self.guard.take() {
            // SAFETY: the guard is from this lock, which the reference keeps alive.
            unsafe { self.zspage.lock().unlock_exclusive(guard) };
        }
    }
}

impl<L: RawRwLock> Drop for WriteHold<'_, L> {
    fn drop(&mut self) {
        self.release();
    }
}

impl<L> fmt::Debug for Zspage<L> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Zspage")
            .field("id", &self.id())
            .field("class", &self.slots.class())
            .field("slots", &self.slots.count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_zspage_is_marked_as_vacant() {
        let next = atomic::AtomicU32::new(u32::MAX);
        assert_eq!([next_serial(&next), next_serial(&next)], [u32::MAX, 1]);
    }

    #[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
    #[test]
    fn a_header_takes_a_line_of_the_cache() {
        assert_eq!(size_of::<Zspage<parking_lot::RawRwLock>>(), 64);
        // The validator's part of a lock is longer.
        let header = size_of::<Zspage<zslock::RawZsLock>>();
        assert_eq!(header > 64, crate::class_lock::VALIDATED);
        assert!(header >= 64);
    }
}
