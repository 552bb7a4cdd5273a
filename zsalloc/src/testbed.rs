//! One interface for allocators, so that a program can compare them: a [`Pool`] with any lock and page
//! source, the global allocator, or one of your own.
//!
//! A [`Store`] keeps blobs behind keys. What a key is decides how far the store can go: a pool's key is
//! a [`Handle`], which names an object and lets it move; [`Boxes`] has the address itself for a key, so
//! it never can.
//!
//! # A store of your own
//!
//! ```
//! use std::collections::HashMap;
//! use std::sync::Mutex;
//! use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
//! use zsalloc::AllocError;
//! use zsalloc::testbed::{Boxes, Store, exercise};
//!
//! #[derive(Default)]
//! struct Table(Mutex<HashMap<u64, Vec<u8>>>, AtomicU64);
//!
//! impl Store for Table {
//!     type Key = u64;
//!     fn put(&self, bytes: &[u8]) -> Result<u64, AllocError> {
//!         let key = self.1.fetch_add(1, Relaxed);
//!         self.0.lock().unwrap().insert(key, bytes.to_vec());
//!         Ok(key)
//!     }
//!     fn get<R>(&self, key: &u64, read: impl FnOnce(&[u8]) -> R) -> R { read(&self.0.lock().unwrap()[key]) }
//!     fn del(&self, key: u64) { self.0.lock().unwrap().remove(&key); }
//! }
//!
//! // The same operations on each of them, every byte checked.
//! assert_eq!(exercise(&Table::default(), 2000, 1), Ok(()));
//! assert_eq!(exercise(&zsalloc::Pool::new(), 2000, 1), Ok(()));
//! assert_eq!(exercise(&Boxes, 2000, 1), Ok(()));
//! ```
//!
//! Plugging it in is what is inside `impl Store`. A whole comparison, of locks in one pool too, is the repository's
//! `cargo run --release --example testbed`; a test counts the ten lines of its own store.
//!
//! The project's benchmark, `cargo run --release -p benches --bin allocators -- speed`, measures stores through
//! this trait; its calls are inlined and cost nothing.

use std::fmt;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::error::AllocError;
use crate::handle::Handle;
use crate::pool::Pool;

/// An allocator for blobs, in a comparison of allocators. The [module](self) shows how to write one.
pub trait Store {
    /// What names a blob. Whoever has the key may read it; giving it up ends the blob.
    type Key;

    /// Stores a copy of `bytes`, which is not empty.
    ///
    /// # Errors
    ///
    /// See [`AllocError`]; nothing has changed.
    fn put(&self, bytes: &[u8]) -> Result<Self::Key, AllocError>;

    /// Calls `read` with the bytes of a blob, and returns what it returns. They are where the store
    /// keeps them, so copying is up to `read`.
    fn get<R>(&self, key: &Self::Key, read: impl FnOnce(&[u8]) -> R) -> R;

    /// Copies a blob into the beginning of `target`, which is long enough, and returns its length.
    fn copy(&self, key: &Self::Key, target: &mut [u8]) -> usize {
        self.get(key, |bytes| {
            target[..bytes.len()].copy_from_slice(bytes);
            bytes.len()
        })
    }

    /// Frees a blob.
    fn del(&self, key: Self::Key);

    /// Frees several blobs, by default one by one.
    fn del_many(&self, keys: impl IntoIterator<Item = Self::Key>) {
        keys.into_iter().for_each(|key| self.del(key));
    }

    /// Gives back what memory it can, and returns how many bytes these were. By default none: an
    /// allocator whose users hold addresses has no way to.
    fn compact(&self) -> usize {
        0
    }

    /// What the store can tell of itself. By default nothing.
    fn stats(&self) -> StoreStats {
        StoreStats::default()
    }
}

/// What a [`Store`] tells of itself; `None` is what it does not know. To compare stores measure the
/// resident memory of the process from outside, which is the same for all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct StoreStats {
    /// Blobs stored.
    pub objects: Option<usize>,
    /// Bytes of memory that the store holds for them, its own tables included.
    pub held_bytes: Option<usize>,
}

/// Objects of a pool. Its classes, lock and page source are those it was built with, so two pools that
/// differ in one of them compare that.
impl<L: RawRwLock, S: PageSource> Store for Pool<L, S> {
    type Key = Handle;

