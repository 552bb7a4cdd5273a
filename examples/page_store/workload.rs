//! What the threads do to a store: load it, churn, remove three pages of four, verify.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;

use examples::corpus::{CorpusError, PAGE, Page, Pages};
use examples::rng::Rng;
use indicatif::ProgressBar;
use parking_lot::Mutex;

use crate::codec::{self, Codec};
use crate::error::Error;
use crate::store::{Store, StoreError};

/// What each page must be: its checksum, and whether it is stored. Every number belongs to one thread,
/// which alone puts and removes it; all threads read.
pub(crate) struct Ledger {
    checksums: Vec<AtomicU64>,
    present: Vec<AtomicBool>,
    /// Numbers in use.
    len: usize,
}

/// Relaxed everywhere: a line of the ledger is written by one thread; others read it only after they
/// found the page in the store, whose lock orders them, or after all threads were joined.
const ORDER: Ordering = Ordering::Relaxed;

impl Ledger {
    /// A ledger for `pages` pages, all of its memory in use from the start.
    pub(crate) fn new(pages: usize) -> Self {
        Ledger {
            checksums: (0..pages).map(|_| AtomicU64::new(1)).collect(),
            present: (0..pages).map(|_| AtomicBool::new(false)).collect(),
            len: 0,
        }
    }

    fn is(&self, number: usize, page: &Page) -> bool {
        self.checksums[number].load(ORDER) == codec::checksum(page)
    }
}

/// What was done, by one thread or all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) puts: u64,
    pub(crate) gets: u64,
    pub(crate) removes: u64,
    pub(crate) wrong: u64,
    pub(crate) refused: u64,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.puts += other.puts;
        self.gets += other.gets;
        self.removes += other.removes;
        self.wrong += other.wrong;
        self.refused += other.refused;
    }
}

/// The threads and what they work on.
pub(crate) struct Crew<'a, S> {
    pub(crate) store: &'a S,
    /// One for each thread.
    pub(crate) codecs: &'a mut [Codec],
    pub(crate) bar: &'a ProgressBar,
    pub(crate) seed: u64,
}

/// One thread of a phase.
struct Worker<'a, S> {
    store: &'a S,
    codec: &'a mut Codec,
    bar: &'a ProgressBar,
    ledger: &'a Ledger,
    rng: Rng,
    seat: usize,
    seats: usize,
    tally: Tally,
}

impl<S: Store> Crew<'_, S> {
    /// Stores the input's pages until it ends or the store is full.
    pub(crate) fn load(&mut self, pages: &mut Pages, ledger: &mut Ledger) -> Result<Tally, Error> {
        let source = Mutex::new((0, pages));
        let tally = self.work(ledger, 0, |mut worker| worker.load(&source))?;
        ledger.len = source.into_inner().0;
        Ok(tally)
    }

    /// Reads any page, and replaces pages by others; `rounds` times as often as there are pages.
    pub(crate) fn churn(&mut self, ledger: &Ledger, rounds: usize) -> Result<Tally, Error> {
        self.work(ledger, 1, |mut worker| worker.churn(rounds))
    }

    /// Removes three pages of four, at random.
    pub(crate) fn remove(&mut self, ledger: &Ledger) -> Result<Tally, Error> {
        self.work(ledger, 2, |mut worker| worker.remove())
    }

    /// Reads every page that there is, and looks for those that must be gone.
    pub(crate) fn verify(&mut self, ledger: &Ledger) -> Result<Tally, Error> {
        self.work(ledger, 3, |mut worker| worker.verify())
    }

    fn work(
        &mut self,
        ledger: &Ledger,
        phase: u64,
        work: impl Fn(Worker<'_, S>) -> Result<Tally, Error> + Sync,
    ) -> Result<Tally, Error> {
        let (store, bar, seats) = (self.store, self.bar, self.codecs.len());
        let seed = self.seed.wrapping_add(phase << 32);
        let work = &work;
        thread::scope(|scope| {
            let spawned = self.codecs.iter_mut().enumerate().map(|(seat, codec)| {
                let rng = Rng::for_lane(seed, seat);
                let tally = Tally::default();
                let worker = Worker {
                    store,
                    codec,
                    bar,
                    ledger,
                    rng,
                    seat,
                    seats,
                    tally,
                };
                scope.spawn(move || work(worker))
            });
            let threads: Vec<_> = spawned.collect();
            let mut sum = Tally::default();
            for thread in threads {
                let done = thread
                    .join()
                    .unwrap_or_else(|panic| std::panic::resume_unwind(panic));
                sum.add(done?);
            }
            Ok(sum)
        })
    }
}

/// Pages out of the store at a time, for each thread that churns.
const PARKED: usize = 32;

