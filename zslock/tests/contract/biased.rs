//! What only the biased lock does: slots, revocations, and how a bias comes and goes.

use std::mem::{MaybeUninit, forget};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc;
use std::thread;

use zslock::lock_api::RwLockUpgradableReadGuard;
use zslock::{BiasedZsLock, RawBiasedZsLock};

use crate::common::{fresh, wait_until};

type Lock = BiasedZsLock<u32>;

/// A lock that is biased. Everything here is about that, so it must be.
fn biased() -> Lock {
    let lock = fresh::<RawBiasedZsLock, u32>(0);
    assert!(is_biased(&lock), "{}", state(&lock));
    lock
}

fn state(lock: &Lock) -> String {
    // SAFETY: only `Debug` of the raw lock is used, which looks.
    format!("{:?}", unsafe { lock.raw() })
}

fn is_biased(lock: &Lock) -> bool {
    state(lock).contains(" biased: true")
}

fn slots(lock: &Lock, n: usize) -> bool {
    state(lock).contains(&format!("slots: {n},"))
}

#[test]
fn a_lock_is_biased_by_its_readers_and_unbiased_by_a_writer() {
    let lock = Lock::new(0);
    assert!(!is_biased(&lock));
    // A thread that has not counted yet.
    thread::scope(|scope| scope.spawn(|| drop(lock.read())).join()).unwrap();
    assert!(!is_biased(&lock), "one read is not worth it");
    let lock = biased();
    let guard = lock.read();
    assert!(
        slots(&lock, 1) && state(&lock).contains("readers: 0"),
        "{}",
        state(&lock)
    );
    assert!(lock.is_locked() && !lock.is_locked_exclusive());
    assert!(
        lock.try_write().is_none() && is_biased(&lock),
        "a try that fails leaves the bias"
    );
    drop(guard);
    assert!(slots(&lock, 0) && !lock.is_locked());
    *lock.try_write().expect("nobody is inside") += 1;
    assert!(!is_biased(&lock));
    assert_eq!(*lock.read(), 1);
}

#[test]
fn slots_that_are_full_are_no_limit() {
    let lock = biased();
    let guards: Vec<_> = (0..10).map(|_| lock.read()).collect();
    // Four, but for those that guards of threads before this one have left taken.
    let in_slots = (0..=4).find(|n| slots(&lock, *n)).expect("at most four");
    let counted = format!("readers: {}", guards.len() - in_slots);
    assert!(state(&lock).contains(&counted), "{}", state(&lock));
    for guard in guards {
        assert!(lock.try_write().is_none());
        drop(guard);
    }
    assert!(lock.try_write().is_some());
}

/// Rule 7. Fills the count by forgetting guards; each further reader panics, and the word is as it was.
#[test]
#[cfg_attr(feature = "debug-lockdep", ignore = "four million holds of one thread")]
fn one_reader_too_many_panics_and_changes_nothing() {
    const MAX_READERS: usize = (1 << 22) - 1;
    let lock = biased();
    let full = format!("readers: {MAX_READERS}, biased: true");
    (0..MAX_READERS).for_each(|_| forget(lock.read()));
    // Four at most were not counted.
    for _ in 0..4 {
        if !state(&lock).contains(&full) {
            forget(lock.read());
        }
    }
    let before = state(&lock);
    assert!(before.contains(&full), "{before}");
    let refused: [&dyn Fn(); 3] = [&|| drop(lock.read()), &|| drop(lock.try_read()), &|| {
        drop(RwLockUpgradableReadGuard::downgrade(lock.upgradable_read()))
    }];
    for read in refused {
        let message = catch_unwind(AssertUnwindSafe(read)).expect_err("one more was let in");
        let message = message.downcast::<String>().expect("a formatted message");
        assert!(message.contains("at most 4194303 read guards"), "{message}");
        assert_eq!(state(&lock), before);
    }
    assert!(lock.try_write().is_none());
}

