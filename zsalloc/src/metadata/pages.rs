//! Whole pages for metadata.
//!
//! All pools of the process share one source: a small pool needs no region of its own then, and what is
//! retired may be freed after its pool has ended. Every page belongs to one pool, which counts it.
//!
//! A class may be locked while pages come, but no leaf: the source's lock is one.

use std::alloc::{self, Layout};
use std::fmt;
use std::ptr::NonNull;
use std::sync::LazyLock;

use crate::backend::{Heap, Mmap, PageSource, SOURCE_PAGE, SourceError};
use crate::reclaim::Pin;

/// Miri has no pages, and under the checkers a lock belongs to one execution. With larger pages than
/// ours a segment would take a whole one of those.
static SOURCE: LazyLock<Box<dyn PageSource>> = LazyLock::new(|| {
    let checked = cfg!(any(miri, zslock_loom, zsalloc_shuttle));
    if checked || rustix::param::page_size() > SOURCE_PAGE {
        Box::new(Heap)
    } else {
        Box::new(Mmap::new())
    }
});

/// The longest run: that of a region.
const MAX_PAGES: usize = 1024;

/// Where metadata has its pages. A copy is the same place.
#[derive(Clone, Copy)]
pub(crate) struct MetadataPages(&'static dyn PageSource);

impl MetadataPages {
    /// The source that all pools share.
    pub(crate) fn of_process() -> Self {
        Self(&**SOURCE)
    }

    /// A source for a test, which is leaked.
    #[cfg(test)]
    pub(crate) fn of(source: impl PageSource + 'static) -> Self {
        Self(Box::leak(Box::new(source)))
    }

    /// The bytes that a `T` takes: whole pages.
    pub(crate) const fn bytes_for<T>() -> usize {
        size_of::<T>().next_multiple_of(SOURCE_PAGE)
    }

    const fn pages_for<T>() -> usize {
        const { assert!(size_of::<T>() > 0) };
        Self::bytes_for::<T>() / SOURCE_PAGE
    }

    /// Whether a source can have pages for a `T`. If not (a user's lock may be of any size and alignment),
    /// it lies in malloc's heap.
    const fn fits<T>() -> bool {
        align_of::<T>() <= SOURCE_PAGE && Self::pages_for::<T>() <= MAX_PAGES
    }

    fn take<T>(self) -> Result<NonNull<T>, SourceError> {
        if Self::fits::<T>() {
            return Ok(self.0.alloc(Self::pages_for::<T>())?.cast());
        }
        // SAFETY: no `T` is of size 0, as `pages_for` asserts.
        let place = unsafe { alloc::alloc(Layout::new::<T>()) };
        NonNull::new(place.cast()).ok_or(SourceError)
    }

    /// # Safety
    ///
    /// `place` came from `take` of the same source, and nobody uses it from now on.
    unsafe fn give<T>(self, place: NonNull<T>) {
        let place = place.cast();
        if Self::fits::<T>() {
            // SAFETY: from `alloc` of as many pages.
            unsafe { self.0.release(place, Self::pages_for::<T>()) };
        } else {
            // SAFETY: from `alloc` with the same layout.
            unsafe { alloc::dealloc(place.as_ptr(), Layout::new::<T>()) };
        }
    }

    /// Makes a `T` in memory of its own, to be ended with [`end`](Self::end) or [`retire`](Self::retire).
    ///
    /// # Errors
    ///
    /// [`SourceError`] if there are no pages. Then `make` was not called.
    #[cfg(test)]
    pub(crate) fn place<T>(self, make: impl FnOnce() -> T) -> Result<NonNull<T>, SourceError> {
        // SAFETY: the function writes all of it, to what is as long and as aligned as a `T`.
        unsafe { self.place_with(|place: NonNull<T>| place.write(make())) }
    }

    /// The same for a `T` that is made where it lies, as it may be too long for the stack.
    ///
    /// # Safety
    ///
    /// `make` initialises the `T`. What it gets is writable, and nobody else's.
    pub(crate) unsafe fn place_with<T>(
        self,
        make: impl FnOnce(NonNull<T>),
    ) -> Result<NonNull<T>, SourceError> {
        let place = self.take()?;
        make(place);
        Ok(place)
    }

    /// Ends what `place` made, and gives its pages back.
    ///
    /// # Safety
    ///
    /// `value` came from `place` of the same source, and nobody else uses it, now or later.
    pub(crate) unsafe fn end<T>(self, value: NonNull<T>) {
        // SAFETY: the caller's promise.
        unsafe { value.drop_in_place() };
        // SAFETY: from `take`, and the value in it has ended.
        unsafe { self.give(value) };
    }

    /// [`end`](Self::end)s `value` once no thread that is pinned now is pinned any more.
    ///
    /// # Safety
    ///
    /// `value` came from `place` of the same source. `T` is `Send` and `'static`, though the compiler
    /// may not know, and no new reference to `value` can be obtained.
    pub(crate) unsafe fn retire<T>(self, value: NonNull<T>, pin: &Pin) {
        // SAFETY: the caller's promise; the source is `'static` and `Sync`, and `end` is called once.
        unsafe { pin.retire_with(value, move || self.end(value)) };
    }
}

impl fmt::Debug for MetadataPages {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MetadataPages").finish_non_exhaustive()
    }
}

#[cfg(all(test, not(any(zslock_loom, zsalloc_shuttle))))]
mod tests {
    use super::*;
    use crate::backend::Failing;

    #[test]
    fn a_value_is_made_in_whole_pages_and_dropped_when_it_ends() {
        let shared = std::sync::Arc::new(());
        let pages = MetadataPages::of_process();
        let value = pages.place(|| (shared.clone(), [7_u8; SOURCE_PAGE]));
        let value = value.unwrap();
        assert!(value.addr().get().is_multiple_of(SOURCE_PAGE));
        // SAFETY: just made.
        assert!(unsafe { value.as_ref() }.1.iter().all(|&byte| byte == 7));
        assert_eq!(std::sync::Arc::strong_count(&shared), 2);
        // SAFETY: made there, and used no more.
        unsafe { pages.end(value) };
        assert_eq!(std::sync::Arc::strong_count(&shared), 1);
        let two_pages = 2 * SOURCE_PAGE;
        assert_eq!(
            MetadataPages::bytes_for::<(u8, [u8; SOURCE_PAGE])>(),
            two_pages
        );
    }

    #[test]
    fn without_pages_nothing_is_made() {
        let source = Failing::new(Heap);
        source.fail_from(0);
        let pages = MetadataPages::of(source);
        let made = pages.place(|| -> u8 { unreachable!("there are no pages") });
        assert_eq!(made, Err(SourceError));
    }
}
