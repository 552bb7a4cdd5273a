//! The lock word, bit by bit; the chapter [`docs::word`](crate::docs::word) draws it and states its invariants.

/// S: the sign. Set together with [`WRITER`] by writers; set alone only by a reader count that overflowed.
pub(crate) const EXCLUSIVE: u32 = 1 << 31;
/// One reader. The count fills the bits between the flags and [`EXCLUSIVE`].
pub(crate) const ONE_READER: u32 = 1 << 6;
/// The reader count. A reader that waits for a plain writer is counted already: when the writer leaves it holds.
pub(crate) const READERS: u32 = EXCLUSIVE - ONE_READER;
/// W: a writer holds the lock or, under the gated policy, has claimed it and waits for the readers to drain.
pub(crate) const WRITER: u32 = 1;
/// RP: someone may be parked on the readers' queue (readers while W, upgradable readers while W or U).
pub(crate) const READERS_PARKED: u32 = 1 << 1;
/// WP: someone may be parked on the writers' queue.
pub(crate) const WRITERS_PARKED: u32 = 1 << 2;
/// DP: the one thread that drains readers (an upgrader, or a writer with a claim) may be parked.
pub(crate) const DRAIN_PARKED: u32 = 1 << 3;
/// U: an upgradable reader holds the lock. It is not part of the count.
pub(crate) const UPGRADABLE: u32 = 1 << 4;
/// ST: a starving writer may be parked; whoever frees the lock takes it on this writer's behalf.
pub(crate) const STARVING: u32 = 1 << 5;

/// What a writer adds to the word.
pub(crate) const WRITE: u32 = EXCLUSIVE | WRITER;
/// Any queue may have someone in it.
pub(crate) const PARKED: u32 = READERS_PARKED | WRITERS_PARKED | DRAIN_PARKED | STARVING;

/// The bias of a [`RawBiasedZsLock`](crate::RawBiasedZsLock): readers need not count themselves. A place of the count, so that to all
/// who know nothing of the bias those readers are readers. Only in a lock that can be biased, where no count comes so high.
pub(crate) const BIASED: u32 = 1 << 30;
/// The bias is being taken back, by the one thread that has set this. A place of the count, like [`BIASED`], whose successor it is.
pub(crate) const REVOKING: u32 = 1 << 29;
/// The count of a lock that can be biased is full from this bit on. Who is counted beyond is on its way to being refused: at most
/// one reader a thread, and Linux has at most 2^22 threads, so the count never carries into [`REVOKING`].
const BIASED_FULL: u32 = 1 << 28;
/// As many readers of a lock that can be biased may be counted.
pub(crate) const BIASED_MAX_READERS: u32 = BIASED_FULL / ONE_READER - 1;

/// A claim is made only while this bit of the count is clear. It leaves room for the transient increments of
/// readers that run into the claim: without that room 2^25 forgotten guards and a claim could carry S out of the word.
const CROWDED: u32 = 1 << 30;

/// Whether a reader that finds this word may count itself in.
pub(crate) const fn is_read_lockable(word: u32) -> bool {
    word & WRITER == 0
}

/// Whether the count has no room for one more reader.
pub(crate) const fn is_count_full(word: u32) -> bool {
    word & EXCLUSIVE != 0 || word & READERS == READERS
}

/// Whether the count has carried into the sign.
pub(crate) const fn has_overflowed(word: u32) -> bool {
    word & WRITE == EXCLUSIVE
}

/// Whether nobody holds the lock in any way.
pub(crate) const fn is_write_lockable(word: u32) -> bool {
    word & (WRITE | READERS | UPGRADABLE) == 0
}

/// Whether a gated writer may close the gate: no writer and no upgradable reader in its way, readers do not matter.
pub(crate) const fn is_claimable(word: u32) -> bool {
    word & (WRITE | UPGRADABLE | CROWDED) == 0
}

/// Whether an upgradable reader may enter.
pub(crate) const fn is_upgradable_lockable(word: u32) -> bool {
    word & (WRITER | UPGRADABLE) == 0
}

/// Whether the upgradable holder may turn its claim into a closed gate (gated) without waiting for readers.
pub(crate) const fn is_upgrade_claimable(word: u32) -> bool {
    word & (WRITE | CROWDED) == 0
}

/// Whether no reader is counted.
pub(crate) const fn is_drained(word: u32) -> bool {
    word & READERS == 0
}

