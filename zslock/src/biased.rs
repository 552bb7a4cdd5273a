//! The lock whose readers need not count themselves.
//!
//! A [`RawLock`] whose word has two bits more, and in front of it a way in that does not write the word. While the word says BIASED
//! a reader writes the lock's address into a slot of its own thread, and is in if the word says so still. A writer *revokes* the
//! bias before it does anything else. To the counting lock, BIASED and REVOKING are readers: places of the count that nobody can
//! reach by counting. So all of its code holds as it is, and a revocation ends as a reader leaves.
//!
//! # States of the bias
//!
//! ```text
//!              bias(): a counted reader, nobody parked
//!     unbiased ---------------------------------------> BIASED
//!       ^  ^                                            |    ^
//!       |  |                             begin / try:   |    | restore_bias(): a slot is taken (try_write, revoke_all),
//!       |  |                             one thread     v    | or the deadline passed
//!       |  +------------------------------------------ REVOKING
//!       |     end_revocation(): slots empty, others counted;  |
//!       |     or revoke_all                                   | enter_revoked(): slots empty, nobody counted
//!       |                                                     v
//!       +------------------------------------------------- write lock
//! ```
//!
//! # Invariants
//!
//! 1. BIASED, REVOKING and W exclude each other; REVOKING has one owner, and only the owner ends it. Without that a second revoker
//!    could find the slots empty *before* a reader entered under a bias that was restored in between, and come in beside it.
//! 2. Whoever reads through a slot found BIASED *after* its slot was written. So a revoker, which clears BIASED, has all running threads
//!    execute a fence, and then scans, sees its slot; or the reader sees the bias gone, empties the slot and counts.
//! 3. A slot is taken for good only while the word says BIASED or REVOKING: nobody ends a revocation without bias before it has seen all
//!    slots empty. So an unbiased lock is a [`RawLock`] and nothing else.
//! 4. Nobody sleeps in a queue of the lock under a bias without another thread awake that is going to revoke it. `bias` wants no
//!    parked bit; a writer does not park on a biased word; `restore_bias` wakes one writer, who revokes.
//! 5. The owner of a revocation that waits for a slot sleeps on the slot's key, after it has announced itself in the slot. Whoever
//!    empties the slot, an attempt that fails included, looks for the announcement afterwards.
//! 6. A slot outlives the lock, and emptying it is the last that a reader does: the word is not touched after that.

mod api;
mod fence;
mod local;
mod membarrier;
mod rebias;
mod revoke;
mod slots;
mod table;

use core::fmt;

pub use api::BiasedReadToken;
pub(crate) use revoke::Revoked;

use crate::dep_map::DepMap;
use crate::order;
use crate::primitive::{const_unless_loom, is_broken};
use crate::raw::RawLock;
use crate::state;

use fence::Fence;
use slots::Slot;

/// The counting part: the plain policy, and a word that can be biased.
type Counting = RawLock<false, true>;

/// The zspage lock for maps that are frequent and migrations that are rare: a read lock is two plain stores into the thread's own
/// memory, and a writer pays for it. Use it as [`BiasedZsLock`](crate::BiasedZsLock), or as a type parameter.
///
/// The contract is that [of the plain lock](crate#the-contract), with these differences:
///
/// - Rule 3: [`try_write`](lock_api::RwLock::try_write) and `try_upgrade` fail without storing anything if the count or a slot shows a
///   reader. Otherwise they *revoke* the bias, if there is one, by one `membarrier(2)`: half a microsecond, or about ten if other
///   processors run threads of the process. If a reader came meanwhile they give it back. While one thread revokes, others' tries fail.
/// - Rule 7: at most 2<sup>22</sup> - 1 readers of one lock may be counted.
/// - Rule 8: a reader in a slot leaves by a step after which it does not touch the lock, whoever waits.
///
/// A lock is biased by its readers: every 64th counted read of a thread tries, but not if the lock was revoked lately. A lock is not
/// biased, so its readers are counted as those of a plain lock are, while writers are frequent; where `membarrier` is missing (other
/// systems than Linux, or a filter of system calls that refuses it) or the feature `std` is off; by threads whose four slots are taken, by more than 1024 threads at
/// a time, and in the destructors of thread-locals.
///
/// - A guard may be released on any thread, also after its own thread has ended.
/// - A guard that is forgotten keeps its slot, and writers out, until the lock is dropped. (If the lock was *moved* meanwhile, the slot
///   names the old place for ever: a biased lock that comes to lie there has one reader too many.)
/// - The child of a `fork` inherits the locks as they are; guards of threads that it does not have are held for ever, as in any lock.
/// - Reading inside a signal handler is not supported: it may interrupt its own thread between looking for a slot and taking it.
///
/// How it works, and what that rests on, is told in [`docs::biased`](crate::docs::biased).
///
/// # Examples
///
/// ```
/// use zslock::{RawBiasedZsLock, lock_api::RwLock};
///
/// let table = RwLock::<RawBiasedZsLock, _>::new(vec![1, 2, 3]);
/// let sum: u64 = (0..1000).map(|_| table.read().iter().sum::<u64>()).sum();
/// assert_eq!(sum, 6000);
/// table.write().push(4);
/// assert_eq!(size_of::<RawBiasedZsLock>(), size_of::<zslock::RawZsLock>());
/// ```
pub struct RawBiasedZsLock {
    pub(crate) lock: Counting,
}

