//! A store of compressed pages on a zsalloc pool, and the same on the heap for comparison.

use std::collections::HashMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use examples::corpus::{PAGE, Page};
use parking_lot::{Mutex, MutexGuard};
use zsalloc::{AllocError, Handle, Pool};

use crate::codec::{Codec, Packed};

/// Pages by number. Every thread brings a codec of its own.
pub(crate) trait Store: Sync {
    /// Stores `page`, in the place of an earlier one of that number.
    fn put(&self, codec: &mut Codec, number: u64, page: &Page) -> Result<(), StoreError>;
    /// Copies a page out; false if there is none of that number.
    fn get(&self, codec: &mut Codec, number: u64, page: &mut Page) -> Result<bool, StoreError>;
    /// Forgets a page; false if there was none of that number.
    fn remove(&self, number: u64) -> bool;
    /// What there is to tell at the end.
    fn stats(&self) -> Stats;
}

/// Why a page could not be stored or read. The store is as it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StoreError {
    /// The limit is reached, and compaction did not help.
    Full { pages: usize, max_pages: usize },
    /// The system has no memory.
    OutOfMemory,
    /// What is stored is not a page.
    Damaged { number: u64 },
}

impl fmt::Display for StoreError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { pages, max_pages } => write!(
                f,
                "full: {pages} of {max_pages} pages in use, none to compact; remove pages or raise the limit"
            ),
            Self::OutOfMemory => f.write_str("the system is out of memory"),
            Self::Damaged { number } => write!(f, "page {number} is damaged in the store"),
        }
    }
}

/// Counts of what is stored and what was done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Stats {
    pub(crate) stored: u64,
    pub(crate) same_filled: u64,
    pub(crate) raw: u64,
    /// Bytes of the objects; a same-filled page has none.
    pub(crate) bytes: u64,
    pub(crate) compactions: u64,
    pub(crate) pages_gained: u64,
    /// Bytes of the pool's pages, and of its metadata.
    pub(crate) pool_bytes: u64,
    pub(crate) metadata_bytes: u64,
}

impl Stats {
    /// Counts a page with the length of its object, or without one.
    fn add(&mut self, object: Option<usize>) {
        self.stored += 1;
        match object {
            None => self.same_filled += 1,
            Some(len) => {
                self.raw += u64::from(len == PAGE);
                self.bytes += len as u64;
            }
        }
    }
}

/// How many locks share the numbers: enough that a few threads seldom meet.
const SHARDS: usize = 64;

/// A map from numbers to `T` under many locks.
struct Shards<T>([Mutex<HashMap<u64, T>>; SHARDS]);

impl<T> Shards<T> {
    fn new() -> Self {
        Shards(std::array::from_fn(|_| Mutex::new(HashMap::new())))
    }

    fn of(&self, number: u64) -> MutexGuard<'_, HashMap<u64, T>> {
        self.0[number as usize % SHARDS].lock()
    }

    fn for_each(&self, mut visit: impl FnMut(&T)) {
        for shard in &self.0 {
            shard.lock().values().for_each(&mut visit);
        }
    }
}

/// The store on a pool.
pub(crate) struct PageStore {
    pool: Pool,
    entries: Shards<Entry>,
    compacting: AtomicBool,
    removals: AtomicU64,
    compactions: AtomicU64,
    pages_gained: AtomicU64,
}

/// Where a page is.
enum Entry {
    /// Nowhere: it repeats this word.
    Same(u64),
    /// In the pool, raw if the object is a whole page.
    Object(Handle),
}

/// So many removals between two looks at whether compaction pays; the look is cheap, but not free.
const LOOK_EVERY: u64 = 256;
/// Compaction pays when it gives back at least this part of the pool: a sixteenth.
const PAYS: usize = 16;

impl PageStore {
    /// A store that holds at most `max_pages` pages of memory.
    pub(crate) fn new(max_pages: usize) -> Self {
        let pool = Pool::builder().max_pages(max_pages).build();
        PageStore {
            // The default is valid, and a process builds a handful of pools.
            pool: pool.expect("a pool of the default page size can be built"),
            entries: Shards::new(),
            compacting: AtomicBool::new(false),
            removals: AtomicU64::new(0),
            compactions: AtomicU64::new(0),
            pages_gained: AtomicU64::new(0),
        }
    }

