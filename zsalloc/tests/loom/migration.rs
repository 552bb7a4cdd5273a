//! Migration of a zspage against those who use its objects.

use std::sync::Arc;

use zsalloc::MigrateError;

use crate::model::{Reached, bytes, finish, insert, models, pool, read, spawn, spawn_reader};

static READ: Reached<2> = Reached::new();
static WRITE: Reached<2> = Reached::new();
static TAKE: Reached<3> = Reached::new();

fn outcome(result: Result<(), MigrateError>) -> usize {
    match result {
        Ok(()) => 0,
        Err(MigrateError::Busy) => 1,
        Err(error) => {
            assert_eq!(error, MigrateError::Gone);
            2
        }
    }
}

models! {
    /// Rules out: a map of pages that the zspage has left, or that the bytes have not reached yet; a migration that does not
    /// wait for bytes being read.
    fn read_against_migration<L>(3, super::READ) {
        let pool = pool::<L>();
        let object = insert(&pool, 1);
        let zspage = pool.zspages().next().unwrap().id;
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || READ.note(outcome(pool.migrate(zspage)))
        });
        let reader = spawn_reader(&pool, object, 1);
        mover.join().unwrap();
        let object = reader.join().unwrap();
        read(&pool, &object, 1);
        finish(&pool, [object]);
    }

    /// Rules out: a write through a map that goes to the pages that the zspage has left.
    fn write_against_migration<L>(3, super::WRITE) {
        let pool = pool::<L>();
        let mut object = insert(&pool, 1);
        let zspage = pool.zspages().next().unwrap().id;
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || WRITE.note(outcome(pool.migrate(zspage)))
        });
        let reader = spawn("reader", {
            let pool = Arc::clone(&pool);
            move || {
                pool.write(&mut object).copy_from_slice(&bytes(2));
                object
            }
        });
        mover.join().unwrap();
        let object = reader.join().unwrap();
        read(&pool, &object, 2);
        finish(&pool, [object]);
    }

    /// Rules out: an object that is read and freed while its zspage moves, and pages that are lost or given back twice.
    fn take_against_migration<L>(3, super::TAKE) {
        let pool = pool::<L>();
        let object = insert(&pool, 1);
        let zspage = pool.zspages().next().unwrap().id;
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || TAKE.note(outcome(pool.migrate(zspage)))
        });
        let reader = spawn("reader", {
            let pool = Arc::clone(&pool);
            move || {
                let mut target = Vec::new();
                pool.take(object, &mut target);
                assert_eq!(target, bytes(1), "the object has other bytes");
            }
        });
        mover.join().unwrap();
        reader.join().unwrap();
        assert_eq!(pool.resident_pages(), 0, "pages are lost");
    }
}
