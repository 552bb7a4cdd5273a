//! Maps that own their pool and handle.

mod common;

use std::borrow::Borrow;
use std::cell::{Cell, Ref, RefCell};
use std::ops::Deref;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use common::{is_intact, object};
use zsalloc::{Handle, MappedOwned, MigrateError, Pool};

#[test]
fn an_owned_map_keeps_its_object_in_place_wherever_it_goes() {
    let pool = Arc::new(Pool::new());
    let handle = Arc::new(pool.insert(&object(1000, 1)).unwrap());
    let id = pool.zspages().next().unwrap().id;
    let map = Pool::read_owned(Arc::clone(&pool), Arc::clone(&handle));
    let address = map.as_ptr().addr();
    let (end, ended) = channel::<()>();
    let holder = thread::spawn(move || {
        ended.recv().unwrap();
        let intact = is_intact(&map) && map.as_ptr().addr() == address;
        drop(map);
        intact
    });
    assert_eq!(pool.migrate(id), Err(MigrateError::Busy));
    end.send(()).unwrap();
    assert!(holder.join().unwrap());
    assert_eq!(pool.migrate(id), Ok(()));
    // The map has let go of the handle, too.
    pool.free(Arc::into_inner(handle).unwrap());
    assert_eq!(pool.resident_pages(), 0);
}

#[test]
fn an_owned_map_outlives_every_other_owner_of_its_pool() {
    let pool = Arc::new(Pool::new());
    let handle = pool.insert(&object(1000, 1)).unwrap();
    let gone = Arc::downgrade(&pool);
    let map = Pool::read_owned(pool, handle);
    assert!(is_intact(&map) && gone.upgrade().is_some());
    drop(map);
    assert!(gone.upgrade().is_none());
}

#[test]
fn the_parts_come_back_unmapped() {
    let pool = Pool::new();
    let handle = pool.insert(b"abc").unwrap();
    let id = pool.zspages().next().unwrap().id;
    let map = Pool::read_owned(&pool, handle);
    assert_eq!(pool.migrate(id), Err(MigrateError::Busy));
    let (same, handle): (&Pool, Handle) = map.into_parts();
    assert_eq!(same.migrate(id), Ok(()));
    pool.free(handle);
}

#[test]
#[should_panic(expected = "pool")]
fn a_handle_of_another_pool_panics() {
    let (pool, other) = (Pool::new(), Pool::new());
    let handle = other.insert(b"abc").unwrap();
    drop(Pool::read_owned(&pool, &handle));
}

#[test]
fn owned_maps_are_static_and_go_to_any_thread() {
    fn goes_anywhere<T: Send + Sync + 'static>(_: &T) {}
    let pool = Arc::new(Pool::new());
    let handle = Arc::new(pool.insert(b"abc").unwrap());
    goes_anywhere(&Pool::read_owned(pool, handle));
}

/// When a thread's other thread-local data, the epoch's and the parking lot's, may be gone already.
#[test]
fn an_owned_map_may_end_with_its_thread() {
    type OwnedMap = MappedOwned<Arc<Pool>, Arc<Handle>>;
    thread_local! {
        static KEPT: RefCell<Option<OwnedMap>> = const { RefCell::new(None) };
    }
    let pool = Arc::new(Pool::new());
    let handle = Arc::new(pool.insert(&object(1000, 1)).unwrap());
    let id = pool.zspages().next().unwrap().id;
    let (of_thread, its_handle) = (Arc::clone(&pool), Arc::clone(&handle));
    let keeper = thread::spawn(move || {
        // Made before the pool is used on this thread, so destroyed after what that makes; and with the
        // last map of it the pool.
        KEPT.set(None);
        KEPT.set(Some(Pool::read_owned(of_thread, its_handle)));
    });
    keeper.join().unwrap();
    assert_eq!(pool.migrate(id), Ok(()));
    let keeper = thread::spawn(|| {
        KEPT.set(None);
        KEPT.set(Some(Pool::read_owned(pool, handle)));
    });
    keeper.join().unwrap();
}

/// Something else each time it is asked.
struct Fickle<T> {
    answers: [T; 2],
    asked: Rc<Cell<usize>>,
}

impl<T> Fickle<T> {
    fn answer(&self) -> &T {
        self.asked.set(self.asked.get() + 1);
        &self.answers[(self.asked.get() - 1) % 2]
    }
}