    /// An object of these bytes. At the limit whatever compaction can gain is tried first.
    fn insert(&self, bytes: &[u8]) -> Result<Handle, StoreError> {
        let mut stored = self.pool.insert(bytes);
        if matches!(stored, Err(AllocError::Limit { .. })) && self.pool.freeable() > 0 {
            self.compact();
            stored = self.pool.insert(bytes);
        }
        stored.map_err(|error| match error {
            AllocError::Limit { max_pages } => StoreError::Full {
                pages: self.pool.resident_pages(),
                max_pages,
            },
            _ => StoreError::OutOfMemory,
        })
    }

    /// Frees what an entry held. Not under the lock of a shard: the last object of a zspage takes its
    /// pages along.
    fn release(&self, entry: Option<Entry>) -> bool {
        let was_there = entry.is_some();
        if let Some(Entry::Object(handle)) = entry {
            self.pool.free(handle);
        }
        was_there
    }

    /// Compacts when that gives back a good part of the pool.
    fn compact_if_it_pays(&self) {
        if self.pool.freeable() * PAYS < self.pool.resident_pages().max(PAYS) {
            return;
        }
        // One thread is enough; the others go on with their work.
        // Acquire pairs with the Release below: whoever compacts next sees what this one counted.
        if !self.compacting.swap(true, Ordering::Acquire) {
            self.compact();
            // Release: pairs with the Acquire above.
            self.compacting.store(false, Ordering::Release);
        }
    }

    fn compact(&self) {
        let report = self.pool.compact();
        // Relaxed: figures for the end, read when all threads have been joined.
        self.compactions.fetch_add(1, Ordering::Relaxed);
        self.pages_gained
            .fetch_add(report.pages_freed as u64, Ordering::Relaxed);
    }
}

impl Store for PageStore {
    fn put(&self, codec: &mut Codec, number: u64, page: &Page) -> Result<(), StoreError> {
        let entry = match codec.pack(page) {
            Packed::Same(word) => Entry::Same(word),
            Packed::Bytes(bytes) => Entry::Object(self.insert(bytes)?),
        };
        let old = self.entries.of(number).insert(number, entry);
        self.release(old);
        Ok(())
    }

    fn get(&self, codec: &mut Codec, number: u64, page: &mut Page) -> Result<bool, StoreError> {
        let shard = self.entries.of(number);
        // The page is decompressed straight from the pool: the map is a slice of the zspage.
        let intact = match shard.get(&number) {
            None => return Ok(false),
            Some(Entry::Same(word)) => codec.unpack(Packed::Same(*word), page),
            Some(Entry::Object(handle)) => {
                codec.unpack(Packed::Bytes(&self.pool.read(handle)), page)
            }
        };
        if intact {
            Ok(true)
        } else {
            Err(StoreError::Damaged { number })
        }
    }

    fn remove(&self, number: u64) -> bool {
        let old = self.entries.of(number).remove(&number);
        let was_there = self.release(old);
        // Relaxed: one of so many must look, whichever it is.
        if self.removals.fetch_add(1, Ordering::Relaxed) % LOOK_EVERY == LOOK_EVERY - 1 {
            self.compact_if_it_pays();
        }
        was_there
    }

    fn stats(&self) -> Stats {
        let pool = self.pool.stats();
        let mut stats = Stats {
            // Relaxed: see `compact`.
            compactions: self.compactions.load(Ordering::Relaxed),
            pages_gained: self.pages_gained.load(Ordering::Relaxed),
            pool_bytes: (pool.resident_pages * PAGE) as u64,
            metadata_bytes: pool.metadata_bytes as u64,
            ..Stats::default()
        };
        self.entries.for_each(|entry| match entry {
            Entry::Same(_) => stats.add(None),
            Entry::Object(handle) => stats.add(Some(self.pool.len(handle))),
        });
        stats
    }
}

/// The same pages in a map of vectors, each on the heap.
pub(crate) struct HeapStore(Shards<Vec<u8>>);

impl HeapStore {
    pub(crate) fn new() -> Self {
        HeapStore(Shards::new())
    }
}

impl Store for HeapStore {
    fn put(&self, codec: &mut Codec, number: u64, page: &Page) -> Result<(), StoreError> {
        let bytes = match codec.pack(page) {
            // A word is shorter than any compressed page, so it needs no mark.
            Packed::Same(word) => word.to_ne_bytes().to_vec(),
            Packed::Bytes(bytes) => bytes.to_vec(),
        };
        let old = self.0.of(number).insert(number, bytes);
        drop(old);
        Ok(())
    }

