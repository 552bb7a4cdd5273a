//! One loop for all stores.

use std::fmt;
use std::hint::black_box;
use std::ops::Range;
use std::time::{Duration, Instant};

use zsalloc::testbed::Store;

use super::corpus::{Corpus, PAGE};
use super::pair;
use super::row::{Row, Stores};
use crate::load;
use crate::validator::launch::Window;
use crate::window::TOLERATED_LOAD;
use crate::work::Dice;

/// Objects that a pass of the loops reads, frees or stores.
pub(super) const PASS: usize = 256;

/// A contender without its type, with a store that stays filled from window to window.
pub trait Subject {
    /// One window of `row`. The loops run for `length`; what can be done only once is done once, with a store of its own.
    fn measure(&mut self, row: Row, corpus: &Corpus, length: Duration) -> Window;

    /// Runs `passes` passes of one of [`Row::LOOPS`]; the operations done.
    fn run(&mut self, row: Row, corpus: &Corpus, passes: usize) -> u64;

    /// Checks every byte of the store that stays.
    ///
    /// # Panics
    ///
    /// If one is not what was stored: then the speed is of no interest.
    fn verify(&self, corpus: &Corpus);
}

/// Some operations and the time they took, without what was done around them.
pub(super) struct Pass {
    pub(super) operations: usize,
    pub(super) timed: Duration,
}

/// A store with objects of the corpus.
pub(super) struct Filled<S: Store> {
    pub(super) store: S,
    /// By number: the object's key and which blob it is.
    keys: Vec<(Option<S::Key>, u32)>,
    dice: Dice,
    next: usize,
    /// Numbers in random order.
    order: Vec<u32>,
}

impl<S: Store> Filled<S> {
    fn new(store: S, corpus: &Corpus) -> Self {
        let mut filled = Self::empty(store, corpus);
        filled.grow(corpus, 0..corpus.len());
        filled
    }

    fn empty(store: S, corpus: &Corpus) -> Self {
        let mut dice = Dice::new(7);
        let mut order: Vec<u32> = (0..corpus.len() as u32).collect();
        dice.shuffle(&mut order);
        let keys = order.iter().map(|_| (None, 0)).collect();
        Self {
            store,
            keys,
            dice,
            next: 0,
            order,
        }
    }

    /// Stores the objects of these numbers.
    fn grow(&mut self, corpus: &Corpus, numbers: Range<usize>) -> Pass {
        let operations = numbers.len();
        let start = Instant::now();
        for number in numbers {
            self.keys[number] = (put(&self.store, corpus.blob(number)), number as u32);
        }
        Pass {
            operations,
            timed: start.elapsed(),
        }
    }

    /// The next numbers in the random order, again from the start after the last.
    fn draw(&mut self) -> Range<usize> {
        if self.next + PASS > self.order.len() {
            self.next = 0;
        }
        let drawn = self.next..(self.next + PASS).min(self.order.len());
        self.next = drawn.end;
        drawn
    }

    fn copy(&mut self) -> Pass {
        let mut buffer = [0; PAGE];
        let drawn = self.draw();
        let start = Instant::now();
        for &number in &self.order[drawn.clone()] {
            let key = self.keys[number as usize].0.as_ref();
            let key = key.expect("the store is full");
            self.store.copy(key, &mut buffer);
            black_box(&mut buffer);
        }
        Pass {
            operations: drawn.len(),
            timed: start.elapsed(),
        }
    }

    fn hot(&self) -> Pass {
        const TIMES: usize = 16 * PASS;
        let key = self.keys[0].0.as_ref().expect("the store is full");
        let start = Instant::now();
        for _ in 0..TIMES {
            self.store.get(black_box(key), |bytes| {
                black_box(bytes);
            });
        }
        Pass {
            operations: TIMES,
            timed: start.elapsed(),
        }
    }

    /// Frees some objects and stores others in their place; the time of one or the other counts.
    fn replace(&mut self, row: Row, corpus: &Corpus) -> Pass {
        let drawn = self.draw();
        let start = Instant::now();
        for &number in &self.order[drawn.clone()] {
            if let Some(key) = self.keys[number as usize].0.take() {
                self.store.del(key);
            }
        }
        let freed = start.elapsed();
        for &number in &self.order[drawn.clone()] {
            self.keys[number as usize].1 = self.dice.roll(corpus.len() as u64) as u32;
        }
        let start = Instant::now();
        for &number in &self.order[drawn.clone()] {
            let (key, blob) = &mut self.keys[number as usize];
            *key = put(&self.store, corpus.blob(*blob as usize));
        }
        let stored = start.elapsed();
        Pass {
            operations: drawn.len(),
            timed: if row == Row::Free { freed } else { stored },
        }
    }