impl<S: Store> Worker<'_, S> {
    fn load(&mut self, source: &Mutex<(usize, &mut Pages)>) -> Result<Tally, Error> {
        while self.tally.refused == 0 {
            let (number, page) = {
                let (next, pages) = &mut *source.lock();
                let read: Option<Result<Page, CorpusError>> = pages.next();
                let Some(page) = read.transpose()? else {
                    break;
                };
                *next += 1;
                (*next - 1, page)
            };
            self.ledger.checksums[number].store(codec::checksum(&page), ORDER);
            self.put(number, &page)?;
        }
        Ok(self.tally)
    }

    fn churn(&mut self, rounds: usize) -> Result<Tally, Error> {
        let mut parked: Vec<(usize, Page)> = Vec::with_capacity(PARKED + 1);
        let mut page = [0; PAGE];
        for _ in 0..self.own().count() * rounds {
            let any = self.rng.index(self.ledger.len);
            self.get(any, &mut page)?;
            let mine = self.random_own();
            if self.get(mine, &mut page)? {
                self.take(mine);
                parked.push((mine, page));
            }
            if parked.len() > PARKED {
                let (number, page) = parked.swap_remove(self.rng.index(parked.len()));
                self.put(number, &page)?;
            }
        }
        for (number, page) in parked {
            self.put(number, &page)?;
        }
        Ok(self.tally)
    }

    fn remove(&mut self) -> Result<Tally, Error> {
        for number in self.own() {
            if self.rng.below(4) > 0 && self.ledger.present[number].load(ORDER) {
                self.take(number);
            }
            self.bar.inc(1);
        }
        Ok(self.tally)
    }

    fn verify(&mut self) -> Result<Tally, Error> {
        let mut page = [0; PAGE];
        for number in self.own() {
            self.get(number, &mut page)?;
        }
        Ok(self.tally)
    }

    /// The numbers that belong to this thread: one of so many.
    fn own(&self) -> impl Iterator<Item = usize> + use<S> {
        (self.seat..self.ledger.len).step_by(self.seats)
    }

    fn random_own(&mut self) -> usize {
        let own = self.own().count();
        self.seat + self.seats * self.rng.index(own)
    }

    fn is_own(&self, number: usize) -> bool {
        number % self.seats == self.seat
    }

    fn put(&mut self, number: usize, page: &Page) -> Result<(), Error> {
        match self.store.put(self.codec, number as u64, page) {
            Ok(()) => {
                self.ledger.present[number].store(true, ORDER);
                self.tally.puts += 1;
            }
            Err(StoreError::Full { .. }) => self.tally.refused += 1,
            Err(error) => return Err(error.into()),
        }
        self.bar.inc(1);
        Ok(())
    }

    /// Reads a page and checks it; whether it was there.
    fn get(&mut self, number: usize, page: &mut Page) -> Result<bool, Error> {
        let found = match self.store.get(self.codec, number as u64, page) {
            Ok(found) => found,
            Err(StoreError::Damaged { .. }) => {
                self.tally.wrong += 1;
                return Ok(false);
            }
            Err(error) => return Err(error.into()),
        };
        self.tally.gets += 1;
        // Only the owner knows whether it must be there.
        let expected = !self.is_own(number) || found == self.ledger.present[number].load(ORDER);
        if !expected || found && !self.ledger.is(number, page) {
            self.tally.wrong += 1;
        }
        self.bar.inc(1);
        Ok(found)
    }

    /// Removes a page of this thread that is there.
    fn take(&mut self, number: usize) {
        self.ledger.present[number].store(false, ORDER);
        self.tally.removes += 1;
        if !self.store.remove(number as u64) {
            self.tally.wrong += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Compression;
    use crate::store::{HeapStore, PageStore, Stats};

    fn file(pages: u64) -> std::path::PathBuf {
        let path = std::env::temp_dir().join(format!("page_store-{pages}-{}", std::process::id()));
        let bytes: Vec<u8> = (0..pages).flat_map(crate::codec::tests::noise).collect();
        std::fs::write(&path, bytes).unwrap();
        path
    }

    fn run<S: Store>(store: &S, pages: u64) -> (Tally, [Tally; 3]) {
        let path = file(pages);
        let mut codecs: Vec<Codec> = (0..3).map(|_| Codec::new(Compression::Lz4)).collect();
        let (bar, mut ledger) = (ProgressBar::hidden(), Ledger::new(pages as usize));
        let mut crew = Crew {
            store,
            codecs: &mut codecs,
            bar: &bar,
            seed: 1,
        };
        let mut input = Pages::of_the_user(std::slice::from_ref(&path), pages).unwrap();
        let loaded = crew.load(&mut input, &mut ledger).unwrap();
        std::fs::remove_file(path).unwrap();
        let rest = [
            crew.churn(&ledger, 2),
            crew.remove(&ledger),
            crew.verify(&ledger),
        ];
        (loaded, rest.map(Result::unwrap))
    }

    #[test]
    fn both_stores_keep_every_page_through_all_phases() {
        let (pool, heap) = (PageStore::new(1000), HeapStore::new());
        for (loaded, [churned, removed, verified]) in [run(&pool, 300), run(&heap, 301)] {
            assert!(loaded.puts >= 300 && loaded.refused == 0);
            assert!(churned.gets > 1000 && churned.removes == churned.puts);
            assert!((150..290).contains(&removed.removes));
            assert!(verified.gets >= 300);
            assert_eq!(
                loaded.wrong + churned.wrong + removed.wrong + verified.wrong,
                0
            );
        }
    }

    #[test]
    fn a_full_store_loses_nothing_that_it_took() {
        let (loaded, [_, _, verified]) = run(&PageStore::new(100), 302);
        assert!(loaded.refused > 0 && loaded.puts == 100, "{loaded:?}");
        assert_eq!(verified.wrong, 0);
    }

    /// Forgets every tenth page, and mixes up two others.
    struct Broken(HeapStore);

    impl Store for Broken {
        fn put(&self, codec: &mut Codec, number: u64, page: &Page) -> Result<(), StoreError> {
            let number = if number == 1 { 2 } else { number };
            if number.is_multiple_of(10) {
                Ok(())
            } else {
                self.0.put(codec, number, page)
            }
        }
        fn get(&self, codec: &mut Codec, number: u64, page: &mut Page) -> Result<bool, StoreError> {
            self.0
                .get(codec, if number == 1 { 2 } else { number }, page)
        }
        fn remove(&self, number: u64) -> bool {
            self.0.remove(number)
        }
        fn stats(&self) -> Stats {
            self.0.stats()
        }
    }

    #[test]
    fn a_store_that_loses_pages_is_found_out() {
        let (_, [churned, ..]) = run(&Broken(HeapStore::new()), 303);
        assert!(churned.wrong > 0);
    }
}
