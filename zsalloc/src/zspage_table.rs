//! The zspage table: from a zspage's index to its header, which lies in the table itself, so that a
//! lookup has one place less to wait for.

use std::ops::Deref;
use std::ptr::NonNull;

use crate::index_table::IndexTable;
use crate::primitive::shadow;
use crate::primitive::size::ZSPAGE_SEGMENT;
use crate::reclaim::Pin;
use crate::zspage::{Zspage, ZspageId};

/// All zspages of a pool.
pub(crate) type ZspageTable<L> = IndexTable<ZspageCell<L>, ZSPAGE_SEGMENT>;

/// One zspage's place in the table. It stays at its address.
///
/// Invariant: while its index is free, a place is vacant and its header is not filled. Whoever has acquired
/// the index fills the header and publishes the zspage. In the end the zspage is cleared: from then on
/// nobody can find it, and when all who had found it before have unpinned, its header [ends](Ending) and the
/// index is released. So who finds a mark, pinned, may borrow the header as long as they are pinned.
pub(crate) struct ZspageCell<L>(Zspage<L>);

impl<L> Default for ZspageCell<L> {
    fn default() -> Self {
        Self(Zspage::default())
    }
}

impl<L> ZspageCell<L> {
    /// Begins a zspage here, which nobody can find until it is published.
    ///
    /// # Safety
    ///
    /// The caller has acquired the index of this place and not filled it since.
    pub(crate) unsafe fn fill(
        &self,
        lock: L,
        index: u32,
        shape: (usize, usize, usize),
        base: NonNull<u8>,
    ) -> &Zspage<L> {
        shadow::written(NonNull::from(&self.0));
        // SAFETY: vacant, and the index was released (if it ever was in use) when nobody was left who had
        // found the zspage before, which had ended.
        unsafe { self.0.fill(lock, index, shape, base) };
        &self.0
    }

    /// The zspage and its serial number, if it can be found. It lives as long as the pin, though it may be
    /// retired meanwhile.
    #[inline(always)]
    fn zspage<'p>(&'p self, _pin: &'p Pin) -> Option<(&'p Zspage<L>, u32)> {
        let serial = self.0.found()?;
        shadow::read(NonNull::from(&self.0));
        Some((&self.0, serial))
    }
}

impl<L> ZspageTable<L> {
    /// The header behind an index that was read from an entry. It is alive while the pin lasts, though the
    /// zspage may be retired meanwhile; `None` if it is already.
    #[inline(always)]
    pub(crate) fn find<'p>(&self, index: u32, pin: &'p Pin) -> Option<&'p Zspage<L>> {
        let (zspage, _) = self.get(index, pin)?.zspage(pin)?;
        Some(zspage)
    }

    /// The header that an id names, if the zspage still has one.
    pub(crate) fn find_by_id<'p>(&self, id: ZspageId, pin: &'p Pin) -> Option<&'p Zspage<L>> {
        let (zspage, serial) = self.get(id.index, pin)?.zspage(pin)?;
        (serial == id.serial).then_some(zspage)
    }
}

/// A zspage that nobody else can reach any more. Its header ends when this is dropped.
pub(crate) struct Ending<L>(NonNull<Zspage<L>>);

impl<L> Ending<L> {
    /// # Safety
    ///
    /// The header is filled, the index of its place stays acquired until this is dropped, and nobody else
    /// uses it from now on.
    pub(crate) unsafe fn new(header: NonNull<Zspage<L>>) -> Self {
        Self(header)
    }
}

impl<L> Deref for Ending<L> {
    type Target = Zspage<L>;

    fn deref(&self) -> &Zspage<L> {
        // SAFETY: ours until this is dropped, as the maker promised.
        unsafe { self.0.as_ref() }
    }
}

impl<L> Drop for Ending<L> {
    fn drop(&mut self) {
        shadow::freed(self.0);
        // SAFETY: filled and used by nobody else, as the maker promised; and this is dropped once.
        unsafe { self.end() };
    }
}
