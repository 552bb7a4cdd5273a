//! Pages into the pool, and every one of them checked on the way out.

use lock_api::RawRwLock;
use zsalloc::{AllocError, Handle, Pool};

use crate::page::{self, Packer};
use examples::corpus::{CorpusError, PAGE, Page, Pages};
use examples::rng::Rng;

/// What a pool asks of the lock in its zspages.
pub(crate) trait ZspageLock: RawRwLock + Send + Sync + 'static {}

impl<L: RawRwLock + Send + Sync + 'static> ZspageLock for L {}

/// A stored page: where it is, and what it must look like. The checksums never enter the pool.
#[derive(Debug)]
pub(crate) struct Object {
    pub(crate) handle: Handle,
    checksums: Checksums,
}

#[derive(Clone, Copy, Debug)]
struct Checksums {
    page: u64,
    packed: u64,
}

/// Why the pool could not be filled.
#[derive(Debug)]
pub(crate) enum FillError {
    Corpus(CorpusError),
    Alloc(AllocError),
}

/// The objects of a filled pool.
#[derive(Debug)]
pub(crate) struct Filled {
    pub(crate) objects: Vec<Object>,
    /// Bytes in all objects, after compression.
    pub(crate) packed_bytes: u64,
}

/// Stores every page. Only one page is in memory outside the pool at a time.
pub(crate) fn fill<L: ZspageLock>(pool: &Pool<L>, pages: &mut Pages) -> Result<Filled, FillError> {
    let mut packer = Packer::new();
    let mut filled = Filled {
        objects: Vec::new(),
        packed_bytes: 0,
    };
    for page in pages {
        let page = page.map_err(FillError::Corpus)?;
        let packed = packer.pack(&page);
        let handle = pool.insert(packed).map_err(FillError::Alloc)?;
        filled.packed_bytes += packed.len() as u64;
        let checksums = Checksums {
            page: page::checksum(&page),
            packed: page::checksum(packed),
        };
        filled.objects.push(Object { handle, checksums });
    }
    if filled.objects.is_empty() {
        return Err(FillError::Corpus(CorpusError::Empty));
    }
    Ok(filled)
}

/// Frees each object with probability one half, but keeps at least one. Returns how many it freed.
pub(crate) fn free_half<L: ZspageLock>(
    pool: &Pool<L>,
    objects: &mut Vec<Object>,
    rng: &mut Rng,
) -> u64 {
    let before = objects.len();
    let mut kept = Vec::with_capacity(before);
    for object in objects.drain(..) {
        if rng.below(2) == 0 || kept.is_empty() {
            kept.push(object);
        } else {
            pool.free(object.handle);
        }
    }
    *objects = kept;
    (before - objects.len()) as u64
}

/// Restores and compares every object.
pub(crate) fn verify<L: ZspageLock>(pool: &Pool<L>, objects: &[Object]) -> Checks {
    let mut checks = Checks::default();
    objects
        .iter()
        .for_each(|object| checks.note(object.restore(pool, |_| ())));
    checks
}

/// Maps that were checked, and how many of them were not what they must be.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Checks {
    pub(crate) maps: u64,
    pub(crate) mismatches: u64,
}

impl Checks {
    pub(crate) fn note(&mut self, matches: bool) {
        self.maps += 1;
        self.mismatches += u64::from(!matches);
    }
}

impl Object {
    /// Maps the object and compares its bytes.
    pub(crate) fn check<L: ZspageLock>(&self, pool: &Pool<L>) -> bool {
        page::checksum(&pool.read(&self.handle)) == self.checksums.packed
    }

    /// Maps the object, lets `while_mapped` see its bytes, and then restores its page, still under
    /// the same map, and compares that.
    pub(crate) fn restore<L: ZspageLock>(
        &self,
        pool: &Pool<L>,
        while_mapped: impl FnOnce(&[u8]),
    ) -> bool {
        let mut page: Page = [0; PAGE];
        let map = pool.read(&self.handle);
        while_mapped(&map);
        let restored = page::unpack(&map, &mut page);
        drop(map);
        restored == Some(self.checksums.page)
    }

    /// Stores `bytes`, which are a copy of this object's, as another object.
    pub(crate) fn duplicate<L: ZspageLock>(
        &self,
        pool: &Pool<L>,
        bytes: &[u8],
    ) -> Result<Object, AllocError> {
        Ok(Object {
            handle: pool.insert(bytes)?,
            checksums: self.checksums,
        })
    }
}
