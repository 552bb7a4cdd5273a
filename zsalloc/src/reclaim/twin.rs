//! The epoch's twin for the checkers: it keeps the contract and nothing beyond it.
//!
//! A deferred function runs as soon as the last thread that was pinned when it was deferred has unpinned, on that thread: the
//! earliest moment that any implementation may choose. What it frees stays in memory until the next execution, and
//! [`shadow`] fails on whoever still reaches for it.
//!
//! Under loom two edges exist, and no more: who pins sees what was done before everything deferred until then (so either it
//! was pinned in time, or it cannot find what was retired), and a deferred function sees what was done by those that it
//! waited for. crossbeam-epoch's fences order at least as much.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ptr::NonNull;

use crate::primitive::shadow;

#[cfg(zslock_loom)]
mod edges {
    use loom::sync::atomic::{AtomicU32, Ordering};
    use std::rc::Rc;

    /// Read-modify-writes only, so each reads the latest value, and all belong to one release sequence.
    #[derive(Clone)]
    pub(super) struct Edge(Rc<AtomicU32>);

    impl Edge {
        pub(super) fn new() -> Self {
            Self(Rc::new(AtomicU32::new(0)))
        }
        pub(super) fn release(&self) {
            self.0.fetch_add(1, Ordering::Release);
        }
        pub(super) fn acquire(&self) {
            self.0.fetch_add(0, Ordering::Acquire);
        }
    }
}

#[cfg(zsalloc_shuttle)]
mod edges {
    /// Everything is ordered anyway; but a switch may come here.
    #[derive(Clone)]
    pub(super) struct Edge;

    impl Edge {
        pub(super) fn new() -> Self {
            Self
        }
        pub(super) fn release(&self) {
            crate::primitive::execution::switch();
        }
        pub(super) fn acquire(&self) {
            crate::primitive::execution::switch();
        }
    }
}
use edges::Edge;

type Function = Box<dyn FnOnce()>;

struct Deferred {
    waits_for: BTreeSet<u64>,
    run: Function,
}

struct Epoch {
    next_pin: u64,
    pinned: BTreeSet<u64>,
    deferred: Vec<Deferred>,
    /// Frees what is kept until the next execution.
    graves: Vec<Function>,
    deferring: Edge,
    unpinning: Edge,
}

thread_local! {
    static EPOCH: RefCell<Option<Epoch>> = const { RefCell::new(None) };
}

fn with<R>(f: impl FnOnce(&mut Epoch) -> R) -> R {
    EPOCH.with_borrow_mut(|epoch| f(epoch.as_mut().expect("a model calls `begin` first")))
}

pub(crate) fn begin() {
    let new = Epoch {
        next_pin: 0,
        pinned: BTreeSet::new(),
        deferred: Vec::new(),
        graves: Vec::new(),
        deferring: Edge::new(),
        unpinning: Edge::new(),
    };
    if let Some(old) = EPOCH.replace(Some(new)) {
        old.graves.into_iter().for_each(|free| free());
    }
}

pub(crate) fn is_empty() -> bool {
    with(|epoch| epoch.deferred.is_empty() && epoch.pinned.is_empty())
}

/// A pin; its number.
pub(crate) struct Guard(u64);

pub(crate) fn pin() -> Guard {
    Guard(enter())
}

/// Pins; the pin's number.
fn enter() -> u64 {
    let deferring = with(|epoch| epoch.deferring.clone());
    // A switch may come before this, and none between this and what follows.
    deferring.acquire();
    with(|epoch| {
        epoch.next_pin += 1;
        epoch.pinned.insert(epoch.next_pin);
        epoch.next_pin
    })
}

/// Unpins, and runs what waited only for that.
fn leave(pin: u64) {
    let unpinning = with(|epoch| epoch.unpinning.clone());
    unpinning.release();
    let ready: Vec<_> = with(|epoch| {
        epoch.pinned.remove(&pin);
        for deferred in &mut epoch.deferred {
            deferred.waits_for.remove(&pin);
        }
        epoch
            .deferred
            .extract_if(.., |deferred| deferred.waits_for.is_empty())
            .collect()
    });
    if !ready.is_empty() {
        unpinning.acquire();
    }
    ready.into_iter().for_each(|deferred| (deferred.run)());
}

impl Guard {
    /// # Safety
    ///
    /// As for crossbeam-epoch's function of this name.
    pub(crate) unsafe fn defer_unchecked(&self, f: impl FnOnce()) {
        let deferring = with(|epoch| epoch.deferring.clone());
        deferring.release();
        let f: Box<dyn FnOnce() + '_> = Box::new(f);
        // SAFETY: the caller says that what `f` captures lives until it has run.
        let run = unsafe { std::mem::transmute::<Box<dyn FnOnce() + '_>, Function>(f) };
        with(|epoch| {
            let waits_for = epoch.pinned.clone();
            epoch.deferred.push(Deferred { waits_for, run });
        });
    }

    pub(crate) fn repin(&mut self) {
        leave(self.0);
        self.0 = enter();
    }

    /// What may run has run already.
    pub(crate) fn flush(&self) {}
}

impl Drop for Guard {
    fn drop(&mut self) {
        leave(self.0);
    }
}

/// Ends what begins at `retired`, but keeps its memory: `free` is called before the next execution.
///
/// # Safety
///
/// What `free` captures lives until then, and nobody but `free` uses `retired`.
pub(crate) unsafe fn bury<T>(retired: NonNull<T>, free: impl FnOnce()) {
    shadow::freed(retired);
    let free: Box<dyn FnOnce() + '_> = Box::new(free);
    // SAFETY: the caller says that what `free` captures lives until it has run, which is once, after the
    // models that could still reach for `retired` have ended.
    let free = unsafe { std::mem::transmute::<Box<dyn FnOnce() + '_>, Function>(free) };
    with(|epoch| epoch.graves.push(free));
}
