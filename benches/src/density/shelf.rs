//! The objects of a store and what is done with them.
//!
//! A shelf is as large as it will ever be, and all of it was written, before the store exists: so the memory of its keys
//! belongs to the baseline.

use std::hint::black_box;
use std::thread;

use zsalloc::testbed::Store;

use super::blobs::Blobs;
use super::scenario::TURNS;
use crate::work::Dice;

/// The threads of a churn.
const THREADS: usize = 2;

/// A place for an object.
struct Place<K> {
    key: Option<K>,
    /// Which blob it is.
    blob: u32,
}

/// Places, some of them with an object in a store.
pub struct Shelf<'a, K> {
    blobs: &'a Blobs,
    places: Vec<Place<K>>,
    /// The places in the order in which they are emptied.
    order: Vec<u32>,
    dice: Dice,
}

impl<'a, K> Shelf<'a, K> {
    /// One empty place a blob.
    #[must_use]
    pub fn new(blobs: &'a Blobs, seed: u64) -> Self {
        Self::with_places(blobs, blobs.len(), seed)
    }

    /// So many empty places.
    #[must_use]
    pub fn with_places(blobs: &'a Blobs, places: usize, seed: u64) -> Self {
        let mut dice = Dice::new(seed);
        let mut order: Vec<u32> = (0..places as u32).collect();
        dice.shuffle(&mut order);
        // Numbers that are not zero, so that every page is written.
        let places = order.iter().map(|&blob| Place { key: None, blob });
        Self {
            blobs,
            places: places.collect(),
            order,
            dice,
        }
    }

    /// The objects and their bytes.
    #[must_use]
    pub fn live(&self) -> (u64, u64) {
        let stored = self.places.iter().filter(|place| place.key.is_some());
        let sizes = stored.map(|place| self.blobs.blob(place.blob as usize).len() as u64);
        sizes.fold((0, 0), |(objects, bytes), size| (objects + 1, bytes + size))
    }
}

impl<K: Send> Shelf<'_, K> {
    /// Stores a blob in each place, one after the other, again from the first after the last.
    pub fn fill<S: Store<Key = K>>(&mut self, store: &S) {
        let numbers = (0..self.blobs.len() as u32).cycle();
        for (place, number) in self.places.iter_mut().zip(numbers) {
            place.put(store, self.blobs, number);
        }
    }

    /// Reads a byte of each cache line of all objects in random order.
    pub fn read<S: Store<Key = K>>(&self, store: &S) {
        for &number in &self.order {
            if let Some(key) = &self.places[number as usize].key {
                store.get(key, |bytes| {
                    let lines = bytes.iter().step_by(64);
                    black_box(lines.fold(0_u8, |sum, byte| sum ^ byte));
                });
            }
        }
    }

    /// Frees a part of the objects in random order: those from `from` to `to` quarters of that order.
    pub fn empty<S: Store<Key = K>>(&mut self, store: &S, (from, to): (usize, usize)) {
        let quarter = |number| self.order.len() * number / 4;
        for &number in &self.order[quarter(from)..quarter(to)] {
            self.places[number as usize].del(store);
        }
    }

    /// On two threads: first each fills its share of the places to a half, then it frees a random object and stores a
    /// random blob instead, as often as [`TURNS`] says for each of its objects. Returns how often.
    pub fn churn<S: Store<Key = K> + Sync>(&mut self, store: &S) -> u64 {
        let blobs = self.blobs;
        let share = self.places.len().div_ceil(THREADS);
        thread::scope(|scope| {
            let shares = self.places.chunks_mut(share);
            let threads: Vec<_> = shares
                .map(|places| {
                    let mut dice = Dice::new(self.dice.roll(u64::MAX >> 11));
                    scope.spawn(move || {
                        // Objects first, so that every place of the first half gets one.
                        places.sort_unstable_by_key(|place| place.key.is_none());
                        let half = places.len() / 2;
                        let (busy, _) = places.split_at_mut(half);
                        for place in busy.iter_mut().filter(|place| place.key.is_none()) {
                            place.put(store, blobs, dice.roll(blobs.len() as u64) as u32);
                        }
                        for _ in 0..half * TURNS {
                            let place = &mut busy[dice.roll(half as u64) as usize];
                            place.del(store);
                            place.put(store, blobs, dice.roll(blobs.len() as u64) as u32);
                        }
                        (half * TURNS) as u64
                    })
                })
                .collect();
            let done = threads.into_iter().map(|thread| thread.join());
            done.map(|done| done.expect("the thread did not panic"))
                .sum()
        })
    }

    /// Frees the oldest object and stores a random blob, as often as [`TURNS`] says for each place. The objects came in
    /// the order of the places. Returns how often.
    pub fn rotate<S: Store<Key = K>>(&mut self, store: &S) -> u64 {
        for _ in 0..TURNS {
            for place in &mut self.places {
                place.del(store);
                let blob = self.dice.roll(self.blobs.len() as u64) as u32;
                place.put(store, self.blobs, blob);
            }
        }
        (self.places.len() * TURNS) as u64
    }

    /// Compares every byte of every object with what was stored.
    ///
    /// # Errors
    ///
    /// In words, if one differs.
    pub fn verify<S: Store<Key = K>>(&self, store: &S) -> Result<(), String> {
        for (place, number) in self.places.iter().zip(0..) {
            let Some(key) = &place.key else { continue };
            let blob = self.blobs.blob(place.blob as usize);
            if !store.get(key, |bytes| bytes == blob) {
                return Err(format!("the store changed object {number}"));
            }
        }
        Ok(())
    }
}

