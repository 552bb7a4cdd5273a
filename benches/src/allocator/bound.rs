//! How fast a pool could be at best with these objects: what the system takes for its pages and the memory for its moves, both
//! without any pool.

use std::hint::black_box;
use std::ptr::NonNull;
use std::time::Instant;

use zsalloc::{Handle, Mmap, PageSource, Pool, SOURCE_PAGE};

use super::contender::RETAINED;
use super::corpus::Corpus;
use crate::work::Dice;

/// Tries, the fastest of which counts.
const TRIES: usize = 5;

/// What a pool full of the objects has, and what that costs.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Floor {
    /// Pages of an object.
    pub pages: f64,
    /// Zspages of an object.
    pub zspages: f64,
    /// Nanoseconds of an object: to touch all pages for the first time.
    pub fault: f64,
    /// To return the zspages in random order, one with each call.
    pub one: f64,
    /// The same, 64 with each call.
    pub many: f64,
    /// To return all addresses in order, 1024 pages with each call.
    pub all: f64,
    /// Of all pages, those that are more than [`RETAINED`].
    pub beyond: f64,
    /// Nanoseconds of a page gained, when a random half is freed and the pool compacted: to copy the objects that move from
    /// where they were to where they are.
    pub copy: f64,
    /// To return the pages gained, 64 runs with each call.
    pub gained: f64,
}

impl Floor {
    /// Fills and compacts a default pool, and does without it what it would have to.
    ///
    /// # Panics
    ///
    /// If there is no memory, or nothing to compact.
    #[must_use]
    pub fn measure(corpus: &Corpus) -> Self {
        let pool = Pool::new();
        let insert = |number| pool.insert(corpus.blob(number)).expect("there is memory");
        let mut handles: Vec<_> = (0..corpus.len()).map(insert).collect();
        let lengths: Vec<_> = pool.zspages().map(|zspage| zspage.pages).collect();
        let pages: usize = lengths.iter().sum();
        let mut dice = Dice::new(11);
        dice.shuffle(&mut handles);
        pool.free_many(handles.drain(..corpus.len() / 2));
        let (copied, gained) = moves(&pool, &handles);
        pool.free_many(handles);
        drop(pool);

        let an_object = 1.0 / corpus.len() as f64;
        let costs = Costs::of(&lengths, &mut dice);
        Self {
            pages: pages as f64 * an_object,
            zspages: lengths.len() as f64 * an_object,
            fault: costs.fault * an_object,
            one: costs.one * an_object,
            many: costs.many * an_object,
            all: costs.all * an_object,
            beyond: pages.saturating_sub(RETAINED) as f64 / pages as f64,
            copy: copied / gained,
            gained: costs.many / pages as f64,
        }
    }
}

/// Nanoseconds of copying the objects that a compaction moves, done by hand, and the pages that it gains.
fn moves(pool: &Pool, handles: &[Handle]) -> (f64, f64) {
    let place = |handle: &Handle| {
        let map = pool.read(handle);
        (map.as_ptr().addr(), map.len())
    };
    let before: Vec<_> = handles.iter().map(place).collect();
    let gained = pool.compact().pages_freed;
    assert!(gained > 0, "random frees leave something to compact");
    let after = handles.iter().map(place);
    let moved = before.into_iter().zip(after);
    let moved: Vec<_> = moved
        .filter(|(before, after)| before.0 != after.0)
        .collect();
    // Two spans of memory that stand for the pool before and after.
    let lowest = |places: &mut dyn Iterator<Item = usize>| places.min().unwrap_or(0);
    let (from, to) = (
        lowest(&mut moved.iter().map(|(before, _)| before.0)),
        lowest(&mut moved.iter().map(|(_, after)| after.0)),
    );
    // The addresses of regions may be far apart; their places in the stand-ins are so modulo its size.
    const SPAN: usize = 64 << 20;
    let source = vec![1_u8; SPAN + SOURCE_PAGE];
    let mut target = vec![1_u8; SPAN + SOURCE_PAGE];
    let mut fastest = f64::MAX;
    for _ in 0..TRIES {
        black_box(&mut target).rotate_left(1);
        let start = Instant::now();
        for ((before, len), (after, _)) in &moved {
            let (from, to) = ((before - from) % SPAN, (after - to) % SPAN);
            target[to..to + len].copy_from_slice(&source[from..from + len]);
        }
        fastest = fastest.min(start.elapsed().as_secs_f64() * 1e9);
        black_box(&target);
    }
    (fastest, gained as f64)
}