impl Borrow<Handle> for Fickle<Handle> {
    fn borrow(&self) -> &Handle {
        self.answer()
    }
}

impl Deref for Fickle<Pool> {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        self.answer()
    }
}

/// `Deref` and `Borrow` are safe traits: whatever they answer, the map is of one live object of one
/// living pool.
#[test]
fn pointers_that_change_their_answer_are_asked_once() {
    let pools = [Pool::new(), Pool::new()];
    let handles = [1, 2].map(|name| pools[0].insert(&object(1000, name)).unwrap());
    let asked: [Rc<Cell<usize>>; 2] = Default::default();
    let pool = Fickle {
        answers: pools,
        asked: Rc::clone(&asked[0]),
    };
    let handle = Fickle {
        answers: handles,
        asked: Rc::clone(&asked[1]),
    };
    let map = Pool::read_owned(pool, handle);
    assert_eq!(*map, object(1000, 1));
    assert_eq!(asked.each_ref().map(|asked| asked.get()), [1, 1]);
    // The map was of the first pool, in which two objects are, and ended before the parts came back.
    let (pool, handle) = map.into_parts();
    let [first, second] = pool.answers;
    assert_eq!((first.stats().objects, second.stats().objects), (2, 0));
    let id = first.zspages().next().unwrap().id;
    assert_eq!(first.migrate(id), Ok(()));
    first.free_many(handle.answers);
    assert_eq!(first.resident_pages(), 0);
}

/// A handle that others could take, were it not lent for good.
struct Lent(Rc<RefCell<Option<Handle>>>);

impl Borrow<Handle> for Lent {
    fn borrow(&self) -> &Handle {
        let lent = Ref::map(RefCell::borrow(&self.0), |handle| handle.as_ref().unwrap());
        Box::leak(Box::new(lent))
    }
}

#[test]
fn a_handle_cannot_be_taken_from_behind_a_map() {
    let pool = Pool::new();
    let handle = pool.insert(&object(1000, 1)).unwrap();
    let shared = Rc::new(RefCell::new(Some(handle)));
    let map = Pool::read_owned(&pool, Lent(Rc::clone(&shared)));
    assert!(shared.try_borrow_mut().is_err());
    assert!(is_intact(&map));
}

/// A pool that is moved about with its map.
struct Inline(Pool);

impl Deref for Inline {
    type Target = Pool;

    fn deref(&self) -> &Pool {
        &self.0
    }
}

#[test]
fn a_map_may_be_moved_with_the_pool_in_it() {
    let pool = Pool::new();
    let handle = pool.insert(&object(1000, 1)).unwrap();
    let map = Box::new(Pool::read_owned(Inline(pool), handle));
    let address = map.as_ptr().addr();
    let map = *map;
    assert!(is_intact(&map) && map.as_ptr().addr() == address);
    // The hold ends before the pool does.
    drop(map);
}

/// Uses the pool while it is asked for its handle.
struct Busy<'p>(&'p Pool, Handle);

impl Borrow<Handle> for Busy<'_> {
    fn borrow(&self) -> &Handle {
        let Self(pool, handle) = self;
        let other = pool.insert(&object(1000, 2)).unwrap();
        let id = pool.zspages().next().unwrap().id;
        assert_eq!(pool.migrate(id), Ok(()));
        pool.free(other);
        pool.compact();
        handle
    }
}

#[test]
fn pointers_may_use_the_pool_when_they_are_asked() {
    let pool = Pool::new();
    let handle = pool.insert(&object(1000, 1)).unwrap();
    let map = Pool::read_owned(&pool, Busy(&pool, handle));
    assert_eq!(*map, object(1000, 1));
}

/// Whoever ends the hold is not the thread that took it, so lockdep must not think that the latter
/// still holds it.
#[cfg(feature = "debug-lockdep")]
#[test]
fn the_hold_is_detached_under_lockdep() {
    let pool = Pool::new();
    let handle = pool.insert(b"abc").unwrap();
    let map = pool.read(&handle);
    assert_eq!(lockdep::held().len(), 1);
    drop(map);
    let map = Pool::read_owned(&pool, &handle);
    assert_eq!(lockdep::held().len(), 0);
    drop(map);
    assert_eq!(lockdep::held().len(), 0);
}