/// Whether nobody but the upgradable holder is in the lock.
pub(crate) const fn is_upgradable_alone(word: u32) -> bool {
    word & (WRITE | READERS) == 0
}

/// As [`is_count_full`], of a lock that can be biased.
pub(crate) const fn is_biased_count_full(word: u32) -> bool {
    word & READERS & !(BIASED | REVOKING) >= BIASED_MAX_READERS * ONE_READER
}

/// As [`has_overflowed`], of a lock that can be biased.
pub(crate) const fn has_biased_overflowed(word: u32) -> bool {
    word & BIASED_FULL != 0
}

/// Whether readers need not count themselves.
pub(crate) const fn is_biased(word: u32) -> bool {
    word & BIASED != 0
}

/// Whether a reader that is counted may set the bias: nobody is in the lock but readers, and nobody waits. (A writer that parked
/// before could not know that it has a bias to revoke.)
pub(crate) const fn is_biasable(word: u32) -> bool {
    word & (WRITE | UPGRADABLE | PARKED | BIASED | REVOKING) == 0
}

/// Whether nothing but the bias is in the way of someone who holds `held` (nothing, or the upgradable lock).
pub(crate) const fn is_only_biased(word: u32, held: u32) -> bool {
    word & (WRITE | READERS | UPGRADABLE) == BIASED | held
}

/// Whether the owner of [`REVOKING`], which holds `held`, may take the lock, if it has found the slots empty.
pub(crate) const fn is_only_revoking(word: u32, held: u32) -> bool {
    word & (WRITE | READERS | UPGRADABLE) == REVOKING | held
}

#[cfg(all(test, not(zslock_loom)))]
mod tests {
    use super::*;

    #[test]
    fn the_fields_tile_the_word() {
        let flags = WRITER | READERS_PARKED | WRITERS_PARKED | DRAIN_PARKED | UPGRADABLE | STARVING;
        assert_eq!(flags, ONE_READER - 1);
        assert_eq!(flags | READERS | EXCLUSIVE, u32::MAX);
        assert_eq!(READERS.count_ones() + flags.count_ones() + 1, 32);
    }

    #[test]
    fn an_overflow_shows_as_the_sign_without_a_writer() {
        let full = READERS;
        assert!(is_count_full(full));
        let over = full + ONE_READER;
        assert_eq!(over, EXCLUSIVE);
        assert!(is_count_full(over));
        assert!(!is_write_lockable(over) && !is_claimable(over) && !is_upgradable_alone(over));
        assert!(is_read_lockable(over), "overflow is not a writer");
    }

    #[test]
    fn no_count_reaches_the_bias() {
        assert!(!is_biased_count_full(
            BIAS_BITS | (BIASED_FULL - 2 * ONE_READER)
        ));
        assert!(is_biased_count_full(BIAS_BITS | (BIASED_FULL - ONE_READER)));
        assert!(!has_biased_overflowed(
            BIAS_BITS | (BIASED_FULL - ONE_READER)
        ));
        assert!(has_biased_overflowed(BIASED_FULL));
        // As many threads as Linux can have, each on its way to being refused.
        let crowd = BIASED_FULL - ONE_READER + (1 << 22) * ONE_READER;
        assert!(has_biased_overflowed(crowd) && crowd & BIAS_BITS == 0);
    }

    #[test]
    fn a_bias_is_a_reader() {
        for bias in [BIASED, REVOKING] {
            assert!(is_read_lockable(bias) && !is_write_lockable(bias) && !is_drained(bias));
            assert!(!is_upgradable_alone(bias | UPGRADABLE));
        }
        assert!(is_only_biased(BIASED | PARKED, 0) && !is_only_biased(BIASED | ONE_READER, 0));
        assert!(is_only_revoking(REVOKING | UPGRADABLE, UPGRADABLE));
        assert!(is_biasable(ONE_READER) && !is_biasable(ONE_READER | WRITERS_PARKED));
    }

    const BIAS_BITS: u32 = BIASED | REVOKING;

    #[test]
    fn a_claim_leaves_room_for_transient_readers() {
        assert!(is_claimable(CROWDED - ONE_READER));
        assert!(!is_claimable(CROWDED));
        assert_eq!((CROWDED & READERS, CROWDED << 1), (CROWDED, EXCLUSIVE));
    }
}
