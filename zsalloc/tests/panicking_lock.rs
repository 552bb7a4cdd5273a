//! Locks whose code panics, at any call: no object is lost or changed, no page is lost, and the pool goes on.

mod common;

use std::cell::Cell;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};

use common::calling_back::outgrown;
use common::locks::{Hooked, Hooks, LockCall};
use common::{is_intact, object};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{ClassPolicy, Handle, Mmap, Pool};

thread_local! {
    /// Which code panics, and after how many calls.
    static FAULT: Cell<Option<(LockCall, usize)>> = const { Cell::new(None) };
}

fn call(code: LockCall) {
    match FAULT.get() {
        Some((faulty, 0)) if faulty == code => {
            FAULT.set(None);
            // Without a message for each of them.
            resume_unwind(Box::new("the lock panics"));
        }
        Some((faulty, left)) if faulty == code => FAULT.set(Some((code, left - 1))),
        _ => {}
    }
}

/// A lock of which any method may panic. As `lock_api` demands, what unlocks has unlocked by
/// then, and what locks has not locked.
type Faulty = Hooked<AnyFault>;

struct AnyFault;

impl Hooks for AnyFault {
    fn before(code: LockCall) {
        if !matches!(code, LockCall::UnlockShared | LockCall::UnlockExclusive) {
            call(code);
        }
    }

    fn after(code: LockCall) {
        if matches!(code, LockCall::UnlockShared | LockCall::UnlockExclusive) {
            call(code);
        }
    }
}

type FaultyPool = Pool<Faulty, Mmap>;

/// All that locks something. The handles it is given are kept; what it stores itself may be left over
/// when it panics.
fn everything(pool: &FaultyPool, handles: &mut [Handle]) {
    // In a zspage that has room, and in new ones.
    let mut own: Vec<_> = [3328, 50, 4096]
        .map(|len| pool.insert(&object(len, 7)).unwrap())
        .into();
    own.push(pool.insert(&object(50, 8)).unwrap());
    assert!(own.iter().all(|handle| is_intact(&pool.read(handle))));
    pool.write(&mut own[0]).fill(1);
    pool.replace(&mut own[1], &object(50, 9)).unwrap();
    pool.replace(&mut handles[0], &object(3328, 10)).unwrap();
    for zspage in pool.zspages() {
        let _ = pool.migrate(zspage.id);
    }
    pool.compact();
    for region in pool.regions() {
        pool.evacuate(region.id);
    }
    pool.free_many(own);
}

/// How many calls of the code there are; each has panicked once, on a pool of its own.
fn panics_at_each_call(code: LockCall) -> usize {
    for call in 0.. {
        let pool = Pool::builder().lock_with(|| Faulty::INIT).build().unwrap();
        let mut handles = outgrown(&pool);
        FAULT.set(Some((code, call)));
        let result = catch_unwind(AssertUnwindSafe(|| everything(&pool, &mut handles)));
        let all = FAULT.take().is_some();
        assert_eq!(result.is_ok(), all, "{code:?} {call}");
        assert!(
            handles.iter().all(|handle| is_intact(&pool.read(handle))),
            "{code:?} {call}"
        );
        // Everything goes on as if nothing had been.
        everything(&pool, &mut handles);
        pool.compact();
        assert_eq!(pool.freeable(), 0, "{code:?} {call}");
        let zspages = pool.zspages().map(|zspage| zspage.id);
        assert!(zspages.into_iter().all(|id| pool.migrate(id).is_ok()));
        assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
        let in_zspages: usize = pool.zspages().map(|zspage| zspage.pages).sum();
        assert_eq!(pool.resident_pages(), in_zspages, "{code:?} {call}");
        if all {
            pool.free_many(handles);
            assert_eq!(pool.resident_pages(), 0);
            return call;
        }
    }
    unreachable!("the calls end");
}

#[test]
fn a_lock_may_panic_at_any_call() {
    use LockCall::*;
    for code in [
        LockShared,
        TryLockShared,
        UnlockShared,
        TryLockExclusive,
        UnlockExclusive,
        IsLocked,
        IsLockedExclusive,
    ] {
        let calls = panics_at_each_call(code);
        assert!(calls > 1, "{code:?}: {calls}");
    }
}

/// A zspage that was emptied before its lock panicked stays for the next compaction, also when it is
/// the only one of its class by then, so that there is nowhere to move objects to: it has none.
#[test]
fn a_zspage_that_was_emptied_and_left_goes_with_the_next_compaction() {
    let builder = Pool::builder().classes(ClassPolicy::Zsmalloc { chain_size: 4 });
    let pool = builder.lock_with(|| Faulty::INIT).build().unwrap();
    let mut handles: Vec<_> = (0..8).map(|_| pool.alloc(1024).unwrap()).collect();
    // Of two zspages with four slots one has one object, the other three.
    pool.free(handles.pop().unwrap());
    pool.free_many(handles.drain(1..4));
    FAULT.set(Some((LockCall::UnlockExclusive, 0)));
    assert!(catch_unwind(AssertUnwindSafe(|| pool.compact())).is_err());
    assert_eq!((pool.zspages().count(), pool.freeable()), (2, 1));
    pool.free_many(handles);
    assert_eq!((pool.zspages().count(), pool.freeable()), (1, 1));
    assert_eq!(pool.compact().pages_freed, 1);
    assert_eq!((pool.zspages().count(), pool.resident_pages()), (0, 0));
}
