//! The asymmetric fence: free for readers, dear for writers.
//!
//! A store, then [`light`], then a load, on one side; a store, then [`heavy`], then a load, on the other: at least one of the two
//! loads sees the other side's store. The chapter [`docs::biased`](crate::docs::biased) says what that rests on.

#[cfg(not(zslock_loom))]
use super::membarrier;

/// The places that need one, two of a kind: each `light` has its `heavy`.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Fence {
    /// Between taking the slot and the second look at the word. Pairs with [`WriterRevokes`](Fence::WriterRevokes): without
    /// it a reader that saw the bias is not seen in its slot.
    ReaderEnters,
    /// Between releasing the slot and the look for a waiter. Pairs with [`WriterAnnounces`](Fence::WriterAnnounces): without it
    /// a writer that saw the slot taken is not seen waiting, and sleeps on.
    ReaderLeaves,
    /// Between clearing the bias and the scan.
    WriterRevokes,
    /// Between announcing that one waits for a slot and the last look at it.
    WriterAnnounces,
}

/// The reader's side. For the processor this is nothing at all.
#[cfg(not(zslock_loom))]
#[inline(always)]
pub(crate) fn light(_fence: Fence) {
    core::sync::atomic::compiler_fence(core::sync::atomic::Ordering::SeqCst);
}

/// The writer's side: makes every running thread of the process execute a full fence.
#[cfg(not(zslock_loom))]
#[inline]
pub(crate) fn heavy(_fence: Fence) {
    membarrier::barrier();
}

/// loom knows no asymmetric fence. Both sides are the symmetric one that it stands in for.
#[cfg(zslock_loom)]
pub(crate) fn light(fence: Fence) {
    full(fence);
}

/// As [`light`].
#[cfg(zslock_loom)]
pub(crate) fn heavy(fence: Fence) {
    full(fence);
}

#[cfg(zslock_loom)]
fn full(fence: Fence) {
    if !crate::primitive::is_broken(fence.mutant()) {
        loom::sync::atomic::fence(loom::sync::atomic::Ordering::SeqCst);
    }
}

#[cfg(zslock_loom)]
impl Fence {
    /// The protocol mutant in which it is missing.
    const fn mutant(self) -> &'static str {
        match self {
            Fence::ReaderEnters => "fence omitted: reader enters",
            Fence::ReaderLeaves => "fence omitted: reader leaves",
            Fence::WriterRevokes => "fence omitted: writer revokes",
            Fence::WriterAnnounces => "fence omitted: writer announces",
        }
    }
}
