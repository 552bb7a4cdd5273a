//! How many objects a batch of frees moves when the pool compacts by itself.

use zsalloc::{AutoCompact, Handle, Pool};

const OBJECTS: usize = 3000;

fn build() -> Pool {
    let builder = Pool::builder().auto_compact(AutoCompact::default());
    builder.build().unwrap()
}

/// Objects in an order in which their ends leave no zspage empty soon.
fn fill(pool: &Pool, len: usize) -> Vec<Handle> {
    let handles = (0..OBJECTS).map(|_| Some(pool.alloc(len).unwrap()));
    let mut handles: Vec<_> = handles.collect();
    let scattered = (0..OBJECTS).map(|i| handles[i * 1009 % OBJECTS].take());
    scattered
        .map(|handle| handle.expect("1009 and 3000 have no common factor"))
        .collect()
}

/// How many objects of this length are freed when the first step comes.
fn frees_until_a_step(len: usize) -> usize {
    let pool = build();
    let handles = fill(&pool, len);
    for (frees, handle) in handles.into_iter().rev().enumerate() {
        pool.free(handle);
        if pool.stats().objects_moved > 0 {
            return frees + 1;
        }
    }
    panic!("no step in a class that became empty");
}

#[test]
fn a_batch_of_frees_moves_no_more_than_it_says() {
    let pool = build();
    let (mut last, mut kept) = (Vec::new(), Vec::new());
    // Each class is one free from a step.
    for len in (1..30).map(|class| class * 64) {
        let frees = frees_until_a_step(len);
        let mut handles = fill(&pool, len);
        for _ in 1..frees {
            let handle = handles.pop().unwrap();
            pool.free(handle);
        }
        last.extend(handles.pop());
        kept.extend(handles);
    }
    // Frees of one class at a time get there in another order; what they moved does not count.
    let before = pool.stats().objects_moved;
    assert!(last.len() < 64);
    pool.free_many(last);
    let moved = pool.stats().objects_moved - before;
    assert!((1..=64).contains(&moved), "{moved} objects moved");
}
