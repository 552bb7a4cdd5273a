//! The lock itself: the paths that nobody waits on.
//!
//! The contract is in the crate's documentation, the layout of the word in [`docs::word`](crate::docs::word).
//!
//! Methods here know nothing of lock_api or lockdep; [`api`](crate::api) joins the three.

use core::fmt;

use crate::dep_map::DepMap;
use crate::order;
use crate::primitive::{const_unless_loom, is_broken};
use crate::state::{
    self, BIASED_MAX_READERS, ONE_READER, PARKED, READERS, UPGRADABLE, WRITE, WRITER,
};
use crate::word::Word;

/// The raw lock, all kinds of it. Use it through the aliases [`RawZsLock`] and [`RawGatedZsLock`].
///
/// `GATED` says whether a writer that *waits* keeps new readers out (the ordinary reader-writer lock) or not (the
/// preemptible zspage lock). `BIASED` says whether the word may carry the bias of a [`RawBiasedZsLock`](crate::RawBiasedZsLock), of
/// which this is then the part that counts: without it nothing is left of the bias in the code. The size is 4 bytes
/// whatever they are; with the feature `debug-lockdep` a map is added.
pub struct RawLock<const GATED: bool, const BIASED: bool> {
    pub(crate) word: Word,
    pub(crate) dep: DepMap,
}

/// The raw lock whose readers are all counted, under both policies: [`RawZsLock`] (`GATED = false`) and [`RawGatedZsLock`]
/// (`GATED = true`).
pub type RawPolicyLock<const GATED: bool> = RawLock<GATED, false>;

/// The preemptible zspage lock, raw: use it as [`ZsLock`](crate::ZsLock), or as a type parameter.
///
/// # Examples
///
/// As a type parameter, for code that is generic over its lock:
///
/// ```
/// use zslock::{RawZsLock, lock_api::{RawRwLock, RwLock}};
///
/// struct Table<L>(RwLock<L, Vec<u64>>);
///
/// impl<L: RawRwLock> Table<L> {
///     fn sum(&self) -> u64 {
///         self.0.read().iter().sum()
///     }
/// }
///
/// let table: Table<RawZsLock> = Table(RwLock::new(vec![1, 2, 3]));
/// assert_eq!(table.sum(), 6);
/// ```
pub type RawZsLock = RawPolicyLock<false>;

/// The ordinary reader-writer lock of the same 4 bytes, raw: a waiting writer closes the gate to new readers.
pub type RawGatedZsLock = RawPolicyLock<true>;

impl<const GATED: bool> RawPolicyLock<GATED> {
    const_unless_loom! {
        /// An unlocked lock that is a lock class of its own.
        #[must_use]
        pub fn new() -> Self {
            Self::with_map(DepMap::instance(GATED))
        }
    }

    const_unless_loom! {
        /// An unlocked lock of the class `class`, which all locks made with the same key share.
        #[must_use]
        pub fn with_class(class: &'static crate::lockdep::LockClassKey) -> Self {
            Self::with_map(DepMap::with_class(class, GATED))
        }
    }

