//! Maps that own their pool and handle.

mod common;

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::thread;

use common::{is_intact, object};
use zsalloc::{Handle, MigrateError, Pool};

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
