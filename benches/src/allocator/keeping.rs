//! A pool that gives no page back.

use zsalloc::testbed::Store;
use zsalloc::{AllocError, Handle, Pool};

use super::contender::KEPT;
use super::corpus::PAGE;

/// The default pool with its free pages kept. Its compaction moves objects and leaves the pages that it gains with the pool,
/// where that of the pool itself would go on to return them.
#[derive(Debug)]
pub struct Keeping(Pool);

impl Keeping {
    /// Without objects.
    ///
    /// # Panics
    ///
    /// If the system has pages of more than 4 KiB.
    #[must_use]
    pub fn new() -> Self {
        let pool = Pool::builder().retain_pages(KEPT).build();
        Self(pool.expect("settings within their ranges and a system with pages of 4 KiB"))
    }
}

impl Default for Keeping {
    fn default() -> Self {
        Self::new()
    }
}

impl Store for Keeping {
    type Key = Handle;

    fn put(&self, bytes: &[u8]) -> Result<Handle, AllocError> {
        self.0.insert(bytes)
    }

    fn get<R>(&self, key: &Handle, read: impl FnOnce(&[u8]) -> R) -> R {
        Store::get(&self.0, key, read)
    }

    fn del(&self, key: Handle) {
        self.0.free(key);
    }

    fn del_many(&self, keys: impl IntoIterator<Item = Handle>) {
        self.0.free_many(keys);
    }

    /// The bytes of the pages that became free.
    fn compact(&self) -> usize {
        self.0.compact().pages_freed * PAGE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_gained_and_stay() {
        let store = Keeping::new();
        let keys = (0..400).map(|number| (number, store.put(&[7; 1000]).unwrap()));
        let (kept, freed): (Vec<_>, Vec<_>) = keys.partition(|(number, _)| number % 4 == 0);
        freed.into_iter().for_each(|(_, key)| store.del(key));
        let resident = store.0.resident_pages();
        let gained = store.compact() / PAGE;
        assert!(gained > 0);
        assert_eq!(store.0.resident_pages(), resident);
        assert!(
            kept.iter()
                .all(|(_, key)| store.get(key, |bytes| *bytes == [7; 1000]))
        );
        kept.into_iter().for_each(|(_, key)| store.del(key));
    }
}