    fn pass(&mut self, row: Row, corpus: &Corpus) -> Pass {
        match row {
            Row::Copy => self.copy(),
            Row::Hot => self.hot(),
            Row::Refill | Row::Free => self.replace(row, corpus),
            _ => unreachable!("{row:?} is no loop"),
        }
    }

    /// Frees a part of the random order.
    fn free(&mut self, part: Range<usize>) -> Pass {
        let operations = part.len();
        let start = Instant::now();
        for &number in &self.order[part] {
            if let Some(key) = self.keys[number as usize].0.take() {
                self.store.del(key);
            }
        }
        Pass {
            operations,
            timed: start.elapsed(),
        }
    }

    /// Frees a part of the random order with one call.
    fn free_many(&mut self, part: Range<usize>) -> Pass {
        let operations = part.len();
        let start = Instant::now();
        let (keys, store) = (&mut self.keys, &self.store);
        let freed = self.order[part].iter();
        store.del_many(freed.filter_map(|&number| keys[number as usize].0.take()));
        Pass {
            operations,
            timed: start.elapsed(),
        }
    }

    fn compact(&mut self) -> Pass {
        let start = Instant::now();
        let freed = self.store.compact();
        let timed = start.elapsed();
        assert!(freed > 0, "random frees leave something to compact");
        Pass {
            operations: freed / PAGE,
            timed,
        }
    }

    pub(super) fn verify(&self, corpus: &Corpus) {
        for (key, blob) in &self.keys {
            if let Some(key) = key {
                let same = self
                    .store
                    .get(key, |bytes| bytes == corpus.blob(*blob as usize));
                assert!(same, "the store changed an object");
            }
        }
    }
}

fn put<S: Store>(store: &S, blob: &[u8]) -> Option<S::Key> {
    Some(store.put(blob).expect("there is memory"))
}

/// Stores that `new` makes.
pub struct Of<S: Store, F> {
    new: F,
    filled: Option<Filled<S>>,
}

impl<S: Store, F: Fn() -> S> Of<S, F> {
    /// Nothing is stored yet.
    pub fn new(new: F) -> Self {
        Self { new, filled: None }
    }

    fn filled(&mut self, corpus: &Corpus) -> &mut Filled<S> {
        let new = &self.new;
        self.filled
            .get_or_insert_with(|| Filled::new(new(), corpus))
    }

    /// What can be done only once, with a store of its own.
    fn once(&self, row: Row, corpus: &Corpus) -> Window {
        // What earlier windows left in malloc's lists goes back, so that all start with nothing.
        // SAFETY: it touches only free memory of malloc.
        unsafe { libc::malloc_trim(0) };
        let mut filled = Filled::empty((self.new)(), corpus);
        let all = corpus.len();
        let window = if row == Row::Grow {
            let window = parts(all, |part| filled.grow(corpus, part));
            filled.verify(corpus);
            window
        } else {
            filled.grow(corpus, 0..all);
            if row == Row::FreeAll {
                parts(all, |part| filled.free(part))
            } else if row == Row::FreeMany {
                parts(all, |part| filled.free_many(part))
            } else {
                filled.free(0..all / 2);
                let window = whole(|| filled.compact());
                filled.verify(corpus);
                window
            }
        };
        filled.free(0..all);
        window
    }
}

impl<S, F> Subject for Of<S, F>
where
    S: Store + Sync,
    S::Key: Send,
    F: Fn() -> S,
{
    fn measure(&mut self, row: Row, corpus: &Corpus, length: Duration) -> Window {
        match row {
            Row::Grow | Row::FreeAll | Row::FreeMany | Row::Compact => self.once(row, corpus),
            Row::Two(mix, Stores::One) => {
                let store = (self.new)();
                pair::measure(mix, [&store, &store], corpus, length)
            }
            Row::Two(mix, Stores::Two) => {
                let stores = [(self.new)(), (self.new)()];
                pair::measure(mix, [&stores[0], &stores[1]], corpus, length)
            }
            Row::Copy | Row::Hot | Row::Refill | Row::Free => {
                let filled = self.filled(corpus);
                slices(length, || filled.pass(row, corpus))
            }
        }
    }

    fn run(&mut self, row: Row, corpus: &Corpus, passes: usize) -> u64 {
        let filled = self.filled(corpus);
        (0..passes)
            .map(|_| filled.pass(row, corpus).operations as u64)
            .sum()
    }

    fn verify(&self, corpus: &Corpus) {
        if let Some(filled) = &self.filled {
            filled.verify(corpus);
        }
    }
}

