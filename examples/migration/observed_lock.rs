//! A lock that watches another lock: any `lock_api::RawRwLock`, wrapped, is one again.
//!
//! A read is tried first. Only if the wrapped lock refuses is there something to wait for, and then
//! the blocking call is timed. So every wait in the record is one that a thread really went
//! through, and nothing is added to the time that the lock is held.

use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use lock_api::RawRwLock;

use crate::events;

/// A map held for longer than this is worth an event of its own; a reader's usual map lasts a few
/// microseconds.
const LONG: Duration = Duration::from_micros(100);

/// Serial numbers for locks made by [`Observed::watching`].
static NEXT_SERIAL: AtomicU32 = AtomicU32::new(1);

/// The raw lock `R`, with the waits for it and the refusals written down in the record of the
/// calling thread.
pub(crate) struct Observed<R> {
    raw: R,
    /// Names the lock, and so its zspage, in the record. 0: made by `INIT`, which cannot count.
    serial: u32,
    /// Exclusive attempts so far. A map during which this moves is one that a writer may have met.
    attempts: AtomicU32,
}

/// The wrapped lock's own state of a shared acquisition, and what decides whether it is worth an
/// event.
pub(crate) struct SharedHold<G> {
    inner: G,
    since: Instant,
    attempts_before: u32,
    waited: bool,
}

/// The wrapped lock's own state of an exclusive acquisition, and when it began.
pub(crate) struct ExclusiveHold<G> {
    inner: G,
    since: Instant,
}

impl<R: RawRwLock> Observed<R> {
    /// Watches `raw`, under a serial number of its own.
    pub(crate) fn watching(raw: R) -> Self {
        Observed {
            raw,
            // Relaxed: the number only has to be unique.
            serial: NEXT_SERIAL.fetch_add(1, Ordering::Relaxed),
            attempts: AtomicU32::new(0),
        }
    }

    fn attempts(&self) -> u32 {
        // Relaxed: a hint that decides whether a hold is worth an event; no data depends on it.
        self.attempts.load(Ordering::Relaxed)
    }

    fn note_attempt(&self) {
        // Relaxed: as above.
        self.attempts.fetch_add(1, Ordering::Relaxed);
    }
}

// SAFETY: every method passes the call to `R`, which is a correct `RawRwLock`, exactly once on the
// path that reports an acquisition or ends one, and hands back the very guard state that `R`
// returned for that acquisition. The record is written only while no state of `R` is half-way, and
// nothing else of this type takes part in the locking.
unsafe impl<R: RawRwLock> RawRwLock for Observed<R> {
    const INIT: Self = Observed {
        raw: R::INIT,
        serial: 0,
        attempts: AtomicU32::new(0),
    };

    type SharedGuard = SharedHold<R::SharedGuard>;
    type ExclusiveGuard = ExclusiveHold<R::ExclusiveGuard>;

    #[track_caller]
    fn lock_shared(&self) -> Self::SharedGuard {
        let attempts_before = self.attempts();
        let asked = Instant::now();
        if let Some(inner) = self.raw.try_lock_shared() {
            return SharedHold {
                inner,
                since: asked,
                attempts_before,
                waited: false,
            };
        }
        let inner = self.raw.lock_shared();
        let since = Instant::now();
        events::waited(self.serial, asked, since);
        SharedHold {
            inner,
            since,
            attempts_before,
            waited: true,
        }
    }

    #[track_caller]
    fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
        let attempts_before = self.attempts();
        let since = Instant::now();
        let inner = self.raw.try_lock_shared()?;
        Some(SharedHold {
            inner,
            since,
            attempts_before,
            waited: false,
        })
    }

    #[track_caller]
    unsafe fn unlock_shared(&self, hold: Self::SharedGuard) {
        let met_a_writer = hold.waited || self.attempts() != hold.attempts_before;
        // SAFETY: the caller gives up a shared acquisition of this lock, and `inner` is `R`'s state
        // for it.
        unsafe { self.raw.unlock_shared(hold.inner) };
        events::held(self.serial, hold.since, |length| {
            met_a_writer || length >= LONG
        });
    }

    #[track_caller]
    fn lock_exclusive(&self) -> Self::ExclusiveGuard {
        self.note_attempt();
        let since = Instant::now();
        ExclusiveHold {
            inner: self.raw.lock_exclusive(),
            since,
        }
    }

    #[track_caller]
    fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
        self.note_attempt();
        let since = Instant::now();
        match self.raw.try_lock_exclusive() {
            Some(inner) => Some(ExclusiveHold { inner, since }),
            None => {
                events::refused(self.serial, since, Instant::now());
                None
            }
        }
    }

    #[track_caller]
    unsafe fn unlock_exclusive(&self, hold: Self::ExclusiveGuard) {
        let end = Instant::now();
        // SAFETY: the caller gives up the exclusive acquisition of this lock, and `inner` is `R`'s
        // state for it.
        unsafe { self.raw.unlock_exclusive(hold.inner) };
        events::wrote(self.serial, hold.since, end, Instant::now());
    }

    /// A migrator may look before it tries, and then not try: that is a refusal too.
    fn is_locked(&self) -> bool {
        let seen = Instant::now();
        let locked = self.raw.is_locked();
        if locked && events::is_migrating() {
            self.note_attempt();
            events::refused(self.serial, seen, Instant::now());
        }
        locked
    }

    fn is_locked_exclusive(&self) -> bool {
        self.raw.is_locked_exclusive()
    }
}

