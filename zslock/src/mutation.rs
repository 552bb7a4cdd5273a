//! Breaking the lock on purpose, one thing at a time, to see whether a loom model notices. Exists only under
//! `--cfg zslock_loom`.
//!
//! `ZSLOCK_MUTANT` names what is broken: a site of [`order`](crate::order), whose ordering becomes `Relaxed`, or one of
//! [`PROTOCOL`]; or two of them, with ` & ` in between. Orderings are resolved here; most protocol mutants live in this atomic and in the parker's twin, two in
//! `slow/wake.rs`, and two in `raw.rs`.

use std::sync::OnceLock;

use loom::cell::UnsafeCell;
use loom::sync::atomic::{AtomicU32 as LoomU32, Ordering};

use crate::biased::RawBiasedZsLock;
use crate::raw::RawLock;
use crate::state;

/// One ordering of the lock, by name.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Site {
    name: &'static str,
    ordering: Ordering,
}

impl Site {
    pub(crate) const fn new(name: &'static str, ordering: Ordering) -> Self {
        Self { name, ordering }
    }
}

/// What can be broken besides an ordering.
pub(crate) const PROTOCOL: &[&str] = &[
    "wake omitted",
    "park validation omitted",
    "parked bit not set",
    "swap for sub",
    "hand-over omitted",
    "grant omitted",
    "parked ignored at once",
    "touched at once",
];

/// The sites that only the biased lock has.
const BIASED_SITES: &[&str] = &[
    "BIASED_READ",
    "SLOT_TAKE",
    "SLOT_LOOK",
    "SLOT_RELEASE",
    "SLOT_SCAN",
    "LEASE",
    "REVOKED_WRITE",
    "REVOKED",
];

/// Sites that loom's full fence makes superfluous where there is a compiler's fence only in a real lock; and that fence. Both are broken
/// at once, and only a model counts that the fence alone does not fail.
const BEHIND_A_FENCE: &[(&str, &str)] = &[("LEASE_END", "fence omitted: reader enters")];

/// Of the biased lock: as [`PROTOCOL`].
pub(crate) const BIASED_PROTOCOL: &[&str] = &[
    "fence omitted: reader enters",
    "fence omitted: reader leaves",
    "fence omitted: writer revokes",
    "fence omitted: writer announces",
    "revocation is not exclusive",
    "bias though somebody waits",
    "restored bias wakes nobody",
    "failed entry wakes nobody",
    "touched after slot",
    "revoked beside a slot",
];

/// The control: makes the lock stronger, so no model may notice.
pub(crate) const EQUIVALENT: &str = "equivalent: bookkeeping is SeqCst";

/// Everything that can be broken, by name.
#[derive(Debug)]
pub struct Mutants {
    /// Each site with an ordering that can be weakened, and that ordering.
    pub sites: Vec<(&'static str, Ordering)>,
    /// Those of them that only the biased lock has.
    pub biased_sites: &'static [&'static str],
    /// Those of them that are necessary only without the fence that is named with them.
    pub behind_a_fence: &'static [(&'static str, &'static str)],
    /// What can be broken besides.
    pub protocol: &'static [&'static str],
    /// What can be broken besides in the biased lock.
    pub biased_protocol: &'static [&'static str],
    /// The control.
    pub equivalent: &'static str,
}

/// Everything that can be broken.
#[must_use]
pub fn mutants() -> Mutants {
    let sites = crate::order::ALL.iter();
    let strong = sites.filter(|site| site.ordering != Ordering::Relaxed);
    Mutants {
        sites: strong.map(|site| (site.name, site.ordering)).collect(),
        biased_sites: BIASED_SITES,
        behind_a_fence: BEHIND_A_FENCE,
        protocol: PROTOCOL,
        biased_protocol: BIASED_PROTOCOL,
        equivalent: EQUIVALENT,
    }
}

/// Between two things that are to be broken at once.
const AND: &str = " & ";

/// Whether `what` is to be broken in this process.
pub(crate) fn is_broken(what: &str) -> bool {
    static BROKEN: OnceLock<Option<String>> = OnceLock::new();
    let broken = BROKEN.get_or_init(|| std::env::var("ZSLOCK_MUTANT").ok());
    broken
        .as_deref()
        .is_some_and(|broken| broken.split(AND).any(|one| one == what))
}

