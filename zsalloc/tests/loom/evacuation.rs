//! Evacuation of a region against those who use its objects.

use std::sync::Arc;

use zsalloc::RegionId;

use crate::model::{Reached, finish, models, pool, read, spawn, two_halves};

static READ: Reached<2> = Reached::new();

models! {
    /// Rules out: a map of the pages that an evacuation has emptied, by moving the zspage, or its object to where there is
    /// room; and a region said to be empty though something stayed.
    fn read_against_evacuation<L>(2, super::READ) {
        let pool = pool::<L>();
        let [first, second] = two_halves(&pool, [0, 0]);
        let region = RegionId::of_address(pool.read(&second).as_ptr().addr());
        let mover = spawn("mover", {
            let pool = Arc::clone(&pool);
            move || pool.evacuate(region).is_empty()
        });
        let reader = spawn("reader", {
            let pool = Arc::clone(&pool);
            move || {
                read(&pool, &second, 2);
                second
            }
        });
        let empty = mover.join().unwrap();
        let second = reader.join().unwrap();
        let now = RegionId::of_address(pool.read(&second).as_ptr().addr());
        assert_eq!(empty, now != region, "the report says what is not so");
        READ.note(usize::from(empty));
        read(&pool, &first, 1);
        read(&pool, &second, 2);
        finish(&pool, [first, second]);
    }
}
