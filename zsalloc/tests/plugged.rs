//! Locks and page sources are parameters: every lock with every source does the same work, and the pool
//! calls both at the agreed times.

mod common;

use std::marker::PhantomData;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::thread;

use common::calling_back::outgrown;
use common::locks::{Hooked, Hooks};
use common::{is_intact, object};
use zsalloc::lock_api::{GuardSend, RawRwLock};
use zsalloc::{
    Failing, Handle, Heap, Mapped, MappedMut, MappedOwned, MigrateError, Mmap, PageSource, Pool,
};
use zslock::{RawGatedZsLock, RawZsLock};

/// Readers, or `WRITER`: the least that a user would write.
struct Spin(AtomicUsize);

const WRITER: usize = usize::MAX;

// SAFETY: a reader gets in only where no writer is, a writer only where nobody is. Acquire on success
// pairs with the Release of every unlock.
unsafe impl RawRwLock for Spin {
    const INIT: Self = Self(AtomicUsize::new(0));
    type SharedGuard = GuardSend;
    type ExclusiveGuard = GuardSend;

    fn lock_shared(&self) -> GuardSend {
        loop {
            match self.try_lock_shared() {
                Some(guard) => return guard,
                None => thread::yield_now(),
            }
        }
    }

    fn try_lock_shared(&self) -> Option<GuardSend> {
        let enter = |readers: usize| (readers < WRITER - 1).then(|| readers + 1);
        let entered = self
            .0
            .fetch_update(Ordering::Acquire, Ordering::Relaxed, enter);
        entered.ok().map(|_| GuardSend::new())
    }

    unsafe fn unlock_shared(&self, _: GuardSend) {
        self.0.fetch_sub(1, Ordering::Release);
    }

    fn lock_exclusive(&self) -> GuardSend {
        unreachable!("the pool only tries")
    }

    fn try_lock_exclusive(&self) -> Option<GuardSend> {
        let entered = self
            .0
            .compare_exchange(0, WRITER, Ordering::Acquire, Ordering::Relaxed);
        entered.ok().map(|_| GuardSend::new())
    }

    unsafe fn unlock_exclusive(&self, _: GuardSend) {
        self.0.store(0, Ordering::Release);
    }

    fn is_locked(&self) -> bool {
        self.0.load(Ordering::Relaxed) != 0
    }

    fn is_locked_exclusive(&self) -> bool {
        self.0.load(Ordering::Relaxed) == WRITER
    }
}

/// A lock whose guards stay on their thread, and are not even `Sync`.
type Bound = Hooked<OfOneThread>;

struct OfOneThread(PhantomData<*mut ()>);

impl Hooks for OfOneThread {}

/// Compiles only if the type is not `$trait`: otherwise the compiler cannot tell which `A` is meant.
macro_rules! assert_not {
    ($trait:ident: $($type:ty),+) => {
        const _: fn() = || {
            trait Ambiguous<A> {
                fn which() {}
            }
            struct If;
            impl<T: ?Sized> Ambiguous<()> for T {}
            impl<T: ?Sized + $trait> Ambiguous<If> for T {}
            $(_ = <$type as Ambiguous<_>>::which;)+
        };
    };
}

type ParkingLot = parking_lot::RawRwLock<false>;

// Guards of parking_lot end where they began, unless its feature `send_guard` is on.
assert_not!(Send: Mapped<'static, ParkingLot, Mmap>, MappedMut<'static, ParkingLot, Mmap>);
assert_not!(Send: MappedOwned<Arc<Pool<ParkingLot, Mmap>>, Arc<Handle>>);
assert_not!(Send: Mapped<'static, Bound, Heap>, MappedMut<'static, Bound, Heap>);
assert_not!(Sync: Mapped<'static, Bound, Heap>, MappedMut<'static, Bound, Heap>);
assert_not!(Send: MappedOwned<Arc<Pool<Bound>>, Handle>, MappedOwned<std::rc::Rc<Pool>, Handle>);
assert_not!(Sync: MappedOwned<Arc<Pool<Bound>>, Handle>, MappedOwned<std::rc::Rc<Pool>, Handle>);

#[test]
fn a_map_may_travel_if_the_guard_of_its_lock_may() {
    fn travels<T: Send>() {}
    fn is_shared<T: Sync>() {}
    travels::<Mapped<'_, RawZsLock, Mmap>>();
    travels::<Mapped<'_, RawGatedZsLock, Heap>>();
    travels::<MappedMut<'_, Spin, Failing<Heap>>>();
    travels::<MappedOwned<Arc<Pool<Spin>>, Arc<Handle>>>();
    is_shared::<Mapped<'_, ParkingLot, Mmap>>();
    is_shared::<Mapped<'_, Spin, Mmap>>();
    // The pool is shared whatever its guards are.
    travels::<Pool<Bound>>();
    is_shared::<Pool<Bound>>();
}

