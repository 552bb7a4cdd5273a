//! Giving back the memory of idle pages of a zspage that stays, against those who use the rest of it.

use std::sync::Arc;

use zsalloc::{Handle, SOURCE_PAGE};
use zslock::RawZsLock;

use crate::model::{Pool, Reached, check, finish, pool_of, spawn};

/// Four of these fill three pages.
const LEN: usize = SOURCE_PAGE / 4 * 3;

static INSERT: Reached<2> = Reached::new();
static FREE: Reached<3> = Reached::new();

fn insert(pool: &Pool<RawZsLock>, n: u8) -> Handle {
    pool.insert(&[n; LEN]).expect("pages")
}

fn read(pool: &Pool<RawZsLock>, handle: &Handle, n: u8) {
    let map = pool.read(handle);
    assert_eq!(*map, [n; LEN], "the object has other bytes");
}

/// A pool with one zspage, of three pages and four slots. Objects 1 and 2 are in the first two slots; the others were used,
/// so its last page is idle.
fn idle_page() -> (Arc<Pool<RawZsLock>>, [Handle; 2]) {
    let pool = pool_of(3);
    // A class with fewer objects gets zspages of one page.
    let small = [0; 4].map(|n| insert(&pool, n));
    let [first, second, third, fourth] = [1, 2, 3, 4].map(|n| insert(&pool, n));
    pool.free_many(small);
    pool.free_many([third, fourth]);
    (pool, [first, second])
}

/// Rules out: that a slot is taken, or its bytes stored, in a page whose memory is being given back.
#[test]
fn discard_against_insert() {
    check(3, || {
        let (pool, [first, second]) = idle_page();
        // The zspage stays where it is.
        let map = pool.read(&first);
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || INSERT.note(pool.compact().pages_discarded)
        });
        let owner = spawn("owner", {
            let pool = Arc::clone(&pool);
            move || {
                // The last page is touched by the slot of the first of them.
                let third = insert(&pool, 3);
                read(&pool, &third, 3);
                third
            }
        });
        mover.join().unwrap();
        let third = owner.join().unwrap();
        drop(map);
        for (handle, n) in [(&first, 1), (&second, 2), (&third, 3)] {
            read(&pool, handle, n);
        }
        finish(&pool, [first, second, third]);
    });
    INSERT.assert_all();
}

/// Rules out: that the pages of a zspage go back, because its last object is freed, while the memory of some of them is being
/// given back; and that they are lost because each side leaves it to the other.
#[test]
fn discard_against_free() {
    check(2, || {
        let (pool, [first, second]) = idle_page();
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || {
                let report = pool.compact();
                FREE.note(match (report.pages_discarded, report.objects_moved) {
                    (0, 0) => 0,
                    (0, _) => 1,
                    _ => 2,
                });
            }
        });
        let owner = spawn("owner", {
            let pool = Arc::clone(&pool);
            move || {
                read(&pool, &first, 1);
                pool.free(first);
                pool.free(second);
            }
        });
        mover.join().unwrap();
        owner.join().unwrap();
        assert_eq!(pool.resident_pages(), 0, "pages are lost");
    });
    FREE.assert_all();
}