    const_unless_loom! {
        /// An unlocked lock whose class is the source line of the call.
        #[must_use]
        #[track_caller]
        pub fn at_site() -> Self {
            Self::with_map(DepMap::at_site(GATED))
        }
    }
}

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// As many readers as may be counted at a time.
    const MAX_READERS: u32 = if BIASED {
        BIASED_MAX_READERS
    } else {
        READERS / ONE_READER
    };

    const_unless_loom! {
        pub(crate) fn with_map(dep: DepMap) -> Self {
            Self { word: Word::new(0), dep }
        }
    }

    /// Whether readers need not count themselves, so that a writer has a bias to revoke.
    #[inline]
    pub(crate) const fn is_biased(word: u32) -> bool {
        BIASED && state::is_biased(word)
    }

    /// Whether the count has no room for one more reader.
    const fn is_count_full(word: u32) -> bool {
        if BIASED {
            state::is_biased_count_full(word)
        } else {
            state::is_count_full(word)
        }
    }

    /// Whether a reader has counted itself in for whom there was no room.
    pub(crate) const fn has_overflowed(word: u32) -> bool {
        if BIASED {
            state::has_biased_overflowed(word)
        } else {
            state::has_overflowed(word)
        }
    }

    /// Whether a writer that finds this word may take it: the whole lock, or under the gated policy the claim.
    pub(crate) const fn is_writer_admissible(word: u32) -> bool {
        if GATED {
            state::is_claimable(word)
        } else {
            state::is_write_lockable(word)
        }
    }

    /// Whether the reader that left this word behind has to look who waits.
    pub(crate) const fn was_last_reader(word: u32) -> bool {
        // No reader left and some flag set (U alone is one too many, but cheap to tell apart later). Below a plain writer no reader leaves, so there S and W are clear; a
        // gated writer with a claim has them set and is the one to wake.
        let flags = if GATED { word & !WRITE } else { word };
        flags.wrapping_sub(1) < ONE_READER - 1
    }

    #[inline]
    #[track_caller]
    pub(crate) fn read(&self) {
        // Only the sign of the sum is looked at, so that this is `lock add; js`: the slow path looks again.
        let word = self.word.add(ONE_READER, order::READ);
        let word = word.wrapping_add(ONE_READER);
        if word.cast_signed() < 0 || BIASED && Self::has_overflowed(word) {
            self.read_contended();
        }
    }

    #[inline]
    #[track_caller]
    pub(crate) fn try_read(&self) -> bool {
        let read = |word| state::is_read_lockable(word).then(|| Self::with_one_reader_more(word));
        self.word.update(order::TRY_READ, read).is_some()
    }

    #[inline]
    pub(crate) fn read_unlock(&self, fair: bool) {
        let word = self.word.sub(ONE_READER, order::READ_UNLOCK) - ONE_READER;
        if Self::was_last_reader(word) {
            self.wake_after_readers(word, fair);
        }
    }

    /// `read_unlock` for when nobody is parked: its step is the last that this thread does to the lock. `false`, with nothing
    /// changed, if somebody may be parked.
    #[inline]
    pub(crate) fn read_unlock_at_once(&self) -> bool {
        // A waiter sets its bit before it parks, and looks at the word again after that. With no bit set in the word that is
        // replaced, whoever parks later sees that this reader has left: there is nobody to wake. The other flags (a
        // writer with a claim, an upgradable holder) are of threads that look at the word by themselves.
        let leave = |word| {
            let is_anyone_parked = word & PARKED != 0 && !is_broken("parked ignored at once");
            (!is_anyone_parked).then(|| word - ONE_READER)
        };
        let left = self.word.update(order::READ_UNLOCK_AT_ONCE, leave);
        if left.is_some() && is_broken("touched at once") {
            self.snapshot();
        }
        left.is_some()
    }

    /// Takes a lock that nobody holds and nobody waits for; anything else is left to the slow path.
    #[inline]
    pub(crate) fn write_uncontended(&self) -> bool {
        self.word.replace(0, WRITE, order::WRITE).is_ok()
    }

    #[inline]
    pub(crate) fn try_write(&self) -> bool {
        // The load spares a failing try the compare-exchange, which stores. What it loaded is not used any further: a
        // compare-exchange from a constant need not wait for it.
        let word = self.snapshot();
        if Self::is_biased(word) {
            return self.try_revoke(0);
        }
        state::is_write_lockable(word)
            && (self.word.replace(0, WRITE, order::TRY_WRITE).is_ok() || self.try_write_again())
    }

    /// The word was free but not zero: a parked bit is set, or it has changed.
    #[cold]
    #[inline(never)]
    fn try_write_again(&self) -> bool {
        let write = |word| state::is_write_lockable(word).then_some(word | WRITE);
        self.word.update(order::TRY_WRITE_AGAIN, write).is_some()
    }

    #[inline]
    pub(crate) fn write_unlock(&self, fair: bool) {
        if GATED {
            // Parked readers are granted the lock in the same step that gives it up, so it must not be free before.
            if self.word.replace(WRITE, 0, order::GATED_UNLOCK).is_err() {
                self.end_gated_write(0, fair);
            }
        } else {
            // Not a store: readers that wait have already counted themselves into the word. `lock sub; jne`.
            if self.word.sub(WRITE, order::WRITE_UNLOCK) != WRITE {
                self.wake_after_writer(fair);
            }
        }
    }

    /// Write to read.
    #[inline]
    pub(crate) fn downgrade_to_read(&self) {
        self.write_into(ONE_READER);
    }

    /// Write to upgradable.
    #[inline]
    pub(crate) fn downgrade_to_upgradable_reader(&self) {
        self.write_into(UPGRADABLE);
    }

    #[inline]
    fn write_into(&self, share: u32) {
        if GATED {
            self.end_gated_write(share, false);
        } else if self.word.sub(WRITE - share, order::DOWNGRADE) != WRITE {
            self.wake_after_writer(false);
        }
    }

    #[inline]
    pub(crate) fn try_upgradable(&self) -> bool {
        let enter = |word| state::is_upgradable_lockable(word).then_some(word | UPGRADABLE);
        self.word.update(order::UPGRADABLE, enter).is_some()
    }

    #[inline]
    pub(crate) fn upgradable_unlock(&self, fair: bool) {
        let word = self.word.sub(UPGRADABLE, order::UPGRADABLE_UNLOCK);
        if word & PARKED != 0 {
            self.wake_after_upgradable(word - UPGRADABLE, fair);
        }
    }

    /// Upgradable to write, if no reader is in the way.
    #[inline]
    pub(crate) fn try_upgrade_now(&self) -> bool {
        let upgrade = |word| state::is_upgradable_alone(word).then(|| word - UPGRADABLE + WRITE);
        self.word.update(order::UPGRADE, upgrade).is_some()
            || Self::is_biased(self.snapshot()) && self.try_revoke(UPGRADABLE)
    }

    /// Upgradable to read. `false` if the count is full: then the caller must end it with `refuse_downgrade`.
    #[inline]
    #[must_use]
    pub(crate) fn upgradable_to_read(&self) -> bool {
        // Access goes on as a read, so nothing is published here; the read unlock will.
        let added = ONE_READER - UPGRADABLE;
        let word = self.word.add(added, order::BOOKKEEPING).wrapping_add(added);
        if Self::has_overflowed(word) {
            return false;
        }
        if word & PARKED != 0 {
            self.wake_after_upgradable(word, false);
        }
        true
    }

    /// Whether anybody is in the lock, as far as the word says. (A bias says nothing.)
    pub(crate) fn is_locked_by_any(&self) -> bool {
        let bias = if BIASED {
            state::BIASED | state::REVOKING
        } else {
            0
        };
        self.snapshot() & (WRITE | READERS | UPGRADABLE) & !bias != 0
    }

    pub(crate) fn is_locked_by_writer(&self) -> bool {
        self.snapshot() & WRITER != 0
    }

    pub(crate) fn snapshot(&self) -> u32 {
        self.word.load(order::BOOKKEEPING)
    }

    /// The word with one reader more in its count.
    ///
    /// # Panics
    ///
    /// If the count is full; the word is as it was.
    #[inline]
    #[track_caller]
    pub(crate) fn with_one_reader_more(word: u32) -> u32 {
        if Self::is_count_full(word) {
            Self::too_many_readers();
        }
        word + ONE_READER
    }

    /// The panic of contract rule 7. The word is already as it was.
    #[cold]
    #[inline(never)]
    #[track_caller]
    pub(crate) fn too_many_readers() -> ! {
        panic!(
            "too many readers of one lock: at most {} read guards may exist at a time (were guards leaked?)",
            Self::MAX_READERS
        );
    }

    /// Adds what the word says to `debug`: who holds the lock, and which queues may have someone in them.
    pub(crate) fn decode(word: u32, debug: &mut fmt::DebugStruct<'_, '_>) {
        let flag = |bit| word & bit != 0;
        let count = if BIASED {
            READERS & !(state::BIASED | state::REVOKING)
        } else {
            READERS
        };
        debug.field("readers", &((word & count) / ONE_READER));
        if BIASED {
            debug.field("biased", &flag(state::BIASED));
            debug.field("revoking", &flag(state::REVOKING));
        }
        debug
            .field("writer", &flag(WRITER))
            .field("upgradable", &flag(UPGRADABLE))
            .field("readers_parked", &flag(state::READERS_PARKED))
            .field("writers_parked", &flag(state::WRITERS_PARKED))
            .field("drain_parked", &flag(state::DRAIN_PARKED))
            .field("starving", &flag(state::STARVING));
    }
}

impl<const GATED: bool> Default for RawPolicyLock<GATED> {
    fn default() -> Self {
        Self::new()
    }
}

impl<const GATED: bool, const BIASED: bool> fmt::Debug for RawLock<GATED, BIASED> {
    /// Decodes the word: who holds the lock, and which queues may have someone in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct(if GATED { "RawGatedZsLock" } else { "RawZsLock" });
        Self::decode(self.snapshot(), &mut debug);
        debug.finish()
    }
}
