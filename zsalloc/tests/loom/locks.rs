//! The locks that the models are run with: the one that must pass, and one that must fail.

use loom::sync::atomic::{AtomicUsize, Ordering};
use zsalloc::execution::step;
use zsalloc::lock_api::{GuardSend, RawRwLock};
use zslock::{RawGatedZsLock, RawZsLock};

/// A lock that can be made under loom, where `RawRwLock::INIT` cannot be const.
pub(crate) trait Lock: RawRwLock + Send + Sync + 'static {
    fn make() -> Self;
}

impl Lock for RawZsLock {
    fn make() -> Self {
        Self::new()
    }
}

impl Lock for RawGatedZsLock {
    fn make() -> Self {
        Self::new()
    }
}

/// `users++` to map, `users--` to unmap, and "if nobody uses it, move it": the lock that the reviewers of the kernel's asked
/// about. It keeps moves away from what is mapped, but not new maps away from what is being moved.
pub(crate) struct UserCount(AtomicUsize);

impl Lock for UserCount {
    fn make() -> Self {
        Self(AtomicUsize::new(0))
    }
}

// SAFETY: this is a lie, and the point of it: an exclusive acquisition leaves no trace. Under loom no memory comes to harm:
// the models notice before anything freed is touched.
unsafe impl RawRwLock for UserCount {
    const INIT: Self = panic!("made by `make`");
    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    fn lock_shared(&self) -> GuardSend {
        // SeqCst, here and below: what is broken is the protocol, not the ordering.
        let users = self.0.fetch_add(1, Ordering::SeqCst);
        step(format!("users++, now {}", users + 1));
        GuardSend::new()
    }

    fn try_lock_shared(&self) -> Option<GuardSend> {
        Some(self.lock_shared())
    }

    unsafe fn unlock_shared(&self, _: GuardSend) {
        let users = self.0.fetch_sub(1, Ordering::SeqCst);
        step(format!("users--, now {}", users - 1));
    }

    fn lock_exclusive(&self) -> GuardSend {
        unreachable!("the pool only tries")
    }

    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        let users = self.0.fetch_add(0, Ordering::SeqCst);
        step(format!("looks whether it may move: {users} users"));
        (users == 0).then(GuardSend::new)
    }

    unsafe fn unlock_exclusive(&self, _: GuardSend) {
        // Changes nothing, but orders: whoever comes later sees what was moved.
        self.0.fetch_add(0, Ordering::SeqCst);
        step(String::from("is done"));
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::SeqCst) > 0
    }

    fn is_locked_exclusive(&self) -> bool {
        false
    }
}

/// A lock that looks at its own word once more after the store that releases it, as one that wakes waiters may.
pub(crate) struct Touching<L> {
    inner: L,
    word: AtomicUsize,
}

impl<L: Lock> Lock for Touching<L> {
    fn make() -> Self {
        Self {
            inner: L::make(),
            word: AtomicUsize::new(0),
        }
    }
}

// SAFETY: the inner lock's promise.
unsafe impl<L: Lock> RawRwLock for Touching<L> {
    const INIT: Self = panic!("made by `make`");
    type SharedGuard = L::SharedGuard;
    type ExclusiveGuard = L::ExclusiveGuard;

    fn lock_shared(&self) -> Self::SharedGuard {
        self.inner.lock_shared()
    }

    fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
        self.inner.try_lock_shared()
    }

    unsafe fn unlock_shared(&self, guard: Self::SharedGuard) {
        // SAFETY: the caller's promise.
        unsafe { self.inner.unlock_shared(guard) };
        // Relaxed: only that it is touched matters. Everybody gets a turn before it is.
        self.word.load(Ordering::Relaxed);
    }

    fn lock_exclusive(&self) -> Self::ExclusiveGuard {
        self.inner.lock_exclusive()
    }

    fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
        self.inner.try_lock_exclusive()
    }

    unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
        // SAFETY: the caller's promise.
        unsafe { self.inner.unlock_exclusive(guard) };
    }

    fn is_locked(&self) -> bool {
        self.inner.is_locked()
    }

    fn is_locked_exclusive(&self) -> bool {
        self.inner.is_locked_exclusive()
    }
}