impl<S: Store, F> fmt::Debug for Of<S, F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let objects = self.filled.as_ref().map_or(0, |filled| filled.keys.len());
        f.debug_struct("Of").field("objects", &objects).finish()
    }
}

/// Passes until those that nobody disturbed sum up to `length`; after some time whatever there is.
pub(super) fn slices(length: Duration, mut pass: impl FnMut() -> Pass) -> Window {
    const SLICE: Duration = Duration::from_millis(1);
    const PATIENCE: u32 = 6;
    let started = Instant::now();
    let (mut counted, mut disturbed) = (nothing(), nothing());
    while counted.elapsed < length && started.elapsed() < length * PATIENCE {
        let (before, start) = (load::run_delay(), Instant::now());
        let mut slice = nothing();
        while slice.elapsed < SLICE && start.elapsed() < 4 * SLICE {
            let pass = pass();
            slice.operations += pass.operations as u64;
            slice.elapsed += pass.timed;
        }
        let wall = start.elapsed();
        let delay = delay_since(before).as_secs_f64() / wall.as_secs_f64();
        slice.delay = slice.elapsed.mul_f64(delay.min(1.0));
        add(
            if delay > TOLERATED_LOAD {
                &mut disturbed
            } else {
                &mut counted
            },
            slice,
        );
    }
    if counted.operations == 0 {
        return disturbed;
    }
    counted
}

/// A window of passes that together go once through `0..all`. Those that nobody disturbed count, if there are any.
fn parts(all: usize, mut pass: impl FnMut(Range<usize>) -> Pass) -> Window {
    let (mut counted, mut disturbed) = (nothing(), nothing());
    for start in (0..all).step_by(PASS) {
        let part = whole(|| pass(start..(start + PASS).min(all)));
        add(
            if part.is_disturbed() {
                &mut disturbed
            } else {
                &mut counted
            },
            part,
        );
    }
    if counted.operations == 0 {
        return disturbed;
    }
    counted
}

/// A window of one pass.
fn whole(pass: impl FnOnce() -> Pass) -> Window {
    let before = load::run_delay();
    let pass = pass();
    Window {
        operations: pass.operations as u64,
        elapsed: pass.timed,
        delay: delay_since(before),
    }
}

/// How long this thread could have run and did not get a core.
pub(super) fn delay_since(before: Option<Duration>) -> Duration {
    load::run_delay()
        .zip(before)
        .map_or(Duration::ZERO, |(after, before)| after - before)
}

fn nothing() -> Window {
    Window {
        operations: 0,
        elapsed: Duration::ZERO,
        delay: Duration::ZERO,
    }
}

fn add(sum: &mut Window, slice: Window) {
    sum.operations += slice.operations;
    sum.elapsed += slice.elapsed;
    sum.delay += slice.delay;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::contender::Contender;

    #[test]
    fn every_contender_shows_something_in_every_row_of_its_own() {
        let corpus = Corpus::of_length(300, 2000);
        for contender in Contender::ALL {
            let mut subject = contender.subject();
            for row in Row::ALL.into_iter().filter(|row| row.is_for(contender)) {
                let window = subject.measure(row, &corpus, Duration::from_millis(2));
                assert!(window.operations > 0, "{row:?} {contender:?}");
                assert!(window.elapsed > Duration::ZERO, "{row:?} {contender:?}");
            }
            subject.verify(&corpus);
        }
    }

    #[test]
    fn passes_are_as_many_as_asked_for() {
        let corpus = Corpus::of_length(300, 2000);
        let mut subject = Contender::Zslock.subject();
        for row in [Row::Copy, Row::Refill, Row::Free] {
            assert_eq!(subject.run(row, &corpus, 3), 3 * PASS as u64);
        }
        subject.verify(&corpus);
    }

    #[test]
    #[should_panic(expected = "changed an object")]
    fn a_changed_object_is_found() {
        let corpus = Corpus::of_length(300, 2000);
        let mut filled = Filled::new(zsalloc::Pool::new(), &corpus);
        let key = filled.keys[5].0.as_mut().unwrap();
        filled.store.write(key)[7] ^= 1;
        filled.verify(&corpus);
    }
}
