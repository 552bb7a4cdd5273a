//! Fork: the child is a single thread, and must find no lock of ours held by a
//! thread that is not there.
//!
//! Before a fork the forking thread takes all internal locks, so that the state
//! it copies is consistent; afterwards parent and child release them. In the
//! child the other threads' holds are ignored: their blocks are given up.

#[cfg(unix)]
pub(crate) use unix::watch;

#[cfg(not(unix))]
pub(crate) fn watch() {}

#[cfg(unix)]
mod unix {
    use std::cell::RefCell;
    use std::sync::Once;

    use crate::emit::{self, HandlerGuard};
    use crate::graph::{self, GraphGuard};
    use crate::observe;
    use crate::thread;

    /// All internal locks, held. No thread ever holds two of them otherwise, so
    /// any fixed order will do.
    struct Frozen {
        threads: thread::Frozen,
        _graph: GraphGuard,
        _observed: observe::Frozen,
        _handler: HandlerGuard,
    }

    thread_local! {
        /// All internal locks, from before a fork until after it.
        static FROZEN: RefCell<Option<Frozen>> = const { RefCell::new(None) };
    }

    /// Has the handlers below called at each fork from now on.
    pub(crate) fn watch() {
        static ONCE: Once = Once::new();
        // Not `call_once` alone: this runs for every thread.
        if !ONCE.is_completed() {
            ONCE.call_once(|| {
                // SAFETY: the handlers are functions that live as long as the
                // process. If there is no memory for them, forks are as unsafe
                // as for any program with locks.
                unsafe { libc::pthread_atfork(Some(before), Some(parent), Some(child)) };
            });
        }
    }

    extern "C" fn before() {
        // `try_with`: a fork in a late thread-local destructor is not covered.
        let _ = FROZEN.try_with(|slot| {
            thread::untracked(|| {
                slot.replace(Some(Frozen {
                    threads: thread::Frozen::new(),
                    _graph: graph::peek(),
                    _observed: observe::Frozen::new(),
                    _handler: emit::lock_handler(),
                }))
            })
        });
    }

    extern "C" fn parent() {
        // Not followed: what is dropped frees memory while later ones of these locks
        // are still held, and the allocator may lock.
        thread::untracked(|| drop(FROZEN.try_with(RefCell::take)));
    }

    extern "C" fn child() {
        thread::untracked(|| {
            if let Ok(Some(frozen)) = FROZEN.try_with(RefCell::take) {
                frozen.threads.give_up_other_threads();
            }
        });
    }
}
