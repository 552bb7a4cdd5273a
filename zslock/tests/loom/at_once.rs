//! The read unlock after which the lock is not touched any more, or which hands the guard back.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use loom::sync::Arc;
use loom::thread;
use zslock::lock_api::RawRwLock;

use crate::model::{Raw, Watched, check, for_both_policies};

/// A lock without guards that would unlock it in the ordinary way.
struct Bare<R> {
    raw: R,
    data: Watched,
}

fn bare<R: Raw>() -> Arc<Bare<R>> {
    Arc::new(Bare {
        raw: R::make(),
        data: Watched::new(),
    })
}

/// What became of the unlocks of a model: an exploration that never comes to an end shows nothing of it.
#[derive(Default)]
struct Ends {
    at_once: AtomicBool,
    handed_back: AtomicBool,
}

impl Ends {
    /// Ends a read section: at once, or if the guard comes back by an ordinary unlock.
    fn unlock<R: Raw>(&self, lock: &Bare<R>, guard: R::SharedGuard) {
        assert!(lock.data.get() <= 1);
        // SAFETY: the models pass the guard of the lock that they hold.
        match unsafe { lock.raw.try_unlock_shared_at_once(guard) } {
            Ok(()) => self.at_once.store(true, Relaxed),
            Err(guard) => {
                self.handed_back.store(true, Relaxed);
                // SAFETY: as above; handed back, it is still held.
                unsafe { lock.raw.unlock_shared(guard) };
            }
        }
    }

    fn were_both_reached(&self) -> bool {
        self.at_once.load(Relaxed) && self.handed_back.load(Relaxed)
    }
}

for_both_policies! {
    /// Rules out: a reader that touches the lock after the step that released it, or is not ordered before whoever finds
    /// the lock free and frees its memory.
    fn a_lock_is_freed_when_it_is_found_free<R>() {
        check(3, || {
            let lock = bare::<R>();
            let readers = [lock.raw.lock_shared(), lock.raw.lock_shared()].map(|guard| {
                let lock = lock.clone();
                thread::spawn(move || {
                    assert_eq!(lock.data.get(), 0);
                    // SAFETY: the guard is of this lock.
                    let unlocked = unsafe { lock.raw.try_unlock_shared_at_once(guard) };
                    assert!(unlocked.is_ok(), "handed back though nobody waits");
                })
            });
            while lock.raw.try_lock_exclusive().is_none() {
                thread::yield_now();
            }
            lock.data.add(1);
            lock.raw.memory_is_freed();
            for reader in readers {
                reader.join().unwrap();
            }
        });
    }

    /// Rules out: a writer that is parked, or about to park, and is woken by none of two readers that leave at once.
    fn readers_that_leave_at_once_wake_the_writer<R>() {
        let ends = std::sync::Arc::new(Ends::default());
        let reached = ends.clone();
        check(3, move || {
            let lock = bare::<R>();
            let [first, second] = [lock.raw.lock_shared(), lock.raw.lock_shared()];
            let writer = {
                let lock = lock.clone();
                thread::spawn(move || {
                    let guard = lock.raw.lock_exclusive();
                    lock.data.add(1);
                    // SAFETY: the guard of the lock just taken.
                    unsafe { lock.raw.unlock_exclusive(guard) };
                })
            };
            let reader = {
                let (lock, ends) = (lock.clone(), ends.clone());
                thread::spawn(move || ends.unlock(&lock, first))
            };
            ends.unlock(&lock, second);
            reader.join().unwrap();
            writer.join().unwrap();
            assert!(!lock.raw.is_locked());
        });
        assert!(reached.were_both_reached(), "one end was never reached");
    }

    /// The same for an upgrader, which waits in another queue.
    fn a_reader_that_leaves_at_once_wakes_the_upgrader<R>() {
        let ends = std::sync::Arc::new(Ends::default());
        let reached = ends.clone();
        check(3, move || {
            let lock = bare::<R>();
            let guard = lock.raw.lock_shared();
            let upgrader = {
                let lock = lock.clone();
                thread::spawn(move || {
                    let upgradable = lock.raw.lock_upgradable();
                    assert_eq!(lock.data.get(), 0);
                    // SAFETY: the guard of the lock just taken.
                    let guard = unsafe { lock.raw.upgrade(upgradable) };
                    lock.data.add(1);
                    // SAFETY: as above.
                    unsafe { lock.raw.unlock_exclusive(guard) };
                })
            };
            ends.unlock(&lock, guard);
            upgrader.join().unwrap();
            assert!(!lock.raw.is_locked());
        });
        assert!(reached.were_both_reached(), "one end was never reached");
    }
}

/// Rules out: a reader that waited for a writer, and leaves at once, under a bit that says that readers are parked. (Under
/// the gated policy the step that lets readers in clears it.)
#[test]
fn readers_that_have_waited_leave() {
    let ends = std::sync::Arc::new(Ends::default());
    let reached = ends.clone();
    check(3, move || {
        let lock = bare::<zslock::RawZsLock>();
        let writer = lock.raw.try_lock_exclusive().expect("nobody is inside");
        let readers = [(), ()].map(|()| {
            let (lock, ends) = (lock.clone(), ends.clone());
            thread::spawn(move || {
                let guard = lock.raw.lock_shared();
                ends.unlock(&lock, guard);
            })
        });
        lock.data.add(1);
        // SAFETY: the guard of the lock taken above.
        unsafe { lock.raw.unlock_exclusive(writer) };
        for reader in readers {
            reader.join().unwrap();
        }
        assert!(!lock.raw.is_locked());
    });
    assert!(reached.were_both_reached(), "one end was never reached");
}