impl RawBiasedZsLock {
    const_unless_loom! {
        /// An unlocked lock that is a lock class of its own. Its first readers are counted.
        #[must_use]
        pub fn new() -> Self {
            Self { lock: Counting::with_map(DepMap::instance(false)) }
        }
    }

    const_unless_loom! {
        /// An unlocked lock of the class `class`, which all locks made with the same key share.
        #[must_use]
        pub fn with_class(class: &'static crate::lockdep::LockClassKey) -> Self {
            Self { lock: Counting::with_map(DepMap::with_class(class, false)) }
        }
    }

    const_unless_loom! {
        /// An unlocked lock whose class is the source line of the call.
        #[must_use]
        #[track_caller]
        pub fn at_site() -> Self {
            Self { lock: Counting::with_map(DepMap::at_site(false)) }
        }
    }

    /// Takes the bias from many locks at the price of one, so that a `try_write` of each that follows soon finds it gone.
    ///
    /// Locks that are not biased are left alone, and so are those that someone reads through a slot at this moment. None is
    /// biased again before its readers have earned the price back. It is never necessary to call this. Never waits for a reader.
    ///
    /// # Examples
    ///
    /// A migration that is about to try a whole list:
    ///
    /// ```
    /// use zslock::{BiasedZsLock, RawBiasedZsLock};
    ///
    /// let zspages: Vec<_> = (0..8).map(BiasedZsLock::new).collect();
    /// // SAFETY: the raw locks are not unlocked through these references.
    /// let locks: Vec<&RawBiasedZsLock> = zspages.iter().map(|page| unsafe { page.raw() }).collect();
    /// RawBiasedZsLock::revoke_all(&locks);
    /// for page in &zspages {
    ///     *page.try_write().expect("nobody reads") += 1;
    /// }
    /// ```
    pub fn revoke_all(locks: &[&Self]) {
        let is_owned = |lock: &&&Self| lock.lock.begin_revocation();
        let owned: alloc::vec::Vec<&&Self> = locks.iter().filter(is_owned).collect();
        if owned.is_empty() {
            return;
        }
        let cost = rebias::cost_of(|| fence::heavy(Fence::WriterRevokes));
        for Self { lock } in owned {
            rebias::inhibit(lock.address(), cost);
            if table::has_reader(lock.address()) && !is_broken("revoked beside a slot") {
                lock.restore_bias();
            } else {
                lock.end_revocation(0);
            }
        }
    }

    /// A read lock through a slot of this thread, if the lock is biased and the thread has a slot to spare.
    #[inline]
    fn read_through_slot(&self) -> Option<&'static Slot> {
        if !state::is_biased(self.lock.snapshot()) {
            return None;
        }
        let slot = local::block()?.free_slot()?;
        slot.take(self.lock.address());
        fence::light(Fence::ReaderEnters);
        // Acquire: pairs with the Release of the last writer.
        if state::is_biased(self.lock.word.load(order::BIASED_READ)) {
            return Some(slot);
        }
        Self::leave_slot(slot);
        None
    }

    /// The attempt failed. A writer may have seen the slot, and may wait for it already.
    #[cold]
    #[inline(never)]
    fn leave_slot(slot: &Slot) {
        if is_broken("failed entry wakes nobody") {
            return slot.empty();
        }
        slot.release();
    }

    /// Told of a read that was counted, before it ends.
    #[inline]
    fn counted(&self) {
        if local::is_time_to_bias() {
            self.bias_if_worthwhile();
        }
    }

    #[cold]
    #[inline(never)]
    fn bias_if_worthwhile(&self) {
        if rebias::is_inhibited(self.lock.address()) || !membarrier::is_available() {
            local::postpone_bias();
        } else {
            self.lock.bias();
        }
    }

    #[inline]
    fn unlock_slot(&self, slot: &Slot) {
        slot.release();
        if is_broken("touched after slot") {
            // Long enough for valgrind, which runs one thread at a time, to let another one free the lock.
            (0..20_000).for_each(|_| core::hint::spin_loop());
            self.lock.snapshot();
        }
    }

    /// Whether the word says that readers may be in slots.
    fn has_slots(&self) -> bool {
        self.lock.snapshot() & (state::BIASED | state::REVOKING) != 0
    }

    fn is_read_through_slot(&self) -> bool {
        self.has_slots() && table::may_have_reader(self.lock.address())
    }
}

impl Drop for RawBiasedZsLock {
    fn drop(&mut self) {
        // A model that has failed: nothing more can be asked of loom.
        #[cfg(zslock_loom)]
        if std::thread::panicking() {
            return;
        }
        // Nobody borrows the lock: a slot that names it belongs to a guard that was forgotten. The next lock at this address must
        // not inherit it.
        if self.has_slots() {
            table::forget_readers(self.lock.address());
        }
    }
}

impl Default for RawBiasedZsLock {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for RawBiasedZsLock {
    /// Decodes the word, and counts the slots that name the lock.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut debug = f.debug_struct("RawBiasedZsLock");
        debug.field("slots", &table::count_readers(self.lock.address()));
        Counting::decode(self.lock.snapshot(), &mut debug);
        debug.finish()
    }
}
