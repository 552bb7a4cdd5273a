//! `std::sync`'s locks under the validator: drop-ins with std's signatures.
//!
//! `use lockdep::std_sync` in place of `std::sync` and nothing else changes:
//! locks poison, `new` is `const`, guards are `Send` and `Sync` when std's are.
//! [`Mutex`], [`RwLock`] and [`Condvar`] are validated. Each lock is a class of its
//! own, unless it is made by `with_class` or `at_site`. The rest of `std::sync` is
//! here under its own name, so that one import is enough; waits for a [`Once`], a
//! [`Barrier`] or a channel are not followed (see
//! [`might_sleep`](crate::might_sleep)).
//!
//! A report that panics does so before the lock is taken: it does not poison the
//! lock it is about. Like any panic it poisons what the thread holds exclusively.
//! Reports name the user's line, for waits on a [`Condvar`], too.
//!
//! # Examples
//!
//! ```
//! use lockdep::std_sync::{Arc, Condvar, Mutex};
//! use std::thread;
//!
//! let pair = Arc::new((Mutex::new(false), Condvar::new()));
//! let there = Arc::clone(&pair);
//! thread::spawn(move || {
//!     let (ready, changed) = &*there;
//!     *ready.lock().unwrap() = true;
//!     changed.notify_one();
//! });
//!
//! let (ready, changed) = &*pair;
//! let ready = changed.wait_while(ready.lock().unwrap(), |ready| !*ready).unwrap();
//! lockdep::assert_held!(pair.0);
//! # drop(ready);
//! ```

mod condvar;
mod mutex;
mod rwlock;

pub use std::sync::{
    Arc, Barrier, BarrierWaitResult, LazyLock, LockResult, Once, OnceLock, OnceState, PoisonError,
    TryLockError, TryLockResult, WaitTimeoutResult, Weak, atomic, mpsc,
};

pub use condvar::Condvar;
pub use mutex::{Mutex, MutexGuard};
pub use rwlock::{RwLock, RwLockReadGuard, RwLockWriteGuard};

use core::panic::Location;

use crate::call::Call;
use crate::held::HeldLock;
use crate::map::LockMap;
use crate::mode::{Attempt, Mode};
use crate::tracked::{self, reacquire};

/// One hold, which ends when this is dropped. Guards declare it before std's
/// guard: the map is released first, because afterwards another acquisition of
/// this thread could find the hold on its stack.
#[derive(Debug)]
struct Hold<'a> {
    map: &'a LockMap,
    held: HeldLock,
}

impl<'a> Hold<'a> {
    /// Announces an acquisition. Dropped before it is
    /// [`acquired`](Self::acquired), it did not happen.
    #[track_caller]
    fn new(map: &'a LockMap, mode: Mode, attempt: Attempt) -> Hold<'a> {
        let held = map.acquire(mode, attempt);
        Hold { map, held }
    }

    /// If the acquisition is observed: what `free`, a try, acquires; else the lock
    /// is contended. `None`: wait.
    fn unless_contended<G>(
        &self,
        free: impl FnOnce() -> TryLockResult<G>,
    ) -> Option<LockResult<G>> {
        let free = || tried::<G, G>(free()).ok();
        tracked::unless_contended(self.map, &self.held, free)
    }

    fn acquired(self) -> Hold<'a> {
        self.map.acquired(&self.held);
        self
    }

    /// Validates that the mutex is given up, that the thread sleeps, and that the
    /// mutex is taken again, by a wait at `site`.
    #[track_caller]
    fn announce_wait(&mut self, site: &'static Location<'static>) {
        let call = Call::new(Mode::Exclusive, Attempt::Block, true, site);
        reacquire(self.map, &mut self.held, call, true);
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        let held = core::mem::replace(&mut self.held, HeldLock::UNTRACKED);
        self.map.release(held);
    }
}

/// Applies `f` to what is inside, poisoned or not.
fn map<T, U>(result: LockResult<T>, f: impl FnOnce(T) -> U) -> LockResult<U> {
    match result {
        Ok(inner) => Ok(f(inner)),
        Err(poisoned) => Err(PoisonError::new(f(poisoned.into_inner()))),
    }
}

/// What a try came to: an acquisition, poisoned or not, or an early return.
fn tried<G, H>(result: TryLockResult<G>) -> Result<LockResult<G>, TryLockError<H>> {
    match result {
        Ok(guard) => Ok(Ok(guard)),
        Err(TryLockError::Poisoned(poisoned)) => Ok(Err(poisoned)),
        Err(TryLockError::WouldBlock) => Err(TryLockError::WouldBlock),
    }
}