impl<R: RawRwLock> fmt::Debug for Observed<R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Observed")
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicBool;
    use std::thread;

    use super::*;
    use crate::events::{Kind, Lane, Purpose, Role, recording, with_purpose};

    /// parking_lot's lock, which tells when a thread enters the blocking read.
    struct Announcing {
        raw: parking_lot::RawRwLock,
        blocking: AtomicBool,
    }

    // SAFETY: every method is `parking_lot::RawRwLock`'s own.
    unsafe impl RawRwLock for Announcing {
        const INIT: Self = Announcing {
            raw: parking_lot::RawRwLock::INIT,
            blocking: AtomicBool::new(false),
        };

        type SharedGuard = <parking_lot::RawRwLock as RawRwLock>::SharedGuard;
        type ExclusiveGuard = <parking_lot::RawRwLock as RawRwLock>::ExclusiveGuard;

        fn lock_shared(&self) -> Self::SharedGuard {
            // Relaxed: the flag carries no data.
            self.blocking.store(true, Ordering::Relaxed);
            self.raw.lock_shared()
        }

        fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
            self.raw.try_lock_shared()
        }

        unsafe fn unlock_shared(&self, guard: Self::SharedGuard) {
            // SAFETY: the caller's promise is passed on.
            unsafe { self.raw.unlock_shared(guard) }
        }

        fn lock_exclusive(&self) -> Self::ExclusiveGuard {
            self.raw.lock_exclusive()
        }

        fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
            self.raw.try_lock_exclusive()
        }

        unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
            // SAFETY: the caller's promise is passed on.
            unsafe { self.raw.unlock_exclusive(guard) }
        }

        fn is_locked(&self) -> bool {
            self.raw.is_locked()
        }

        fn is_locked_exclusive(&self) -> bool {
            self.raw.is_locked_exclusive()
        }
    }

    type Lock = lock_api::RwLock<Observed<Announcing>, u32>;

    fn lock() -> Lock {
        Lock::from_raw(Observed::watching(Announcing::INIT), 7)
    }

    fn raw(lock: &Lock) -> &Observed<Announcing> {
        // SAFETY: the raw lock is only looked at; nothing is unlocked through it.
        unsafe { lock.raw() }
    }

    fn lane() -> Lane {
        Lane::new("test".into(), Role::Reader)
    }

    #[test]
    fn an_uncontended_read_counts_no_wait() {
        let lock = lock();
        let (lane, value) = recording(lane(), Instant::now(), || *lock.read());
        assert_eq!((value, lane.held, lane.waits.len()), (7, 1, 0));
        assert!(lane.events.iter().all(|event| event.kind != Kind::Waited));
    }

    #[test]
    fn a_read_behind_a_writer_counts_its_wait() {
        let lock = lock();
        thread::scope(|scope| {
            let writer = lock.write();
            let reader = scope.spawn(|| recording(lane(), Instant::now(), || *lock.read()));
            // Relaxed: the flag carries no data.
            while !raw(&lock).raw.blocking.load(Ordering::Relaxed) {
                thread::yield_now();
            }
            drop(writer);
            let (lane, value) = reader.join().unwrap();
            let kinds: Vec<Kind> = lane.events.iter().map(|event| event.kind).collect();
            assert_eq!((value, lane.waits.len()), (7, 1));
            assert_eq!(kinds, [Kind::Waited, Kind::Held]);
            assert_eq!(lane.events[0].zspage, raw(&lock).serial);
            assert_eq!(lane.events[0].end, lane.events[1].start);
        });
    }

    #[test]
    fn a_writer_that_meets_a_map_is_refused_and_the_map_is_told() {
        let lock = lock();
        let (lane, ()) = recording(lane(), Instant::now(), || {
            let map = lock.read();
            with_purpose(Purpose::Migration, || assert!(lock.try_write().is_none()));
            drop(map);
            with_purpose(Purpose::Migration, || assert!(lock.try_write().is_some()));
        });
        let kinds: Vec<Kind> = lane.events.iter().map(|event| event.kind).collect();
        assert_eq!(
            kinds,
            [
                Kind::Refused(Purpose::Migration),
                Kind::Held,
                Kind::Wrote(Purpose::Migration)
            ]
        );
    }

    #[test]
    fn a_migration_that_only_looks_is_refused_as_well() {
        let lock = lock();
        let (lane, ()) = recording(lane(), Instant::now(), || {
            let map = lock.read();
            assert!(lock.is_locked());
            with_purpose(Purpose::Migration, || assert!(lock.is_locked()));
            drop(map);
            with_purpose(Purpose::Migration, || assert!(!lock.is_locked()));
        });
        let kinds: Vec<Kind> = lane.events.iter().map(|event| event.kind).collect();
        assert_eq!(kinds, [Kind::Refused(Purpose::Migration), Kind::Held]);
    }

    #[test]
    fn locks_have_numbers_of_their_own() {
        assert_ne!(raw(&lock()).serial, raw(&lock()).serial);
    }
}