    #[inline]
    fn put(&self, bytes: &[u8]) -> Result<Handle, AllocError> {
        self.insert(bytes)
    }

    #[inline]
    fn get<R>(&self, key: &Handle, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.read(key))
    }

    #[inline]
    fn copy(&self, key: &Handle, target: &mut [u8]) -> usize {
        self.copy_to(key, target)
    }

    #[inline]
    fn del(&self, key: Handle) {
        self.free(key);
    }

    fn del_many(&self, keys: impl IntoIterator<Item = Handle>) {
        self.free_many(keys);
    }

    fn compact(&self) -> usize {
        let before = self.resident_pages();
        Pool::compact(self);
        self.trim();
        // Other threads may have taken more than went back.
        before.saturating_sub(self.resident_pages()) * self.pages.page_size()
    }

    fn stats(&self) -> StoreStats {
        let stats = Pool::stats(self);
        StoreStats {
            objects: Some(stats.objects),
            held_bytes: Some(stats.resident_pages * self.pages.page_size() + stats.metadata_bytes),
        }
    }
}

/// Boxed slices of the global allocator, which on Linux is glibc's malloc unless the program sets
/// another. The key is the box.
#[derive(Clone, Copy, Debug, Default)]
pub struct Boxes;

impl Store for Boxes {
    type Key = Box<[u8]>;

    #[inline]
    fn put(&self, bytes: &[u8]) -> Result<Box<[u8]>, AllocError> {
        Ok(bytes.into())
    }

    #[inline]
    fn get<R>(&self, key: &Box<[u8]>, read: impl FnOnce(&[u8]) -> R) -> R {
        read(key)
    }

    #[inline]
    fn del(&self, key: Box<[u8]>) {
        drop(key);
    }
}

/// A store that did not do what a [`Store`] does; see [`exercise`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// A blob has other bytes than were put.
    Changed {
        /// After how many operations it was seen.
        operation: usize,
        /// The blob's length when it was put.
        len: usize,
    },
    /// A blob could not be put.
    Refused(AllocError),
    /// The store tells a number of blobs that is not the true one.
    Miscounted {
        /// What it tells.
        told: usize,
        /// What it holds.
        held: usize,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Changed { operation, len } => write!(
                f,
                "after {operation} operations a blob of {len} bytes has other bytes than were put"
            ),
            Self::Refused(error) => write!(f, "a blob could not be put: {error}"),
            Self::Miscounted { told, held } => {
                write!(f, "the store tells of {told} blobs and holds {held}")
            }
        }
    }
}

impl std::error::Error for Fault {}

/// Puts, gets and deletes blobs of 1 to 4096 bytes at random, compacting now and then, and checks every
/// byte. For a store of your own, before its speed is of interest. `seed` chooses the operations. At
/// most a thousand blobs are held at a time, and none at the end.
///
/// # Errors
///
/// The first [`Fault`].
pub fn exercise<S: Store>(store: &S, operations: usize, seed: u64) -> Result<(), Fault> {
    const MOST: usize = 1000;
    let mut random = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = |end: usize| {
        // xorshift64: any sequence will do that is the same each time.
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        (random >> 16) as usize % end
    };
    let mut held: Vec<(S::Key, usize, u8)> = Vec::new();
    for operation in 0..operations {
        let choice = below(MOST);
        if choice >= held.len() {
            let (len, first) = (below(4096) + 1, operation as u8);
            let blob: Vec<u8> = contents(len, first).collect();
            let key = store.put(&blob).map_err(Fault::Refused)?;
            held.push((key, len, first));
        } else if operation % 2 == 0 {
            check(store, &held[choice], operation)?;
        } else {
            check(store, &held[choice], operation)?;
            store.del(held.swap_remove(choice).0);
        }
        if operation % 1024 == 1023 {
            store.compact();
        }
    }
    let told = store.stats().objects;
    if let Some(told) = told.filter(|&told| told != held.len()) {
        let held = held.len();
        return Err(Fault::Miscounted { told, held });
    }
    for object in held {
        check(store, &object, operations)?;
        store.del(object.0);
    }
    Ok(())
}

