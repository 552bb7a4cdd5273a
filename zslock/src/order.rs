//! Every memory ordering of the lock, one constant a site: what it pairs with, and what breaks when it is weaker.
//!
//! The lock has one atomic word, and every modification of it is a read-modify-write. So all that follow an unlock in the
//! word's modification order belong to the release sequence that the unlock heads, and an acquire that reads *any* later
//! value synchronises with *every* earlier unlock. "Pairs with" names the nearest; wherever it says [`WRITE_UNLOCK`], the gated
//! policy has [`GATED_UNLOCK`], [`GATED_END`] and [`GATED_GRANT`].
//!
//! `ci/mutants.sh` weakens each site in turn to `Relaxed` and demands that a loom model fails.

#[cfg(not(zslock_loom))]
pub(crate) use core::sync::atomic::Ordering as Site;

#[cfg(zslock_loom)]
pub(crate) use crate::mutation::Site;

/// The ordering as the table has it.
#[cfg(not(any(zslock_loom, zslock_tsan_control)))]
const fn weakened(_name: &str, ordering: Site) -> Site {
    ordering
}

/// The control of `ci/tsan.sh`: with one ordering weakened, ThreadSanitizer must report a race.
#[cfg(zslock_tsan_control)]
const fn weakened(name: &str, ordering: Site) -> Site {
    match name.as_bytes() {
        b"READ_UNLOCK" => Site::Relaxed,
        _ => ordering,
    }
}