#[test]
fn a_blocking_writer_waits_for_a_slot_and_readers_pass_it() {
    let lock = biased();
    thread::scope(|scope| {
        let guard = lock.read();
        scope.spawn(|| *lock.write() += 1);
        wait_until(&lock, "revoking: true");
        assert_eq!(*lock.read() + *guard, 0, "a nested read");
        scope.spawn(|| assert_eq!(*lock.read(), 0)).join().unwrap();
        assert!(lock.try_write().is_none(), "the revocation is another's");
        // A writer beside the one that revokes, and an upgradable reader.
        scope.spawn(|| *lock.write() += 1);
        wait_until(&lock, "writers_parked: true");
        let upgradable = lock.upgradable_read();
        let upgradable = RwLockUpgradableReadGuard::try_upgrade(upgradable).expect_err("a reader");
        drop(upgradable);
        drop(guard);
    });
    assert_eq!(lock.into_inner(), 2);
}

#[test]
fn a_guard_outlives_its_thread_and_is_released_elsewhere() {
    let lock = biased();
    thread::scope(|scope| {
        let guard = scope.spawn(|| lock.read()).join().unwrap();
        assert!(slots(&lock, 1));
        // The next threads get the slots of that one, but not the one that is taken.
        for _ in 0..4 {
            scope.spawn(|| drop(lock.read())).join().unwrap();
            assert!(slots(&lock, 1) && lock.try_write().is_none());
        }
        scope.spawn(move || assert_eq!(*guard, 0)).join().unwrap();
    });
    assert!(slots(&lock, 0) && lock.try_write().is_some());
}

/// Memory in which one lock after the other lies, at one address.
#[test]
fn a_forgotten_guard_is_not_inherited_by_the_next_lock() {
    let mut place = MaybeUninit::<Lock>::uninit();
    for _ in 0..8 {
        let lock = &*place.write(Lock::new(0));
        while !is_biased(lock) {
            drop(lock.read());
            thread::yield_now();
        }
        forget(lock.read());
        assert!(slots(lock, 1) && lock.try_write().is_none());
        // SAFETY: written above, and not used any more.
        unsafe { place.assume_init_drop() };
    }
    let lock = &*place.write(Lock::new(0));
    assert!(slots(lock, 0));
    assert!(lock.try_write().is_some());
    // SAFETY: as above.
    unsafe { place.assume_init_drop() };
}

#[test]
fn reads_in_the_destructors_of_thread_locals_are_counted() {
    struct ReadsLate(&'static Lock, mpsc::Sender<String>);
    impl Drop for ReadsLate {
        fn drop(&mut self) {
            let guard = self.0.read();
            self.1.send(state(self.0)).expect("the test listens");
            drop(guard);
        }
    }
    thread_local! {
        static LATE: std::cell::OnceCell<ReadsLate> = const { std::cell::OnceCell::new() };
    }
    let lock: &'static Lock = Box::leak(Box::new(biased()));
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // Its destructor is registered first, and so runs after the one that gives up the slots; or the other way round,
        // by platform. Either way the lock works.
        LATE.with(|late| drop(late.set(ReadsLate(lock, sender))));
        drop(lock.read());
    })
    .join()
    .unwrap();
    let seen = receiver.recv().unwrap();
    assert!(
        seen.contains("readers: 1") || seen.contains("slots: 1"),
        "{seen}"
    );
    assert!(slots(lock, 0) && lock.try_write().is_some());
}

#[test]
fn a_batch_is_revoked_but_for_what_is_read() {
    let locks: Vec<Lock> = (0..5).map(|_| biased()).collect();
    let unbiased = Lock::new(0);
    let guard = locks[2].read();
    // SAFETY: nothing is unlocked through these.
    let raw = |lock| unsafe { Lock::raw(lock) };
    let mut all: Vec<&RawBiasedZsLock> = locks.iter().map(raw).collect();
    all.extend([raw(&unbiased), raw(&locks[0])]);
    RawBiasedZsLock::revoke_all(&all);
    RawBiasedZsLock::revoke_all(&[]);
    for (i, lock) in locks.iter().enumerate() {
        assert_eq!(is_biased(lock), i == 2);
        assert_eq!(lock.try_write().is_some(), i != 2);
    }
    drop(guard);
    assert!(unbiased.try_write().is_some() && locks[2].try_write().is_some());
}
