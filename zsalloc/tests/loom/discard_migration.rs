//! Giving back the memory of idle pages of a zspage that another thread tries to migrate.

use std::sync::Arc;

use zsalloc::{ClassPolicy, MigrateError};
use zslock::RawZsLock;

use crate::model::{Arena, Reached, check, spawn};

/// Three of these fill two pages.
const LEN: usize = 2700;

static MIGRATE: Reached<2> = Reached::new();

/// Rules out: pages that a zspage has left, and that are discarded nevertheless.
#[test]
fn discard_against_migration() {
    check(1, || {
        // All zspages of a class have one length, so the zspage stays.
        let builder = zsalloc::Pool::builder()
            .classes(ClassPolicy::Zsmalloc { chain_size: 4 })
            .backend(Arena::default())
            .lock_with(RawZsLock::new);
        let pool = Arc::new(builder.build().expect("valid"));
        let [first, second, third] = [1, 2, 3].map(|n| pool.insert(&[n; LEN]).expect("pages"));
        pool.free_many([second, third]);
        assert_eq!((pool.zspages().count(), pool.resident_pages()), (1, 2));
        let id = pool.zspages().next().expect("one").id;
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || drop(pool.compact())
        });
        let migrator = spawn("migrator", {
            let pool = Arc::clone(&pool);
            move || pool.migrate(id)
        });
        mover.join().unwrap();
        match migrator.join().unwrap() {
            Ok(()) => MIGRATE.note(0),
            Err(MigrateError::Busy) => MIGRATE.note(1),
            Err(error) => panic!("{error}"),
        }
        assert_eq!(*pool.read(&first), [1; LEN], "the object has other bytes");
        pool.free(first);
        assert_eq!(pool.resident_pages(), 0, "pages are lost");
        assert_eq!(pool.stats().discarded_pages, 0);
    });
    MIGRATE.assert_all();
}