/// Bytes that follow from two numbers, and repeat only after 251.
fn contents(len: usize, first: u8) -> impl Iterator<Item = u8> {
    (0..len).map(move |place| (place % 251) as u8 ^ first)
}

fn check<S: Store>(
    store: &S,
    (key, len, first): &(S::Key, usize, u8),
    operation: usize,
) -> Result<(), Fault> {
    let mut copy = [0; 4096];
    let copied = store.copy(key, &mut copy);
    let same = store.get(key, |bytes| {
        bytes == &copy[..copied] && bytes.iter().copied().eq(contents(*len, *first))
    });
    let len = *len;
    same.then_some(()).ok_or(Fault::Changed { operation, len })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::cell::{Cell, RefCell};

    #[test]
    fn pools_and_boxes_pass() {
        assert_eq!(exercise(&Boxes, 4000, 1), Ok(()));
        let pool = Pool::new();
        assert_eq!(exercise(&pool, 4000, 2), Ok(()));
        assert_eq!(Store::stats(&pool).objects, Some(0));
        let parking = Pool::builder().lock_with(|| parking_lot::RawRwLock::<false>::INIT);
        assert_eq!(exercise(&parking.build().unwrap(), 4000, 3), Ok(()));
    }

    #[test]
    fn a_store_tells_what_it_gave_back() {
        // What a pool retains has not gone back.
        for retain in [0, 1000] {
            let builder = Pool::builder().retain_pages(retain);
            gives_back(&builder.build().unwrap());
        }
    }

    fn gives_back(pool: &Pool) {
        let keys: Vec<_> = (0..1000).map(|_| pool.put(&[7; 500]).unwrap()).collect();
        let full = Store::stats(pool);
        assert_eq!(full.objects, Some(1000));
        assert!(full.held_bytes.unwrap() >= 500_000, "{full:?}");
        let mut kept = Vec::new();
        for (key, index) in keys.into_iter().zip(0..) {
            match index % 10 {
                0 => kept.push(key),
                _ => pool.del(key),
            }
        }
        let sparse = Store::stats(pool).held_bytes.unwrap();
        let given_back = Store::compact(pool);
        assert!(given_back > 300_000, "{given_back}");
        assert!(Store::stats(pool).held_bytes.unwrap() <= sparse - given_back);
        kept.into_iter().for_each(|key| pool.del(key));
    }

    /// Wrong in one respect.
    #[derive(Default)]
    struct Wrong {
        blobs: RefCell<Vec<Vec<u8>>>,
        puts: Cell<usize>,
        damages: bool,
        most: usize,
    }

    impl Store for Wrong {
        type Key = usize;

        fn put(&self, bytes: &[u8]) -> Result<usize, AllocError> {
            let mut blobs = self.blobs.borrow_mut();
            if blobs.len() == self.most {
                return Err(AllocError::OutOfMemory);
            }
            self.puts.set(self.puts.get() + 1);
            blobs.push(bytes.to_vec());
            if self.damages && self.puts.get() == 300 {
                blobs[299][0] ^= 1;
            }
            Ok(blobs.len() - 1)
        }

        fn get<R>(&self, key: &usize, read: impl FnOnce(&[u8]) -> R) -> R {
            read(&self.blobs.borrow()[*key])
        }

        fn del(&self, _: usize) {}

        fn stats(&self) -> StoreStats {
            StoreStats {
                objects: Some(self.blobs.borrow().len()),
                held_bytes: None,
            }
        }
    }

    #[test]
    fn faults_are_found() {
        let damages = Wrong {
            damages: true,
            most: usize::MAX,
            ..Wrong::default()
        };
        let fault = exercise(&damages, 4000, 4).unwrap_err();
        assert!(matches!(fault, Fault::Changed { .. }), "{fault}");
        let full = Wrong {
            most: 10,
            ..Wrong::default()
        };
        let refused = Fault::Refused(AllocError::OutOfMemory);
        assert_eq!(exercise(&full, 4000, 4), Err(refused));
        let miscounts = Wrong {
            most: usize::MAX,
            ..Wrong::default()
        };
        let fault = exercise(&miscounts, 2000, 4).unwrap_err();
        assert!(matches!(fault, Fault::Miscounted { .. }), "{fault}");
    }
}
