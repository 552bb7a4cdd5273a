//! The memory orderings by which threads find objects without a lock, one constant a site: what it pairs with, and what
//! breaks when it is weaker. What is read and written under a lock is Relaxed and stands where it is used.
//!
//! `ci/mutants.sh` weakens each site in turn to `Relaxed`: a loom model fails, or the site is listed with the reason why
//! nothing can be seen of it.

#[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
pub(crate) use std::sync::atomic::Ordering as Site;

#[cfg(any(zslock_loom, zsalloc_shuttle))]
pub(crate) use crate::primitive::execution::Site;

macro_rules! sites {
    ($($(#[$doc:meta])* $name:ident = $ordering:ident;)*) => {
        $(
            $(#[$doc])*
            #[cfg(not(any(zslock_loom, zsalloc_shuttle)))]
            pub(crate) const $name: Site = Site::$ordering;
            $(#[$doc])*
            #[cfg(any(zslock_loom, zsalloc_shuttle))]
            pub(crate) const $name: Site = Site::new(stringify!($name), std::sync::atomic::Ordering::$ordering);
        )*
        /// Every site, for the mutation run.
        #[cfg(any(zslock_loom, zsalloc_shuttle))]
        pub(crate) const ALL: &[Site] = &[$($name),*];
    };
}

sites! {
    /// A handle's entry is read. Acquire: pairs with [`ENTRY_PUBLISH`]. A reader that sees the new place of a moved object
    /// also sees the header that it is reached through, and the bytes copied there.
    ENTRY_LOAD = Acquire;
    /// A handle's entry is changed. Release: pairs with [`ENTRY_LOAD`]; comes after the copy of the object's bytes.
    ENTRY_PUBLISH = Release;

    /// The mark of a header is read. Acquire: pairs with [`HEADER_PUBLISH`] (the header is initialised, even for who comes
    /// with the id of an earlier zspage of the same index), and with [`HEADER_CLEAR`].
    HEADER_LOAD = Acquire;
    /// A new header is marked. Release: pairs with [`HEADER_LOAD`].
    HEADER_PUBLISH = Release;
    /// The mark of a header is cleared. Release: pairs with [`HEADER_LOAD`]. Whoever finds nothing also finds the entry
    /// changed that led there, so a lookup that starts over does not come the same way again.
    HEADER_CLEAR = Release;

    /// The pointer to a table's directory is read. Acquire: pairs with [`DIRECTORY_PUBLISH`]; its contents are visible.
    DIRECTORY_LOAD = Acquire;
    /// A larger directory is stored. Release: pairs with [`DIRECTORY_LOAD`].
    DIRECTORY_PUBLISH = Release;
    /// The pointer to a segment is read. Acquire: pairs with [`SEGMENT_PUBLISH`]; its cells are initialised.
    SEGMENT_LOAD = Acquire;
    /// A new segment is stored. Release: pairs with [`SEGMENT_LOAD`].
    SEGMENT_PUBLISH = Release;
}
