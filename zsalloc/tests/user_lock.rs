//! Locks of any size and alignment, that have something to drop: one is made for each zspage, and dropped once.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use lock_api::RawRwLock;
use zsalloc::{ClassPolicy, Pool};
use zslock::RawZsLock;

/// One test at a time: they count, and a thread that is pinned keeps what the others retire.
static ALONE: Mutex<()> = Mutex::new(());
static MADE: AtomicUsize = AtomicUsize::new(0);
static DROPPED: AtomicUsize = AtomicUsize::new(0);
/// Locks that were not at their alignment, or were dropped before.
static WRONG: AtomicUsize = AtomicUsize::new(0);

const ALIVE: usize = 0x600d_10c6;

/// What is behind a lock, to be dropped with it.
struct Witness(usize);

impl Witness {
    fn new() -> Self {
        MADE.fetch_add(1, Ordering::Relaxed);
        Self(ALIVE)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        DROPPED.fetch_add(1, Ordering::Relaxed);
        let before = std::mem::replace(&mut self.0, 0);
        WRONG.fetch_add(usize::from(before != ALIVE), Ordering::Relaxed);
    }
}

macro_rules! lock {
    ($name:ident, $align:literal, $size:literal) => {
        #[repr(align($align))]
        struct $name {
            lock: RawZsLock,
            witness: Witness,
            _rest: [u8; $size],
        }

        impl $name {
            fn new() -> Self {
                Self {
                    lock: RawZsLock::new(),
                    witness: Witness::new(),
                    _rest: [0; $size],
                }
            }

            fn lock(&self) -> &RawZsLock {
                let aligned = std::ptr::from_ref(self).addr().is_multiple_of($align);
                let wrong = !aligned || self.witness.0 != ALIVE;
                WRONG.fetch_add(wrong.into(), Ordering::Relaxed);
                &self.lock
            }
        }

        // SAFETY: what `RawZsLock` does.
        unsafe impl RawRwLock for $name {
            const INIT: Self = panic!("each is counted: made with `new`");
            type SharedGuard = <RawZsLock as RawRwLock>::SharedGuard;
            type ExclusiveGuard = <RawZsLock as RawRwLock>::ExclusiveGuard;

            fn lock_shared(&self) -> Self::SharedGuard {
                self.lock().lock_shared()
            }

            fn try_lock_shared(&self) -> Option<Self::SharedGuard> {
                self.lock().try_lock_shared()
            }

            unsafe fn unlock_shared(&self, guard: Self::SharedGuard) {
                // SAFETY: the caller's promise is the same.
                unsafe { self.lock().unlock_shared(guard) }
            }

            fn lock_exclusive(&self) -> Self::ExclusiveGuard {
                self.lock().lock_exclusive()
            }

            fn try_lock_exclusive(&self) -> Option<Self::ExclusiveGuard> {
                self.lock().try_lock_exclusive()
            }

            unsafe fn unlock_exclusive(&self, guard: Self::ExclusiveGuard) {
                // SAFETY: the caller's promise is the same.
                unsafe { self.lock().unlock_exclusive(guard) }
            }

            fn is_locked(&self) -> bool {
                self.lock().is_locked()
            }

            fn is_locked_exclusive(&self) -> bool {
                self.lock().is_locked_exclusive()
            }
        }
    };
}

lock!(OfALine, 64, 0);
lock!(OverAligned, 256, 1000);
lock!(OfManyPages, 8, 10_000);
lock!(LongerThanARegion, 32, 80_000);
lock!(AlignedBeyondAPage, 8192, 0);

/// The zspages that a pool had, one after the other.
fn lives<L: RawRwLock + Send + Sync + 'static>(new_lock: fn() -> L) {
    let _alone = ALONE.lock();
    let classes = ClassPolicy::Zsmalloc { chain_size: 4 };
    let counters = [&MADE, &DROPPED, &WRONG];
    counters
        .iter()
        .for_each(|counter| counter.store(0, Ordering::Relaxed));
    let pool = Pool::builder().classes(classes).lock_with(new_lock);
    let pool = pool.build().unwrap();
    let mut zspages = 0;
    for round in 0..3_u8 {
        // More zspages than a segment of the table has.
        let handles: Vec<_> = (0..70 * 4)
            .map(|_| pool.insert(&[round; 4096]).unwrap())
            .chain((0..200).map(|_| pool.insert(&[round; 100]).unwrap()))
            .collect();
        zspages += pool.stats().zspages;
        assert_eq!(MADE.load(Ordering::Relaxed), zspages);
        for zspage in pool.zspages().collect::<Vec<_>>() {
            pool.migrate(zspage.id).unwrap();
        }
        for handle in &handles {
            assert!(pool.read(handle).iter().all(|&byte| byte == round));
        }
        if round < 2 {
            pool.free_many(handles);
        } else {
            // The pool ends with these.
            handles.into_iter().for_each(drop);
        }
    }
    drop(pool);
    (0..1000).for_each(|_| crossbeam_epoch::pin().flush());
    let counts = counters.map(|counter| counter.load(Ordering::Relaxed));
    assert_eq!(counts, [zspages, zspages, 0]);
}

#[test]
fn a_lock_of_a_line() {
    lives(OfALine::new);
}

#[test]
fn an_over_aligned_lock() {
    lives(OverAligned::new);
}

#[test]
fn a_lock_of_many_pages() {
    lives(OfManyPages::new);
}

#[test]
fn a_lock_for_which_a_segment_is_longer_than_a_region() {
    lives(LongerThanARegion::new);
}

#[test]
fn a_lock_aligned_beyond_a_page() {
    lives(AlignedBeyondAPage::new);
}