/// What a pool is for, with readers beside it. Ends with an empty pool.
fn works<L, S>(name: &str, new_lock: fn() -> L, source: S)
where
    L: RawRwLock + Send + Sync + 'static,
    S: PageSource,
{
    let builder = Pool::builder().backend(source).lock_with(new_lock);
    let pool = builder.build().unwrap();
    let mut kept = Vec::new();
    for i in 0..1200 {
        let handle = pool.insert(&object(1000 + i as usize % 200, i)).unwrap();
        if i % 4 == 0 {
            kept.push(handle);
        } else {
            pool.free(handle);
        }
    }
    // Mapped: in place. Not mapped: elsewhere.
    let map = pool.read(&kept[0]);
    let held = pool.zspages().find(|zspage| zspage.mapped).expect(name).id;
    assert_eq!(pool.migrate(held), Err(MigrateError::Busy), "{name}");
    drop(map);
    assert_eq!(pool.migrate(held), Ok(()), "{name}");

    let done = AtomicBool::new(false);
    thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                assert!(kept.iter().all(|handle| is_intact(&pool.read(handle))));
                // Lets a thread in that only tries to lock what is read here all the time.
                thread::yield_now();
            }
        });
        for _ in 0..5 {
            pool.compact();
            for zspage in pool.zspages() {
                let migrated = pool.migrate(zspage.id);
                assert!(matches!(migrated, Ok(()) | Err(MigrateError::Busy)));
            }
        }
        done.store(true, Ordering::Relaxed);
        reader.join().expect(name);
    });

    pool.compact();
    assert_eq!(pool.freeable(), 0, "{name}");
    let mut kept = kept.into_iter();
    let mut changed = kept.next().unwrap();
    pool.write(&mut changed).fill(7);
    assert!(pool.read(&changed).iter().all(|&byte| byte == 7), "{name}");
    assert!(kept.all(|handle| {
        let mut copy = Vec::new();
        pool.take(handle, &mut copy);
        is_intact(&copy)
    }));
    pool.free(changed);
    assert_eq!(pool.resident_pages(), 0, "{name}");
}

/// Compaction and migration without pages lose nothing. The compaction wants two new zspages, and the
/// first or the second is refused.
fn fails_well<L>(name: &str, new_lock: fn() -> L, refused: u64)
where
    L: RawRwLock + Send + Sync + 'static,
{
    let source = Arc::new(Failing::new(Heap::new()));
    let builder = Pool::builder()
        .backend(Arc::clone(&source))
        .lock_with(new_lock);
    let pool = builder.build().unwrap();
    let handles = outgrown(&pool);
    source.fail_from(source.calls() + refused);
    let report = pool.compact();
    assert!(
        report.classes.iter().any(|class| class.source_failed),
        "{name}"
    );
    let id = pool.zspages().next().unwrap().id;
    assert_eq!(pool.migrate(id), Err(MigrateError::Source), "{name}");
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    source.never_fail();
    pool.compact();
    assert_eq!(pool.freeable(), 0, "{name}");
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    pool.free_many(handles);
    assert_eq!(pool.resident_pages(), 0, "{name}");
}

fn works_with_every_source<L>(name: &str, new_lock: fn() -> L)
where
    L: RawRwLock + Send + Sync + 'static,
{
    works(name, new_lock, Mmap::new());
    works(name, new_lock, Heap::new());
    works(name, new_lock, Failing::new(Mmap::new()));
    fails_well(name, new_lock, 0);
    fails_well(name, new_lock, 1);
}

#[test]
fn every_lock_works_with_every_source() {
    works_with_every_source("zslock", || RawZsLock::INIT);
    works_with_every_source("gated zslock", || RawGatedZsLock::INIT);
    works_with_every_source("parking_lot", || ParkingLot::INIT);
    let recursive = || parking_lot::RawRwLock::<true>::INIT;
    works_with_every_source("parking_lot, recursive readers", recursive);
    works_with_every_source("a spinning lock", || Spin::INIT);
    works_with_every_source("a lock whose guards stay", || Bound::INIT);
}

