//! Compaction against those who use the objects that it moves.

use std::sync::Arc;

use ::zslock::{RawGatedZsLock, RawZsLock};
use zsalloc::ZspageId;

use crate::locks::{Lock, Touching};
use crate::model::{
    Pool, Reached, bytes, check, finish, insert, models, pool, read, spawn, spawn_reader,
    two_halves,
};

static READ: Reached<2> = Reached::new();
static BACK: Reached<1> = Reached::new();
static TAKE: Reached<2> = Reached::new();
static INSERT: Reached<2> = Reached::new();
static BOTH: Reached<2> = Reached::new();
static LATE: Reached<2> = Reached::new();
static AT_ONCE: Reached<2> = Reached::new();
static GATED: Reached<2> = Reached::new();

/// Which of the two objects moved: the second is to move to the first, unless its zspage is in use; then it is the first
/// that moves.
fn which_moved<L: Lock>(pool: &Pool<L>, [first, second]: [ZspageId; 2]) -> usize {
    let left: Vec<_> = pool.zspages().map(|zspage| zspage.id).collect();
    match left[..] {
        [only] if only == first => 1,
        [only] if only == second => 0,
        _ => panic!("not compacted: {left:?}"),
    }
}

fn ids<L: Lock>(pool: &Pool<L>) -> [ZspageId; 2] {
    let ids: Vec<_> = pool.zspages().map(|zspage| zspage.id).collect();
    ids.try_into().expect("two zspages")
}

models! {
    /// Rules out: a map of the slot that the object has left, or that its bytes have not reached yet; a header that is freed
    /// under a reader who has found it and is about to lock it.
    fn read_against_compaction<L>(3, super::READ) {
        let pool = pool::<L>();
        let [first, second] = two_halves(&pool, [0, 0]);
        let zspages = ids(&pool);
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || drop(pool.compact())
        });
        let reader = spawn_reader(&pool, second, 2);
        mover.join().unwrap();
        let second = reader.join().unwrap();
        READ.note(which_moved(&pool, zspages));
        read(&pool, &first, 1);
        read(&pool, &second, 2);
        finish(&pool, [first, second]);
    }

    /// Rules out: that an entry which reads the same twice means two different places (A to B and back to A). The object
    /// moves from the second slot of zspage A to B, and from there to the second slot of a new zspage, which would be
    /// called A again if the index were free.
    fn there_and_back<L>(2, super::BACK) {
        let pool = pool::<L>();
        let [first, second] = two_halves(&pool, [0, 1]);
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || {
                let there = pool.compact().objects_moved;
                // A new zspage, as the other is full; a map of it makes it the destination of the next compaction.
                let third = insert(&pool, 3);
                pool.free(first);
                let map = pool.read(&third);
                let back = pool.compact().objects_moved;
                drop(map);
                if there + back == 2 {
                    BACK.note(0);
                }
                read(&pool, &third, 3);
                third
            }
        });
        let reader = spawn_reader(&pool, second, 2);
        let third = mover.join().unwrap();
        let second = reader.join().unwrap();
        read(&pool, &second, 2);
        finish(&pool, [second, third]);
    }

    /// Rules out: an object that is read and freed while it moves, and stays or takes another with it; pages that are lost
    /// because neither side retires the zspage.
    fn take_against_compaction<L>(3, super::TAKE) {
        let pool = pool::<L>();
        let [first, second] = two_halves(&pool, [0, 0]);
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || TAKE.note(pool.compact().objects_moved)
        });
        let reader = spawn("reader", {
            let pool = Arc::clone(&pool);
            move || {
                let mut target = Vec::new();
                pool.take(second, &mut target);
                assert_eq!(target, bytes(2), "the object has other bytes");
            }
        });
        mover.join().unwrap();
        reader.join().unwrap();
        read(&pool, &first, 1);
        assert_eq!(pool.stats().objects, 1);
        finish(&pool, [first]);
    }

    /// Rules out: a compaction that moves an object before its bytes are there. (The count of users fails here only when
    /// the new object is read: it gets its place under the class lock, and that keeps compaction out.)
    fn insert_against_compaction<L>(3, super::INSERT) {
        let pool = pool::<L>();
        let [first, second] = [insert(&pool, 1), insert(&pool, 2)];
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || {
                // Makes room where the new object, in a zspage of its own, can move to.
                pool.free(second);
                INSERT.note(pool.compact().objects_moved);
            }
        });
        let reader = spawn("reader", {
            let pool = Arc::clone(&pool);
            move || {
                let third = insert(&pool, 3);
                read(&pool, &third, 3);
                third
            }
        });
        mover.join().unwrap();
        let third = reader.join().unwrap();
        read(&pool, &first, 1);
        read(&pool, &third, 3);
        finish(&pool, [first, third]);
    }

    /// Rules out: two compactions of one class that undo or double each other's moves, beside a reader.
    fn two_compactions<L>(1, super::BOTH) {
        let pool = pool::<L>();
        let [first, second] = two_halves(&pool, [0, 0]);
        let zspages = ids(&pool);
        let movers = ["mover", "mover 2"].map(|name| {
            let pool = Arc::clone(&pool);
            spawn(name, move || pool.compact().objects_moved)
        });
        let reader = spawn_reader(&pool, second, 2);
        let moved: usize = movers.into_iter().map(|mover| mover.join().unwrap()).sum();
        assert_eq!(moved, 1, "one move is enough");
        let second = reader.join().unwrap();
        BOTH.note(which_moved(&pool, zspages));
        read(&pool, &first, 1);
        read(&pool, &second, 2);
        finish(&pool, [first, second]);
    }
}

/// A map of an object is dropped while compaction moves the object away and retires the header.
fn retirement_against_unmapping<L: Lock>(reached: &'static Reached<2>) {
    let pool = pool::<L>();
    let [first, second] = two_halves(&pool, [0, 0]);
    let zspages = ids(&pool);
    let mover = spawn("mover", {
        let pool = Arc::clone(&pool);
        move || drop(pool.compact())
    });
    let reader = spawn("reader", {
        let pool = Arc::clone(&pool);
        move || {
            let map = pool.read(&second);
            assert_eq!(*map, bytes(2));
            drop(map);
            second
        }
    });
    mover.join().unwrap();
    let second = reader.join().unwrap();
    reached.note(which_moved(&pool, zspages));
    read(&pool, &first, 1);
    finish(&pool, [first, second]);
}

/// Rules out: a header that is freed while a map of its last object is dropped, though the lock still has to look at its
/// word.
#[test]
fn retirement_against_unmapping_with_a_late_touch() {
    check(3, || {
        retirement_against_unmapping::<Touching<RawZsLock>>(&LATE)
    });
    LATE.assert_all();
}

/// Rules out: a header that is freed while the map of its last object is dropped without a pin, as zslock's locks allow.
#[test]
fn retirement_against_unmapping_at_once() {
    check(3, || retirement_against_unmapping::<RawZsLock>(&AT_ONCE));
    AT_ONCE.assert_all();
}

/// The same with the other policy.
#[test]
fn retirement_against_unmapping_at_once_gated() {
    check(3, || retirement_against_unmapping::<RawGatedZsLock>(&GATED));
    GATED.assert_all();
}
