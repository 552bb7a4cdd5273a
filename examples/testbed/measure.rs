//! What is done to every store, in a process of its own, and what is measured.

use std::fmt;
use std::time::Instant;

use examples::memory::process_bytes;
use examples::rng::Rng;
use zsalloc::testbed::{Store, exercise};

/// Blobs stored.
pub(crate) const BLOBS: usize = 16_384;
/// Reads in a stretch that is timed, and stretches; the fastest counts.
const READS: usize = 512;
const STRETCHES: usize = if cfg!(test) { 5 } else { 5000 };

/// The figures of one store. Sizes are resident bytes beyond those before the first blob, keys included.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) struct Figures {
    /// Bytes of the blobs when all are stored, and when three of four are deleted.
    pub(crate) bytes: u64,
    pub(crate) left_bytes: u64,
    pub(crate) stored: u64,
    pub(crate) deleted: u64,
    pub(crate) compacted: u64,
    /// What `compact` said that it gave back.
    pub(crate) given_back: u64,
    /// A read of a random blob's first byte, in thousandths of a nanosecond: the fastest stretch.
    pub(crate) read_ps: u64,
    /// Blobs that were not what had been put.
    pub(crate) wrong: u64,
}

impl Figures {
    /// Reads what `Display` writes.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let numbers: Option<Vec<u64>> = text.split_whitespace().map(|n| n.parse().ok()).collect();
        let numbers: [u64; 8] = numbers?.try_into().ok()?;
        let [
            bytes,
            left_bytes,
            stored,
            deleted,
            compacted,
            given_back,
            read_ps,
            wrong,
        ] = numbers;
        Some(Figures {
            bytes,
            left_bytes,
            stored,
            deleted,
            compacted,
            given_back,
            read_ps,
            wrong,
        })
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures {
            bytes,
            left_bytes,
            stored,
            deleted,
            compacted,
            given_back,
            read_ps,
            wrong,
        } = self;
        writeln!(
            f,
            "{bytes} {left_bytes} {stored} {deleted} {compacted} {given_back} {read_ps} {wrong}"
        )
    }
}

/// The blob of this number: 100 to 4096 bytes.
fn blob(number: usize, into: &mut Vec<u8>) {
    let mut rng = Rng::for_lane(7, number);
    let len = 100 + rng.index(3997);
    into.clear();
    into.extend((0..len).map(|i| (i * 31 + number) as u8));
}

/// Puts all blobs, reads them, deletes three of four, compacts, and compares the rest.
pub(crate) fn measure<S: Store>(store: &S) -> Result<Figures, String> {
    let mut buffer = Vec::with_capacity(4096);
    let mut keys: Vec<(usize, S::Key)> = Vec::with_capacity(BLOBS);
    let before = process_bytes().unwrap_or(0);
    let growth = || process_bytes().unwrap_or(0).saturating_sub(before);
    let mut figures = Figures::default();
    for number in 0..BLOBS {
        blob(number, &mut buffer);
        let key = store.put(&buffer).map_err(|error| error.to_string())?;
        figures.bytes += buffer.len() as u64;
        keys.push((number, key));
    }
    figures.stored = growth();
    figures.read_ps = read_ps(store, &keys);

    let mut rng = Rng::for_lane(7, BLOBS);
    while keys.len() > BLOBS / 4 {
        let (_, key) = keys.swap_remove(rng.index(keys.len()));
        store.del(key);
    }
    figures.deleted = growth();
    figures.given_back = store.compact() as u64;
    figures.compacted = growth();
    for (number, key) in keys {
        blob(number, &mut buffer);
        figures.left_bytes += buffer.len() as u64;
        figures.wrong += u64::from(!store.get(&key, |bytes| bytes == buffer));
        store.del(key);
    }
    // Everything else that a store must do; at the end, as malloc keeps what is freed.
    exercise(store, 4000, 1).map_err(|fault| fault.to_string())?;
    Ok(figures)
}

/// The fastest of many short stretches: the one in which nothing else ran.
fn read_ps<S: Store>(store: &S, keys: &[(usize, S::Key)]) -> u64 {
    let mut rng = Rng::for_lane(8, 0);
    let mut fastest = u64::MAX;
    for _ in 0..STRETCHES {
        // The same few blobs in each, so that the store is timed and not the memory behind it.
        let begin = rng.index(keys.len() - 16);
        let few = &keys[begin..begin + 16];
        let start = Instant::now();
        let mut sum = 0u64;
        for turn in 0..READS {
            sum += store.get(&few[turn % 16].1, |bytes| u64::from(bytes[0]));
        }
        std::hint::black_box(sum);
        fastest = fastest.min(start.elapsed().as_nanos() as u64);
    }
    fastest * 1000 / READS as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use zsalloc::AllocError;
    use zsalloc::testbed::Boxes;

    #[test]
    fn figures_come_back_from_their_text() {
        let figures = Figures {
            bytes: 1,
            left_bytes: 2,
            stored: 3,
            deleted: 4,
            compacted: 5,
            given_back: 6,
            read_ps: 7,
            wrong: 8,
        };
        assert_eq!(Figures::parse(&figures.to_string()), Some(figures));
        assert_eq!(Figures::parse("1 2 3"), None);
        assert_eq!(Figures::parse("1 2 3 4 5 6 7 x"), None);
    }

    /// Damages blobs of one length, which is none of the lengths that `exercise` would meet early.
    struct Damages;

    impl Store for Damages {
        type Key = Box<[u8]>;
        fn put(&self, bytes: &[u8]) -> Result<Box<[u8]>, AllocError> {
            let mut blob: Box<[u8]> = bytes.into();
            // Blobs of `measure` begin with their number and go on by 31.
            if blob.len() > 100 && blob[1] == blob[0].wrapping_add(31) && blob[0] == 200 {
                blob[99] ^= 1;
            }
            Ok(blob)
        }
        fn get<R>(&self, key: &Box<[u8]>, read: impl FnOnce(&[u8]) -> R) -> R {
            read(key)
        }
        fn del(&self, key: Box<[u8]>) {
            drop(key);
        }
    }

    #[test]
    fn blobs_that_changed_are_counted() {
        assert_eq!(measure(&Boxes).unwrap().wrong, 0);
        assert!(measure(&Damages).unwrap().wrong > 0);
    }
}