/// The ordering of a site, unless it is the broken one.
pub(crate) fn ordering(site: Site) -> Ordering {
    if is_broken(site.name) {
        Ordering::Relaxed
    } else if site.ordering == Ordering::Relaxed && is_broken(EQUIVALENT) {
        Ordering::SeqCst
    } else {
        site.ordering
    }
}

impl<const GATED: bool, const BIASED: bool> RawLock<GATED, BIASED> {
    /// Counts `n` readers in whose guards were forgotten, so that a model can come near the maximum.
    #[doc(hidden)]
    pub fn forget_readers(&self, n: u32) {
        self.word.add(n * state::ONE_READER, crate::order::READ);
    }

    /// Counts `n` of them out again.
    #[doc(hidden)]
    pub fn remember_readers(&self, n: u32) {
        self.word
            .sub(n * state::ONE_READER, crate::order::READ_UNLOCK);
    }

    /// The memory of the lock is given to something else. Whatever was or will be done to the lock and is not ordered
    /// before fails the model.
    #[doc(hidden)]
    pub fn memory_is_freed(&self) {
        self.word.memory_is_freed();
    }
}

impl RawBiasedZsLock {
    /// A lock that is biased already.
    #[doc(hidden)]
    #[must_use]
    pub fn biased() -> Self {
        let this = Self::new();
        this.lock.word.add(state::BIASED, crate::order::BOOKKEEPING);
        this
    }

    /// Biases the lock, if nothing is in the way. The caller is a counted reader.
    #[doc(hidden)]
    pub fn bias(&self) {
        self.lock.bias();
    }

    /// As the plain lock's.
    #[doc(hidden)]
    pub fn forget_readers(&self, n: u32) {
        self.lock.forget_readers(n);
    }

    /// As the plain lock's.
    #[doc(hidden)]
    pub fn remember_readers(&self, n: u32) {
        self.lock.remember_readers(n);
    }

    /// As the plain lock's.
    #[doc(hidden)]
    pub fn memory_is_freed(&self) {
        self.lock.memory_is_freed();
    }
}

/// loom's atomic, in which two protocol mutants live, and the memory that it lies in: every operation is an access to it.
pub(crate) struct AtomicU32 {
    atomic: LoomU32,
    memory: UnsafeCell<()>,
}

// SAFETY: the cell holds nothing; loom itself reports the accesses that are not ordered.
unsafe impl Send for AtomicU32 {}
// SAFETY: as above.
unsafe impl Sync for AtomicU32 {}

impl AtomicU32 {
    pub(crate) fn new(value: u32) -> Self {
        Self {
            atomic: LoomU32::new(value),
            memory: UnsafeCell::new(()),
        }
    }

    /// The atomic, and a note that its memory is in use. Before the operation: that one may be what lets others free it.
    fn touch(&self) -> &LoomU32 {
        self.memory.with(|_| ());
        &self.atomic
    }

    pub(crate) fn memory_is_freed(&self) {
        self.memory.with_mut(|_| ());
    }

    pub(crate) fn load(&self, ordering: Ordering) -> u32 {
        self.touch().load(ordering)
    }

    pub(crate) fn fetch_add(&self, n: u32, ordering: Ordering) -> u32 {
        self.touch().fetch_add(n, ordering)
    }

    pub(crate) fn fetch_and(&self, mask: u32, ordering: Ordering) -> u32 {
        self.touch().fetch_and(mask, ordering)
    }

    pub(crate) fn fetch_sub(&self, n: u32, ordering: Ordering) -> u32 {
        if n == state::WRITE && is_broken("swap for sub") {
            return self.touch().swap(0, ordering);
        }
        self.touch().fetch_sub(n, ordering)
    }

    pub(crate) fn compare_exchange_weak(
        &self,
        old: u32,
        new: u32,
        success: Ordering,
        failure: Ordering,
    ) -> Result<u32, u32> {
        let only_parks = old != new && (old ^ new) & !state::PARKED == 0;
        if only_parks && is_broken("parked bit not set") {
            return Ok(old);
        }
        self.touch()
            .compare_exchange_weak(old, new, success, failure)
    }
}