    fn get(&self, codec: &mut Codec, number: u64, page: &mut Page) -> Result<bool, StoreError> {
        let shard = self.0.of(number);
        let Some(bytes) = shard.get(&number) else {
            return Ok(false);
        };
        let packed = match <[u8; 8]>::try_from(bytes.as_slice()) {
            Ok(word) => Packed::Same(u64::from_ne_bytes(word)),
            Err(_) => Packed::Bytes(bytes),
        };
        if codec.unpack(packed, page) {
            Ok(true)
        } else {
            Err(StoreError::Damaged { number })
        }
    }

    fn remove(&self, number: u64) -> bool {
        let old = self.0.of(number).remove(&number);
        old.is_some()
    }

    fn stats(&self) -> Stats {
        let mut stats = Stats::default();
        self.0
            .for_each(|bytes| stats.add((bytes.len() != 8).then_some(bytes.len())));
        stats
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::Compression;
    use crate::codec::tests::{noise, text};

    fn codec() -> Codec {
        Codec::new(Compression::Lz4)
    }

    fn both() -> [Box<dyn Store>; 2] {
        [Box::new(PageStore::new(1000)), Box::new(HeapStore::new())]
    }

    #[test]
    fn pages_come_back_until_they_are_replaced_or_removed() {
        for store in both() {
            let (mut codec, mut page) = (codec(), [0; PAGE]);
            let pages = [[9; PAGE], text(1), noise(1)];
            for (number, page) in (0..).zip(&pages) {
                store.put(&mut codec, number, page).unwrap();
            }
            for (number, expected) in (0..).zip(&pages) {
                assert_eq!(store.get(&mut codec, number, &mut page), Ok(true));
                assert_eq!(page, *expected);
            }
            let stats = store.stats();
            assert_eq!((stats.stored, stats.same_filled, stats.raw), (3, 1, 1));
            assert!((PAGE..PAGE + 200).contains(&(stats.bytes as usize)));

            store.put(&mut codec, 2, &text(2)).unwrap();
            assert_eq!(store.get(&mut codec, 2, &mut page), Ok(true));
            assert_eq!(page, text(2));
            assert!(store.remove(2) && !store.remove(2));
            assert_eq!(store.get(&mut codec, 2, &mut page), Ok(false));
            assert_eq!(store.stats().stored, 2);
        }
    }

    #[test]
    fn a_full_store_refuses_keeps_what_it_has_and_takes_more_after_removals() {
        let store = PageStore::new(16);
        let (mut codec, mut page) = (codec(), [0; PAGE]);
        let refused = (0..).find_map(|n| store.put(&mut codec, n, &noise(n)).err().map(|e| (n, e)));
        let (taken, error) = refused.unwrap();
        assert_eq!(
            (taken, error),
            (
                16,
                StoreError::Full {
                    pages: 16,
                    max_pages: 16
                }
            )
        );
        assert!(error.to_string().contains("raise the limit"));
        // A word needs no page.
        store.put(&mut codec, 100, &[1; PAGE]).unwrap();
        for number in 0..16 {
            assert_eq!(store.get(&mut codec, number, &mut page), Ok(true));
            assert_eq!(page, noise(number));
        }
        assert!(store.remove(3));
        store.put(&mut codec, 16, &noise(16)).unwrap();
    }

    #[test]
    fn the_store_compacts_when_it_pays_and_not_before() {
        let store = PageStore::new(10_000);
        let mut codec = codec();
        for number in 0..4096 {
            let mut page = noise(number);
            page[1000..].fill(0);
            store.put(&mut codec, number, &page).unwrap();
        }
        let full = store.pool.resident_pages();
        (0..4096)
            .filter(|n| n % 64 == 0)
            .for_each(|n| assert!(store.remove(n)));
        assert_eq!(store.stats().compactions, 0);
        (0..4096)
            .filter(|n| n % 4 != 1)
            .for_each(|n| assert_eq!(store.remove(n), n % 64 != 0));
        let stats = store.stats();
        assert!(stats.compactions > 0 && stats.pages_gained > 0, "{stats:?}");
        assert!(store.pool.resident_pages() < full / 2);
        for number in (0..4096).filter(|n| n % 4 == 1) {
            let mut page = [0; PAGE];
            assert_eq!(store.get(&mut codec, number, &mut page), Ok(true));
            assert_eq!(page[..1000], noise(number)[..1000]);
        }
    }
}