macro_rules! sites {
    ($($(#[$doc:meta])* $name:ident = $ordering:ident;)*) => {
        $(
            $(#[$doc])*
            #[cfg(not(zslock_loom))]
            pub(crate) const $name: Site = weakened(stringify!($name), Site::$ordering);
            $(#[$doc])*
            #[cfg(zslock_loom)]
            pub(crate) const $name: Site = Site::new(stringify!($name), core::sync::atomic::Ordering::$ordering);
        )*
        /// Every site, for the mutation run.
        #[cfg(zslock_loom)]
        pub(crate) const ALL: &[Site] = &[$($name),*];
    };
}

sites! {
    /// The `fetch_add` of a read lock. Acquire: pairs with [`WRITE_UNLOCK`] and [`DOWNGRADE`]. Weaker, a reader may see the
    /// data as it was before the last write section.
    READ = Acquire;
    /// The compare-exchange of `try_read`. Acquire: as [`READ`].
    TRY_READ = Acquire;
    /// The compare-exchange of a reader that waited uncounted (gated, or with a deadline). Acquire: as [`READ`].
    READ_WAITED = Acquire;
    /// The load by which a reader that is counted already learns that the plain writer has left. Acquire: pairs with
    /// [`WRITE_UNLOCK`] and [`DOWNGRADE`]. The reader's increment came while the writer was inside and acquired nothing of it.
    READ_ADMITTED = Acquire;
    /// Read unlock. Release: pairs with every ordering that admits a writer. Weaker, the reader's accesses may be seen after
    /// its unlock, while the next writer changes the data: the bug of the lock as it was posted to LKML.
    READ_UNLOCK = Release;
    /// The compare-exchange of a read unlock that touches the lock no more. Release: as [`READ_UNLOCK`]. Weaker, the memory
    /// of the lock itself may be freed while this reader is still in its section.
    READ_UNLOCK_AT_ONCE = Release;

    /// The compare-exchange of a write lock that nobody is in the way of. Acquire: pairs with [`READ_UNLOCK`],
    /// [`WRITE_UNLOCK`] and [`UPGRADABLE_UNLOCK`]. Weaker, the writer may overtake an earlier section.
    WRITE = Acquire;
    /// The compare-exchange of `try_write`. Acquire: as [`WRITE`].
    TRY_WRITE = Acquire;
    /// The compare-exchange of a `try_write` that found the word free but not zero. Acquire: as [`WRITE`].
    TRY_WRITE_AGAIN = Acquire;
    /// The compare-exchange of a writer that waited (gated: that claims, perhaps with no reader left). Acquire: as [`WRITE`].
    WRITE_WAITED = Acquire;
    /// The load by which a gated writer with a claim, or an upgrader with one, learns that the last reader has left.
    /// Acquire: pairs with the [`READ_UNLOCK`] of readers that left after the claim.
    DRAINED = Acquire;
    /// The load by which a writer takes over a lock that was taken on its behalf. Acquire: pairs with the [`READ_UNLOCK`] of
    /// every reader that left before the one that handed over. That last one is ordered by the wake-up itself.
    HANDED_OVER = Acquire;
    /// Unlock of a plain write. Release: pairs with every ordering that admits anybody. Weaker, the next holder may not see
    /// what this section wrote.
    WRITE_UNLOCK = Release;
    /// Unlock of a gated write that nobody waits for. Release: as [`WRITE_UNLOCK`].
    GATED_UNLOCK = Release;
    /// The end of a gated write, or of a claim, with no reader parked. Release: as [`WRITE_UNLOCK`].
    GATED_END = Release;
    /// The end of a gated write that grants the lock to the parked readers. Release: as [`WRITE_UNLOCK`].
    /// (The readers that were granted are ordered by their wake-up.)
    GATED_GRANT = Release;
    /// Downgrade of a plain write. Release: as [`WRITE_UNLOCK`].
    DOWNGRADE = Release;

    /// The compare-exchange of an upgradable lock that is free. Acquire: pairs with [`WRITE_UNLOCK`] and [`DOWNGRADE`].
    UPGRADABLE = Acquire;
    /// The compare-exchange of an upgradable reader that waited. Acquire: as [`UPGRADABLE`].
    UPGRADABLE_WAITED = Acquire;
    /// Upgradable unlock. Release: pairs with what admits a writer. It ends a read section.
    UPGRADABLE_UNLOCK = Release;
    /// The end of an upgradable lock whose downgrade found the count full. Release: as [`UPGRADABLE_UNLOCK`].
    UPGRADABLE_OVERFLOW = Release;
    /// The compare-exchange of `try_upgrade`, or of an upgrade that nobody is in the way of. Acquire: pairs with the
    /// [`READ_UNLOCK`] of readers that left since the upgradable lock was taken.
    UPGRADE = Acquire;
    /// The compare-exchange of an upgrade that waited. Acquire: as [`UPGRADE`].
    UPGRADE_WAITED = Acquire;

    /// The second look of a reader at a biased word, with which it is in. Acquire: pairs with the [`WRITE_UNLOCK`] of writers
    /// that came and went since its first look, and before whoever set this bias again.
    BIASED_READ = Acquire;
    /// The store of a lock's address into a free slot. Release: pairs with [`SLOT_SCAN`]. The writer of another lock that finds this
    /// address in place of its own must be ordered after what was read through the slot before.
    SLOT_TAKE = Release;
    /// The look for a free slot. Acquire: pairs with the [`SLOT_RELEASE`] of a guard that was released on another
    /// thread, whose section [`SLOT_TAKE`] passes on.
    SLOT_LOOK = Acquire;
    /// The store that ends a section read through a slot. Release: pairs with [`SLOT_SCAN`]. Weaker, the reader's accesses may be
    /// seen after it, while a writer that found the slot empty changes the data.
    SLOT_RELEASE = Release;
    /// The scan by which the owner of a revocation learns that no reader is left in a slot. Acquire: pairs with
    /// [`SLOT_RELEASE`], and with the [`SLOT_TAKE`] of whoever used the slot since.
    SLOT_SCAN = Acquire;
    /// The lease of a thread's slots. Acquire: pairs with [`LEASE_END`]. Weaker, a slot that the last tenant left taken
    /// may look free.
    LEASE = Acquire;
    /// The end of a lease. Release: as [`LEASE`].
    LEASE_END = Release;
    /// The compare-exchange by which the owner of a revocation takes the lock. Acquire: as [`WRITE`], and as [`UPGRADE`].
    REVOKED_WRITE = Acquire;
    /// The end of a revocation whose owner does not take the lock. Release: pairs with [`WRITE`] and its like. The next
    /// writer finds no bias and does not scan; what this owner's scan has acquired must be passed on to it.
    REVOKED = Release;

    /// Everything that neither takes nor gives up access to the data: first looks, parked bits, an increment taken back,
    /// an upgradable lock that becomes a read lock, the lock taken on a waiter's behalf. One word, one modification order.
    BOOKKEEPING = Relaxed;
}
