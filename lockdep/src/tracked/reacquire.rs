//! A lock that is given up and taken again in one operation: a wait on a
//! condition variable, a bump.

use core::panic::Location;

use super::{LockKind, Tracked, TrackedGuard};
use crate::acquire;
use crate::call::Call;
use crate::held::HeldLock;
use crate::map::LockMap;
use crate::mode::{Attempt, Mode};
use crate::{context, release};

/// Validates, before it happens, that the hold `held` ends and the lock is taken
/// again as `call` says, in the same subclass. `sleeps`: the thread may sleep in
/// between. A hold of another thread becomes this thread's, of subclass 0.
///
/// On unwinding `held` is a hold as before: the raw lock was not touched.
#[track_caller]
pub(crate) fn reacquire(map: &LockMap, held: &mut HeldLock, call: Call, sleeps: bool) {
    /// Puts the hold back if a report unwinds.
    struct Restore<'a, F: Fn(Attempt) -> HeldLock>(&'a mut HeldLock, F);
    impl<F: Fn(Attempt) -> HeldLock> Drop for Restore<'_, F> {
        fn drop(&mut self) {
            if *self.0 == HeldLock::UNTRACKED {
                *self.0 = (self.1)(Attempt::Try);
            }
        }
    }
    if *held == HeldLock::UNTRACKED {
        return;
    }
    let subclass = release::origin_of(held).map_or(0, |(_, subclass)| subclass);
    let detached = release::is_detached(map, held);
    let again = |attempt| {
        let call = call.with_attempt(attempt).with_subclass(subclass);
        // The sleep was validated, and no wait is longer.
        let call = if sleeps { call.after_sleep() } else { call };
        let held = acquire::acquire(map, call);
        if detached {
            release::detach(map);
        }
        held
    };
    let given_up = core::mem::replace(held, HeldLock::UNTRACKED);
    release::release(map, given_up, call.site);
    let restore = Restore(held, again);
    if sleeps {
        context::might_sleep_at(call.site);
    }
    *restore.0 = (restore.1)(Attempt::Block);
}

impl<R, K: LockKind> Tracked<R, K> {
    /// Validates that a hold in `mode` is given up and taken again. The place is
    /// the one where it was acquired; of a hold of another thread, the caller's.
    #[track_caller]
    pub(super) fn again<G: 'static>(&self, held: &mut HeldLock, mode: Mode, sleeps: bool) {
        let site = match release::origin_of(held) {
            Some((site, _)) => site,
            None => Location::caller(),
        };
        let call = Self::call::<G>(mode, Attempt::Block, site);
        reacquire(&self.map, held, call, sleeps);
    }

    /// Validates that a hold in `mode` is given up and taken again, then does
    /// so. It unwinds with the lock held and the guard valid: before `bump`
    /// because nothing happened, inside because `lock_api` demands it of `R`.
    #[track_caller]
    pub(super) fn bump_with<G: 'static>(
        &self,
        guard: &mut TrackedGuard<G>,
        mode: Mode,
        bump: impl FnOnce(&R, &mut G),
    ) {
        self.again::<G>(&mut guard.held, mode, false);
        bump(&self.raw, &mut guard.state);
        self.map.acquired(&guard.held);
    }
}