impl<K> Place<K> {
    fn put<S: Store<Key = K>>(&mut self, store: &S, blobs: &Blobs, blob: u32) {
        let key = store.put(blobs.blob(blob as usize));
        self.key = Some(key.expect("there is memory"));
        self.blob = blob;
    }

    fn del<S: Store<Key = K>>(&mut self, store: &S) {
        if let Some(key) = self.key.take() {
            store.del(key);
        }
    }
}

impl<K> std::fmt::Debug for Shelf<'_, K> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Shelf({} places)", self.places.len())
    }
}

#[cfg(test)]
mod tests {
    use zsalloc::Pool;

    use super::*;
    use crate::density::blobs::tests::blobs;

    #[test]
    fn objects_come_and_go_as_it_says() {
        let (blobs, pool) = (blobs(100, 400), Pool::new());
        let mut shelf = Shelf::new(&blobs, 1);
        assert_eq!(shelf.live(), (0, 0));
        shelf.fill(&pool);
        assert_eq!(shelf.live(), (400, 40_000));
        shelf.empty(&pool, (0, 2));
        assert_eq!(shelf.live(), (200, 20_000));
        shelf.empty(&pool, (2, 3));
        assert_eq!(pool.stats().objects, 100);
        assert_eq!(shelf.churn(&pool), 2000);
        assert_eq!(shelf.live(), (200, 20_000));
        assert_eq!(pool.stats().objects, 200);
        assert_eq!(shelf.verify(&pool), Ok(()));
    }

    #[test]
    fn the_oldest_goes_first() {
        let (blobs, pool) = (blobs(100, 40), Pool::new());
        let mut shelf = Shelf::new(&blobs, 1);
        shelf.fill(&pool);
        assert_eq!(shelf.rotate(&pool), 400);
        assert_eq!(shelf.live().0, 40);
        assert_eq!(shelf.verify(&pool), Ok(()));
    }

    #[test]
    fn a_changed_byte_is_seen() {
        let (blobs, pool) = (blobs(100, 40), Pool::new());
        let mut shelf = Shelf::new(&blobs, 1);
        shelf.fill(&pool);
        let key = shelf.places[30].key.as_mut().unwrap();
        pool.write(key)[99] ^= 1;
        assert!(shelf.verify(&pool).unwrap_err().contains("30"));
    }
}
