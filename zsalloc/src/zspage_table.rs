//! The zspage table: from a zspage's index to its header, which lies in the table itself, so that a
//! lookup has one place less to wait for.

use std::cell::UnsafeCell;
use std::mem::MaybeUninit;
use std::ops::Deref;
use std::ptr::NonNull;
use std::sync::atomic::Ordering;

use crate::index_table::IndexTable;
use crate::order;
use crate::primitive::size::ZSPAGE_SEGMENT;
use crate::primitive::{AtomicU32, ordering, shadow};
use crate::reclaim::Pin;
use crate::zspage::Zspage;

/// All zspages of a pool.
pub(crate) type ZspageTable<L> = IndexTable<ZspageCell<L>, ZSPAGE_SEGMENT>;

/// The mark of a place where no zspage can be found.
const VACANT: u32 = 0;

/// One zspage's place in the table. It stays at its address.
///
/// While its index is free, a place is vacant and empty. Whoever has acquired the index [fills](Self::fill)
/// it, and [publishes](Self::publish) the zspage. In the end the zspage is [cleared](Self::clear): from then
/// on nobody can find it, and when all who had found it before have unpinned, it is
/// [emptied](Ending) and the index is released.
// The mark comes first, so that a header and the segment that it is in do not begin at one address: the
// checkers tell memory apart by where it begins.
#[repr(C)]
pub(crate) struct ZspageCell<L> {
    /// The serial number of the zspage while it can be found, otherwise `VACANT`.
    mark: AtomicU32,
    /// Invariant: initialised from `fill` until it is emptied. Written only while the mark is `VACANT` and
    /// nobody is pinned who has found another mark since the index was acquired; so who finds one may
    /// borrow it as long as they are pinned.
    zspage: UnsafeCell<MaybeUninit<Zspage<L>>>,
}

// SAFETY: a zspage is shared by those who find its mark, and is made and ended by threads of its
// pool's: `Zspage<L>` is `Sync` and `Send` with `L`.
unsafe impl<L: Send + Sync> Sync for ZspageCell<L> {}

impl<L> Default for ZspageCell<L> {
    fn default() -> Self {
        Self {
            mark: AtomicU32::new(VACANT),
            zspage: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }
}

impl<L> ZspageCell<L> {
    /// Puts a new zspage here, which nobody can find yet.
    ///
    /// # Safety
    ///
    /// The caller has acquired the index of this place and not filled it since.
    pub(crate) unsafe fn fill(&self, zspage: Zspage<L>) -> NonNull<Zspage<L>> {
        // SAFETY: vacant, and the index was released (if it ever was in use) when nobody was left who
        // had found it; so the caller alone uses this place.
        let header = NonNull::from(unsafe { (*self.zspage.get()).write(zspage) });
        shadow::written(header);
        header
    }

    /// Lets the zspage that was filled in be found.
    pub(crate) fn publish(&self, serial: u32) {
        // Release: pairs with the Acquire in `zspage`.
        self.mark.store(serial, ordering(order::HEADER_PUBLISH));
    }

    /// Lets nobody find the zspage any more.
    pub(crate) fn clear(&self) {
        // Release: pairs with the Acquire in `zspage`; the objects' entries were changed before.
        self.mark.store(VACANT, ordering(order::HEADER_CLEAR));
    }

    /// The zspage, if it can be found. It lives as long as the pin, though it may be retired meanwhile.
    #[inline]
    fn zspage<'p>(&'p self, _pin: &'p Pin) -> Option<&'p Zspage<L>> {
        // Acquire: pairs with the Release in `publish` (the header is initialised), and with that in
        // `clear` (whoever finds nothing also finds the entry changed).
        if self.mark.load(ordering(order::HEADER_LOAD)) == VACANT {
            return None;
        }
        // SAFETY: filled before it was marked; and emptied, and filled again, only after this thread,
        // which was pinned when it found the mark, has unpinned.
        let header = unsafe { (*self.zspage.get()).assume_init_ref() };
        shadow::read(NonNull::from(header));
        Some(header)
    }
}

/// A zspage that nobody else can reach any more. Dropping it empties its place.
pub(crate) struct Ending<L>(NonNull<Zspage<L>>);

impl<L> Ending<L> {
    /// # Safety
    ///
    /// The header lies in its place, whose index stays acquired until this is dropped, is not ended yet,
    /// and nobody uses it from now on.
    pub(crate) unsafe fn new(header: NonNull<Zspage<L>>) -> Self {
        Self(header)
    }
}

impl<L> Deref for Ending<L> {
    type Target = Zspage<L>;

    fn deref(&self) -> &Zspage<L> {
        // SAFETY: ours until it is dropped, as the maker promised.
        unsafe { self.0.as_ref() }
    }
}

impl<L> Drop for Ending<L> {
    fn drop(&mut self) {
        shadow::freed(self.0);
        // SAFETY: filled in and used by nobody else, as the maker promised; dropped once, here.
        unsafe { self.0.drop_in_place() };
    }
}

impl<L> ZspageTable<L> {
    /// The header behind an index that was read from an entry, a list or an id. It is alive while the pin
    /// lasts, though the zspage may be retired meanwhile; `None` if it is already.
    #[inline]
    pub(crate) fn find<'p>(&self, index: u32, pin: &'p Pin) -> Option<&'p Zspage<L>> {
        self.get(index, pin)?.zspage(pin)
    }
}

/// A serial number that no mark of a vacant place is.
pub(crate) fn next_serial(next: &std::sync::atomic::AtomicU32) -> u32 {
    loop {
        // Relaxed: only uniqueness matters.
        let serial = next.fetch_add(1, Ordering::Relaxed);
        if serial != VACANT {
            return serial;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::AtomicU32;

    #[test]
    fn no_zspage_is_marked_as_vacant() {
        let next = AtomicU32::new(u32::MAX);
        assert_eq!([next_serial(&next), next_serial(&next)], [u32::MAX, 1]);
    }
}
