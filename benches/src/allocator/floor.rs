//! Below the pools: a lock's two atomic operations, alone and around each read of malloc's boxes.

use std::hint::black_box;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::{Acquire, Release};
use std::time::{Duration, Instant};

use zsalloc::AllocError;
use zsalloc::testbed::Store;

use super::corpus::Corpus;
use super::row::Row;
use super::subject::{PASS, Pass, Subject, slices};
use crate::validator::launch::Window;

/// The least that a counting lock can do, on a cache line of its own; `PINNED`: within a pin for each of the two
/// operations, which is the least that a pool can do whose headers are reclaimed by epochs and whose lock may touch its word
/// late.
#[derive(Debug, Default)]
#[repr(align(128))]
pub struct Floor<const PINNED: bool>(AtomicU32);

impl<const PINNED: bool> Floor<PINNED> {
    fn pass(&self) -> Pass {
        const TIMES: usize = 16 * PASS;
        let start = Instant::now();
        for _ in 0..TIMES {
            let word = black_box(&self.0);
            {
                let _pin = PINNED.then(crossbeam_epoch::pin);
                word.fetch_add(1, Acquire);
            }
            black_box(word);
            let _pin = PINNED.then(crossbeam_epoch::pin);
            word.fetch_sub(1, Release);
        }
        Pass {
            operations: TIMES,
            timed: start.elapsed(),
        }
    }
}

impl<const PINNED: bool> Subject for Floor<PINNED> {
    fn measure(&mut self, _: Row, _: &Corpus, length: Duration) -> Window {
        slices(length, || self.pass())
    }

    fn run(&mut self, _: Row, _: &Corpus, passes: usize) -> u64 {
        (0..passes).map(|_| self.pass().operations as u64).sum()
    }

    fn verify(&self, _: &Corpus) {}
}

/// Boxes whose readers count themselves in and out, in the word of the 64 KiB that a box begins in: as if boxes had the
/// locks of a pool's zspages, found without a look-up. It excludes nobody; it shows what atomic operations do to a
/// processor that would otherwise begin with the next object while the last one is still on its way, and what it costs two
/// threads to write the same words.
#[derive(Debug)]
pub struct LockedBoxes(Box<[Word; 1024]>);

/// On a cache line of its own, as a zspage's lock is.
#[derive(Debug, Default)]
#[repr(align(128))]
struct Word(AtomicU32);

impl LockedBoxes {
    /// Without readers.
    #[must_use]
    pub fn new() -> Self {
        Self(Box::new([const { Word(AtomicU32::new(0)) }; 1024]))
    }
}

impl Default for LockedBoxes {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for LockedBoxes {
    type Key = Box<[u8]>;

    fn put(&self, bytes: &[u8]) -> Result<Box<[u8]>, AllocError> {
        Ok(bytes.into())
    }

    #[inline]
    fn get<R>(&self, key: &Box<[u8]>, read: impl FnOnce(&[u8]) -> R) -> R {
        let Word(word) = &self.0[(key.as_ptr().addr() >> 16) % 1024];
        word.fetch_add(1, Acquire);
        let result = read(key);
        word.fetch_sub(1, Release);
        result
    }

    fn del(&self, key: Box<[u8]>) {
        drop(key);
    }
}
