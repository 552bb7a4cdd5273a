//! Below the locks: the atomic operations alone, and nothing at all.

use std::sync::atomic::AtomicU32;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering::{Acquire, Relaxed, Release};

use crate::contender::Contender;

/// One reader, as in the word of zslock.
const ONE_READER: u32 = 1 << 6;
/// A writer.
const WRITER: u32 = (1 << 31) | 1;

/// The atomic operations that every counting lock needs, without looking at what they return: `fetch_add` and
/// `fetch_sub` for a read, a load, a compare-exchange and `fetch_sub` for a write. Does not exclude anybody.
#[derive(Debug)]
pub struct BareAtomics {
    word: AtomicU32,
    value: AtomicU64,
}

impl Contender for BareAtomics {
    const NAME: &'static str = "bare atomics";
    const BYTES: usize = size_of::<AtomicU32>();
    const EXCLUDES: bool = false;

    fn new() -> Self {
        Self {
            word: AtomicU32::new(0),
            value: AtomicU64::new(0),
        }
    }

    #[inline]
    fn read<R>(&self, section: impl FnOnce(u64) -> R) -> R {
        self.word.fetch_add(ONE_READER, Acquire);
        let result = section(self.value.load(Relaxed));
        self.word.fetch_sub(ONE_READER, Release);
        result
    }

    #[inline]
    fn write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> R {
        self.try_write(section).expect("uncontended rows only")
    }

    #[inline]
    fn try_write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> Option<R> {
        let word = self.word.load(Relaxed);
        if word != 0 {
            return None;
        }
        self.word
            .compare_exchange(word, WRITER, Acquire, Relaxed)
            .ok()?;
        let result = update(&self.value, section);
        self.word.fetch_sub(WRITER, Release);
        Some(result)
    }
}

/// The uncontended paths of a plain zslock written out by hand over the same word: what a build without the feature
/// `debug-lockdep` may cost, and not one instruction more. Its slow paths only give up, so it is for one thread.
// In lock_api's order, word first: the other way round the compiler needs an instruction more to address the word.
#[repr(C)]
#[derive(Debug)]
pub struct HandWritten {
    word: AtomicU32,
    value: AtomicU64,
}

impl HandWritten {
    #[inline]
    fn finish_write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> R {
        let result = update(&self.value, section);
        if self.word.fetch_sub(WRITER, Release) != WRITER {
            contended();
        }
        result
    }
}

#[cold]
#[inline(never)]
fn contended() {
    panic!("the hand-written paths are for one thread");
}

impl Contender for HandWritten {
    const NAME: &'static str = "hand-written";
    const BYTES: usize = size_of::<AtomicU32>();
    const EXCLUDES: bool = false;

    fn new() -> Self {
        Self {
            word: AtomicU32::new(0),
            value: AtomicU64::new(0),
        }
    }

    #[inline]
    fn read<R>(&self, section: impl FnOnce(u64) -> R) -> R {
        let word = self.word.fetch_add(ONE_READER, Acquire);
        if word.wrapping_add(ONE_READER).cast_signed() < 0 {
            contended();
        }
        let result = section(self.value.load(Relaxed));
        // No reader is left and some flag is set: somebody waits.
        let left = self
            .word
            .fetch_sub(ONE_READER, Release)
            .wrapping_sub(ONE_READER);
        if left.wrapping_sub(1) < ONE_READER - 1 {
            contended();
        }
        result
    }

    #[inline]
    fn write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> R {
        let taken = self.word.compare_exchange_weak(0, WRITER, Acquire, Relaxed);
        if taken.is_err() {
            contended();
        }
        self.finish_write(section)
    }

    #[inline]
    fn try_write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> Option<R> {
        // Readers, the upgradable reader, a writer.
        const HELD: u32 = !(ONE_READER - 1) | 1 << 4 | 1;
        if self.word.load(Relaxed) & HELD != 0 {
            return None;
        }
        let taken = self.word.compare_exchange_weak(0, WRITER, Acquire, Relaxed);
        if taken.is_err() {
            contended();
        }
        Some(self.finish_write(section))
    }
}

/// A number without a lock: the loop that instruction counts subtract. `ADMITS` is whether its `try_write` succeeds.
#[derive(Debug)]
pub struct Unlocked<const ADMITS: bool>(AtomicU64);

impl<const ADMITS: bool> Contender for Unlocked<ADMITS> {
    const NAME: &'static str = "nothing";
    const BYTES: usize = 0;
    const EXCLUDES: bool = false;

    fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    #[inline]
    fn read<R>(&self, section: impl FnOnce(u64) -> R) -> R {
        section(self.0.load(Relaxed))
    }

    #[inline]
    fn write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> R {
        update(&self.0, section)
    }

    #[inline]
    fn try_write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> Option<R> {
        ADMITS.then(|| update(&self.0, section))
    }
}

/// Not atomic as a whole: whoever calls this is alone.
#[inline]
fn update<R>(value: &AtomicU64, section: impl FnOnce(&mut u64) -> R) -> R {
    let mut copy = value.load(Relaxed);
    let result = section(&mut copy);
    value.store(copy, Relaxed);
    result
}
