//! A store of one's own: a map of vectors under a mutex. What makes it comparable are the ten lines inside
//! `impl Store`.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;
use zsalloc::AllocError;
use zsalloc::testbed::Store;

/// Blobs by number.
#[derive(Default)]
pub(crate) struct MapOfVectors {
    blobs: Mutex<HashMap<u64, Vec<u8>>>,
    next: AtomicU64,
}

impl MapOfVectors {
    fn add(&self, blob: Vec<u8>) -> u64 {
        // Relaxed: a number need only be another each time; the mutex orders the blobs.
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        self.blobs.lock().insert(number, blob);
        number
    }
}

impl Store for MapOfVectors {
    type Key = u64;
    fn put(&self, bytes: &[u8]) -> Result<u64, AllocError> {
        Ok(self.add(bytes.to_vec()))
    }
    fn get<R>(&self, number: &u64, read: impl FnOnce(&[u8]) -> R) -> R {
        read(&self.blobs.lock()[number])
    }
    fn del(&self, number: u64) {
        self.blobs.lock().remove(&number);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use zsalloc::testbed::exercise;

    #[test]
    fn plugging_it_in_takes_ten_lines() {
        let lines = include_str!("own.rs").lines();
        let body = lines.skip_while(|line| !line.starts_with("impl Store for"));
        let body = body.skip(1).take_while(|line| *line != "}");
        assert_eq!(body.count(), 10);
    }

    #[test]
    fn it_is_a_store() {
        assert_eq!(exercise(&MapOfVectors::default(), 5000, 1), Ok(()));
    }
}
