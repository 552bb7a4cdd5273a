//! What the models share: bounds, a small pool, threads with names, and what becomes of an exploration.

use std::alloc::{Layout, alloc_zeroed, dealloc};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use loom::thread::JoinHandle;
use zsalloc::execution;
use zsalloc::{ClassPolicy, Handle, PageSource, SOURCE_PAGE, SourceError};

use crate::locks::Lock;

/// Explores `body` with at most `preemptions` preemptions in an execution; prints an execution that fails.
pub(crate) fn check(preemptions: usize, body: fn()) {
    if let Err(failure) = explore(preemptions, body) {
        print_steps();
        resume_unwind(failure);
    }
}

/// Explores `body` until an execution fails, for one of the reasons that a lock that lets a map in beside a move can give,
/// and prints it.
pub(crate) fn check_fails(preemptions: usize, body: fn()) {
    let failure = explore(preemptions, body).expect_err("the broken lock passes");
    let text = failure.downcast_ref::<String>().map(String::as_str);
    let text = text.or_else(|| failure.downcast_ref::<&str>().copied());
    let reason = text.unwrap_or_default().lines().next().unwrap_or_default();
    print_steps();
    println!("  FAILS: {reason}");
    let reasons = [
        // Bytes are read and written (or their pages given back) at the same time.
        "Causality violation",
        // Bytes are read or written after they moved away, or after their pages were given back.
        "use after end",
        // A write went to the place that the object has left.
        "the object has other bytes",
    ];
    let known = reasons.iter().any(|known| reason.trim().starts_with(known));
    assert!(known, "failed for another reason: {reason}");
    let steps = execution::steps();
    let by_both = ["reader", "mover"]
        .iter()
        .all(|name| steps.iter().any(|(who, _)| who == name));
    assert!(by_both, "both threads had a part in it: {steps:?}");
}

fn explore(preemptions: usize, body: fn()) -> std::thread::Result<()> {
    let mut builder = loom::model::Builder::new();
    let number = |name| {
        let value = std::env::var(name).ok()?;
        Some(value.parse::<usize>().expect("a number"))
    };
    let bound = number("ZSALLOC_LOOM_PREEMPTIONS").unwrap_or(preemptions);
    let bound = bound + number("ZSALLOC_LOOM_MORE").unwrap_or(0);
    let bound = bound.min(number("ZSALLOC_LOOM_AT_MOST").unwrap_or(bound));
    builder.preemption_bound = Some(bound);
    builder.max_branches = 10_000;
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    let start = Instant::now();
    let run = || {
        builder.check(move || {
            count.fetch_add(1, Relaxed);
            execution::begin();
            execution::name("main");
            body();
            execution::end();
        });
    };
    let result = catch_unwind(AssertUnwindSafe(run));
    println!(
        "{} executions, {:.1?}",
        executions.load(Relaxed),
        start.elapsed()
    );
    result
}

/// What the threads did in the last execution.
fn print_steps() {
    for (who, what) in execution::steps() {
        // How the locks were used while the model was set up does not matter.
        if who == "main" && !what.contains("pages") {
            continue;
        }
        println!("  {who:<10} {what}");
    }
}

/// Outcomes that a model must reach: an exploration that never comes there shows nothing.
pub(crate) struct Reached<const N: usize>([AtomicBool; N]);

impl<const N: usize> Reached<N> {
    pub(crate) const fn new() -> Self {
        Self([const { AtomicBool::new(false) }; N])
    }

    pub(crate) fn note(&self, outcome: usize) {
        self.0[outcome].store(true, Relaxed);
    }

    pub(crate) fn assert_all(&self) {
        for (outcome, reached) in self.0.iter().enumerate() {
            assert!(reached.load(Relaxed), "outcome {outcome} was never reached");
        }
    }
}

/// A thread of a model, with a name for the list of steps.
pub(crate) fn spawn<T: 'static>(
    name: &'static str,
    body: impl FnOnce() -> T + 'static,
) -> JoinHandle<T> {
    loom::thread::spawn(move || {
        execution::name(name);
        body()
    })
}

/// Pages that stay mapped until the pool is dropped, so that even a broken pool touches no freed memory. Each run lies in a
/// region of its own, so that what an evacuation finds does not depend on addresses.
#[derive(Default)]
pub(crate) struct Arena(Mutex<Vec<(usize, usize)>>);

/// The size of a region: see `RegionId`.
const REGION: usize = 4 << 20;

fn layout(pages: usize) -> Layout {
    Layout::from_size_align(pages * SOURCE_PAGE, REGION).expect("models are small")
}