/// Each lock under the validator, its own classes beside the pool's.
#[cfg(feature = "debug-lockdep")]
#[test]
fn every_lock_works_tracked() {
    use lockdep::{LockClassKey, Queued, RecursiveReaders, Tracked};

    static KEY: LockClassKey = LockClassKey::new("plugged");
    type Recursive<R> = Tracked<R, RecursiveReaders>;
    works_with_every_source("tracked zslock", || {
        Recursive::with_class(RawZsLock::INIT, &KEY)
    });
    works_with_every_source("tracked gated zslock", || {
        Tracked::<_, Queued>::with_class(RawGatedZsLock::INIT, &KEY)
    });
    works_with_every_source("tracked parking_lot", || {
        Tracked::<_, Queued>::with_class(ParkingLot::INIT, &KEY)
    });
    works_with_every_source("a tracked spinning lock", || {
        Recursive::with_class(Spin::INIT, &KEY)
    });
    works_with_every_source("a tracked lock whose guards stay", || {
        Recursive::with_class(Bound::INIT, &KEY)
    });
    let classes = lockdep::graph().classes;
    assert!(
        classes.iter().any(|class| class == "plugged"),
        "{classes:?}"
    );
}

/// An owned map may end on any thread, so the thread that made it must not be thought to hold it. Only
/// locks that the pool knows can be told.
#[cfg(feature = "debug-lockdep")]
#[test]
fn owned_maps_detach_their_hold_of_a_tracked_lock() {
    use lockdep::{Queued, RecursiveReaders, Tracked};

    fn holds<L: RawRwLock + Send + Sync + 'static>(new_lock: fn() -> L) -> [usize; 3] {
        let pool = Pool::builder().lock_with(new_lock).build().unwrap();
        let handle = pool.insert(b"abc").unwrap();
        let mapped = {
            let _map = pool.read(&handle);
            lockdep::held().len()
        };
        let map = Pool::read_owned(&pool, &handle);
        let owned = lockdep::held().len();
        drop(map);
        [mapped, owned, lockdep::held().len()]
    }
    type Recursive = parking_lot::RawRwLock<true>;
    assert_eq!(holds(|| RawZsLock::INIT), [1, 0, 0]);
    assert_eq!(holds(|| RawGatedZsLock::INIT), [1, 0, 0]);
    let tracked = || Tracked::<_, Queued>::instance(ParkingLot::INIT);
    assert_eq!(holds(tracked), [1, 0, 0]);
    let tracked = || Tracked::<_, RecursiveReaders>::instance(Recursive::INIT);
    assert_eq!(holds(tracked), [1, 0, 0]);
}

type Pooled = Pool<RawZsLock, Mmap>;
static POOL: OnceLock<Pooled> = OnceLock::new();
/// The number of locks of each call.
static PREPARED: Mutex<Vec<usize>> = Mutex::new(Vec::new());

/// Uses the pool in every way, from another thread, so that any lock held by the caller shows.
fn prepare(locks: &[&RawZsLock]) {
    PREPARED.lock().unwrap().push(locks.len());
    let pool = POOL.get().unwrap();
    let user = thread::spawn(move || {
        for len in [50, 1360, 3328] {
            let handle = pool.insert(&object(len, 1)).unwrap();
            assert!(is_intact(&pool.read(&handle)));
            pool.free(handle);
        }
        pool.trim();
        pool.stats().objects + pool.freeable() + pool.zspages().count()
    });
    assert!(user.join().unwrap() > 0);
}

#[test]
fn exclusive_locks_are_announced_once_a_batch_without_a_lock_held() {
    let pool = POOL.get_or_init(|| {
        let builder = Pool::builder().lock_with(|| RawZsLock::INIT);
        builder.prepare_exclusive(prepare).build().unwrap()
    });
    // Two classes with something to gain: eight zspages are sources in each.
    let handles = outgrown(pool);
    let sparse: Vec<_> = (0..640).map(|_| pool.alloc(1024).unwrap()).collect();
    let (kept, freed): (Vec<_>, Vec<_>) = sparse
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 8 == 0);
    freed.into_iter().for_each(|(_, handle)| pool.free(handle));
    assert_eq!(*PREPARED.lock().unwrap(), [], "nothing was tried yet");

    let classes = pool.class_stats().into_iter().filter(|c| c.freeable > 0);
    let classes = classes.count();
    assert_eq!(classes, 2);
    let before = pool.zspages().count();
    let report = pool.compact();
    assert_eq!(report.classes.len(), classes);
    let batches = std::mem::take(&mut *PREPARED.lock().unwrap());
    // A batch for each class, and no zspage was locked that was not announced.
    assert_eq!(batches.len(), classes);
    let added = 2;
    let emptied = before + added - pool.zspages().count();
    assert!(batches.iter().sum::<usize>() >= emptied, "{batches:?}");

    let id = pool.zspages().next().unwrap().id;
    assert_eq!(pool.migrate(id), Ok(()));
    assert_eq!(*PREPARED.lock().unwrap(), [1]);
    assert_eq!(pool.freeable(), 0);
    kept.into_iter().for_each(|(_, handle)| pool.free(handle));
    pool.free_many(handles);
}