/// Nanoseconds for all runs together.
struct Costs {
    fault: f64,
    one: f64,
    many: f64,
    all: f64,
}

impl Costs {
    fn of(lengths: &[usize], dice: &mut Dice) -> Self {
        let mut costs = Self {
            fault: 0.0,
            one: f64::MAX,
            many: f64::MAX,
            all: f64::MAX,
        };
        // In short stretches, the fastest of each: on a machine that does other things, too, none of the tries is left alone
        // for all its faults.
        let mut faults = vec![f64::MAX; lengths.len().div_ceil(64)];
        let mut order: Vec<usize> = (0..lengths.len()).collect();
        for _ in 0..TRIES {
            dice.shuffle(&mut order);
            let source = Mmap::new();
            let runs = taken(&source, lengths);
            for (fault, runs) in faults.iter_mut().zip(runs.chunks(64)) {
                let start = Instant::now();
                touch(runs);
                *fault = fault.min(start.elapsed().as_secs_f64() * 1e9);
            }
            let shuffled: Vec<_> = order.iter().map(|&number| runs[number]).collect();

            let start = Instant::now();
            for &(run, pages) in &shuffled {
                // SAFETY: a run of the source, whose contents nobody needs.
                unsafe { source.discard(run, pages) };
            }
            costs.one = costs.one.min(start.elapsed().as_secs_f64() * 1e9);

            touch(&runs);
            let start = Instant::now();
            for runs in shuffled.chunks(64) {
                // SAFETY: from `alloc`, and used no more.
                unsafe { source.release_many(runs) };
            }
            costs.many = costs.many.min(start.elapsed().as_secs_f64() * 1e9);

            let whole: usize = lengths.iter().sum();
            let whole = vec![1024; whole.div_ceil(1024)];
            let runs = taken(&source, &whole);
            touch(&runs);
            let start = Instant::now();
            for &(run, pages) in &runs {
                // SAFETY: as above.
                unsafe { source.discard(run, pages) };
            }
            costs.all = costs.all.min(start.elapsed().as_secs_f64() * 1e9);
            // The source ends here, and with it what is left.
        }
        costs.fault = faults.iter().sum();
        costs
    }
}

/// Runs of these lengths, whose pages were not touched yet.
fn taken(source: &Mmap, lengths: &[usize]) -> Vec<(NonNull<u8>, usize)> {
    let run = |&pages: &usize| (source.alloc(pages).expect("there is memory"), pages);
    lengths.iter().map(run).collect()
}

fn touch(runs: &[(NonNull<u8>, usize)]) {
    for &(run, pages) in runs {
        for page in 0..pages {
            // SAFETY: a page of a run that is ours; volatile, so that it is really touched.
            unsafe { run.add(page * SOURCE_PAGE).write_volatile(1) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_cost_is_there() {
        let floor = Floor::measure(&Corpus::of_length(1000, 2000));
        let costs = [
            floor.fault,
            floor.one,
            floor.many,
            floor.all,
            floor.copy,
            floor.gained,
        ];
        assert!(
            costs.iter().all(|&cost| cost > 0.0 && cost < 1e9),
            "{floor:?}"
        );
        assert!((0.24..0.3).contains(&floor.pages), "{floor:?}");
        assert_eq!(floor.beyond, 0.0);
    }
}