// SAFETY: fresh zeroed memory of the global allocator each time, never handed out again.
unsafe impl PageSource for Arena {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        // SAFETY: `pages` is not 0.
        let run = NonNull::new(unsafe { alloc_zeroed(layout(pages)) }).ok_or(SourceError)?;
        self.0
            .lock()
            .unwrap()
            .push((run.as_ptr().expose_provenance(), pages));
        Ok(run)
    }

    unsafe fn release(&self, _: NonNull<u8>, _: usize) {}

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        // SAFETY: nobody else accesses these pages.
        unsafe { ptr.write_bytes(0, pages * SOURCE_PAGE) };
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        for (run, pages) in self.0.get_mut().unwrap().drain(..) {
            // SAFETY: from `alloc`, and given back once.
            unsafe { dealloc(std::ptr::with_exposed_provenance_mut(run), layout(pages)) };
        }
    }
}

pub(crate) type Pool<L> = zsalloc::Pool<L, Arena>;

/// A pool whose zspages are one page with two slots.
pub(crate) fn pool<L: Lock>() -> Arc<Pool<L>> {
    pool_of(1)
}

/// A pool with zspages of up to so many pages.
pub(crate) fn pool_of<L: Lock>(max_pages: usize) -> Arc<Pool<L>> {
    let builder = zsalloc::Pool::builder()
        .classes(ClassPolicy::Adaptive { max_pages })
        .backend(Arena::default())
        .lock_with(L::make);
    Arc::new(builder.build().expect("valid"))
}

/// An object for which a page has two slots.
const LEN: usize = SOURCE_PAGE / 4 + 1;

/// What object number `n` holds.
pub(crate) fn bytes(n: u8) -> [u8; LEN] {
    [n; LEN]
}

pub(crate) fn insert<L: Lock>(pool: &Pool<L>, n: u8) -> Handle {
    pool.insert(&bytes(n)).expect("pages")
}

/// Maps object number `n` and looks at it.
pub(crate) fn read<L: Lock>(pool: &Pool<L>, handle: &Handle, n: u8) {
    let map = pool.read(handle);
    assert_eq!(*map, bytes(n), "the object has other bytes");
}

/// A thread that does this, and gives the handle of object number `n` back.
pub(crate) fn spawn_reader<L: Lock>(
    pool: &Arc<Pool<L>>,
    handle: Handle,
    n: u8,
) -> JoinHandle<Handle> {
    let pool = Arc::clone(pool);
    spawn("reader", move || {
        read(&pool, &handle, n);
        handle
    })
}

/// Frees what is left; then no page may be.
pub(crate) fn finish<L: Lock>(pool: &Pool<L>, handles: impl IntoIterator<Item = Handle>) {
    pool.free_many(handles);
    assert_eq!(pool.resident_pages(), 0, "pages are lost");
}

/// Two zspages of two slots with one object each (numbers 1 and 2), in the slots given. Compaction empties the second.
pub(crate) fn two_halves<L: Lock>(pool: &Pool<L>, slots: [usize; 2]) -> [Handle; 2] {
    // Slots are used in ascending order, so these fill one zspage after the other.
    let mut objects = [[1, 10], [2, 20]];
    for (zspage, slot) in slots.into_iter().enumerate() {
        objects[zspage].rotate_right(slot);
    }
    let handles = objects.map(|pair| pair.map(|n| (n, insert(pool, n))));
    let (kept, fillers): (Vec<_>, Vec<_>) =
        handles.into_iter().flatten().partition(|&(n, _)| n < 10);
    fillers
        .into_iter()
        .for_each(|(_, handle)| pool.free(handle));
    let kept: Vec<_> = kept.into_iter().map(|(_, handle)| handle).collect();
    kept.try_into().expect("two")
}

/// Defines each model once with the lock that must pass and once with the count of users that must fail.
macro_rules! models {
    ($($(#[$attr:meta])* fn $name:ident<$lock:ident>($preemptions:literal, $reached:expr) $body:block)*) => {
        mod zslock {
            $(#[test] fn $name() {
                $crate::model::check($preemptions, super::$name::<::zslock::RawZsLock>);
                $reached.assert_all();
            })*
        }
        mod user_count {
            $(#[test] fn $name() {
                $crate::model::check_fails($preemptions, super::$name::<$crate::locks::UserCount>);
            })*
        }
        $($(#[$attr])* fn $name<$lock: $crate::locks::Lock>() $body)*
    };
}
pub(crate) use models;
