//! One execution of a model: what is broken in it, who its threads are, and what they have done so far.
//!
//! Both checkers run all threads of a model as coroutines of the thread that explores, so an execution's state is a
//! thread-local of that thread. The checkers know nothing of it; no other thread runs while it is used.

use std::cell::RefCell;
use std::sync::OnceLock;
use std::sync::atomic::Ordering;

#[cfg(zslock_loom)]
use loom::thread::{self, ThreadId};
#[cfg(zsalloc_shuttle)]
use shuttle::thread::{self, ThreadId};

use crate::{order, primitive, reclaim};

/// One ordering of the pool, by name.
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
const PROTOCOL: &[&str] = &[
    "re-check omitted",
    "insertion not held",
    "unmapping not pinned",
    "touched after unlocking at once",
    "exclusive hold ends at once",
    "publish before copy",
    "retired without waiting",
    "segment freed without waiting",
    "header cleared late",
    "index free at once",
    "idle pages not closed",
    "idle zspage not isolated",
    "idle zspage not held",
];

/// Everything that can be broken: the sites with an ordering that can be weakened, then the protocol.
#[must_use]
pub fn mutants() -> (Vec<(&'static str, Ordering)>, &'static [&'static str]) {
    let sites = order::ALL.iter();
    (
        sites.map(|site| (site.name, site.ordering)).collect(),
        PROTOCOL,
    )
}

/// Whether `what` is to be broken in this process.
pub(crate) fn is_broken(what: &str) -> bool {
    static BROKEN: OnceLock<Option<String>> = OnceLock::new();
    let broken = BROKEN.get_or_init(|| std::env::var("ZSALLOC_MUTANT").ok());
    broken.as_deref() == Some(what)
}

/// The ordering of a site, unless it is the broken one.
pub(crate) fn ordering(site: Site) -> Ordering {
    if is_broken(site.name) {
        Ordering::Relaxed
    } else {
        site.ordering
    }
}

/// Lets another thread run, perhaps. (Under shuttle only: loom explores by what is ordered, not by when it happens.)
#[cfg(zsalloc_shuttle)]
pub(crate) fn switch() {
    use shuttle::sync::atomic::AtomicBool;
    // Any operation of an atomic is a point of choice; a yield would tell the scheduler that we wait for somebody.
    AtomicBool::new(false).load(Ordering::SeqCst);
}

/// Who did what.
pub type Step = (&'static str, String);

#[derive(Default)]
struct Execution {
    names: Vec<(ThreadId, &'static str)>,
    steps: Vec<Step>,
}

thread_local! {
    static EXECUTION: RefCell<Execution> = RefCell::default();
}

/// Begins an execution: the first call of a model. Forgets what was left of the one before.
pub fn begin() {
    EXECUTION.take();
    primitive::shadow::begin();
    reclaim::twin::begin();
}

/// Ends an execution, with every map and pool dropped.
///
/// # Panics
///
/// If something that was retired has not been freed.
pub fn end() {
    assert!(
        reclaim::twin::is_empty(),
        "retired, and never freed although nobody is pinned"
    );
}

/// Names the thread that calls.
pub fn name(name: &'static str) {
    let id = thread::current().id();
    EXECUTION.with_borrow_mut(|execution| execution.names.push((id, name)));
}

/// Notes what the thread that calls has just done.
pub fn step(what: String) {
    let id = thread::current().id();
    EXECUTION.with_borrow_mut(|execution| {
        let named = execution.names.iter().find(|named| named.0 == id);
        let who = named.map_or("(model)", |named| named.1);
        execution.steps.push((who, what));
    });
}

/// What was done so far in the execution that began last, in this order.
#[must_use]
pub fn steps() -> Vec<Step> {
    EXECUTION.with_borrow(|execution| execution.steps.clone())
}
