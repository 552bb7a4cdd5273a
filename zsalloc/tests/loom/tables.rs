//! Lookups against tables that grow and shrink, and ids of zspages that are gone.

use std::sync::Arc;

use zsalloc::MigrateError;
use zslock::RawZsLock;

use crate::model::{Reached, check, finish, insert, pool, read, spawn};

/// Rules out: a lookup that follows a directory or segment that is not initialised yet, or that has been freed: the handle
/// table grows meanwhile.
#[test]
fn lookup_against_growth() {
    check(3, || {
        let pool = pool::<RawZsLock>();
        let object = insert(&pool, 1);
        let grower = spawn("grower", {
            let pool = Arc::clone(&pool);
            move || insert(&pool, 2)
        });
        let reader = spawn("reader", {
            let pool = Arc::clone(&pool);
            move || {
                read(&pool, &object, 1);
                object
            }
        });
        let second = grower.join().unwrap();
        let object = reader.join().unwrap();
        read(&pool, &second, 2);
        finish(&pool, [object, second]);
    });
}

/// As the next one, but for the segment: it is taken out of the table before, and the new zspage brings a new one.
#[test]
fn stale_id_against_new_segment() {
    check(3, || {
        let pool = pool::<RawZsLock>();
        let full = [insert(&pool, 1), insert(&pool, 2)];
        let second = [insert(&pool, 3), insert(&pool, 4)];
        let zspage = pool.zspages().last().unwrap().id;
        let third = insert(&pool, 5);
        // Two indices are free, of which one keeps its segment and is the next that is used.
        pool.free(third);
        pool.free_many(second);
        let third = [insert(&pool, 6), insert(&pool, 7)];
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || assert_eq!(pool.migrate(zspage), Err(MigrateError::Gone))
        });
        let owner = spawn("owner", {
            let pool = Arc::clone(&pool);
            move || insert(&pool, 8)
        });
        mover.join().unwrap();
        let object = owner.join().unwrap();
        read(&pool, &object, 8);
        finish(&pool, full.into_iter().chain(third).chain([object]));
    });
}

/// Rules out: a lookup that follows a segment that has been freed. The id of a zspage that is gone leads to a segment that is
/// taken out meanwhile.
#[test]
fn stale_id_against_segment_retirement() {
    check(3, || {
        let pool = pool::<RawZsLock>();
        let first = insert(&pool, 1);
        let second = insert(&pool, 2);
        let third = insert(&pool, 3);
        let zspage = pool.zspages().last().unwrap().id;
        let rest = [insert(&pool, 4), insert(&pool, 5)];
        // One segment without live indices is kept; this one is it, and the next goes.
        let [fourth, fifth] = rest;
        pool.free(fifth);
        pool.free(fourth);
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || assert_ne!(pool.migrate(zspage), Err(MigrateError::Source))
        });
        let owner = spawn("owner", {
            let pool = Arc::clone(&pool);
            move || pool.free(third)
        });
        mover.join().unwrap();
        owner.join().unwrap();
        finish(&pool, [first, second]);
    });
}

static STALE: Reached<2> = Reached::new();

/// Rules out: that the id of a zspage that is gone leads to a header or segment that is freed or not initialised yet. While
/// one thread asks for it, another gives its index, and the segment that the index is in, to a new zspage.
#[test]
fn stale_id_against_new_zspage() {
    check(3, || {
        let pool = pool::<RawZsLock>();
        // Fills a zspage, so that the next object has one of its own.
        let full = [insert(&pool, 1), insert(&pool, 2)];
        let object = insert(&pool, 3);
        let zspage = pool.zspages().last().unwrap().id;
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || match pool.migrate(zspage) {
                Ok(()) => STALE.note(0),
                Err(error) => {
                    assert_eq!(error, MigrateError::Gone);
                    STALE.note(1);
                }
            }
        });
        let owner = spawn("owner", {
            let pool = Arc::clone(&pool);
            move || {
                pool.free(object);
                insert(&pool, 4)
            }
        });
        mover.join().unwrap();
        let object = owner.join().unwrap();
        read(&pool, &object, 4);
        finish(&pool, full.into_iter().chain([object]));
    });
    STALE.assert_all();
}
