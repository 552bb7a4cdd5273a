//! One page: its checksum, and its way into and out of an object of the pool.

use std::hash::Hasher;

use examples::corpus::{PAGE, Page};
use rustc_hash::FxHasher;

/// A 64-bit checksum of a page or of an object. Every byte counts, and so does its place.
pub(crate) fn checksum(bytes: &[u8]) -> u64 {
    // Fast on purpose (about a quarter of a microsecond for an object): a reader that checks every
    // map still maps a million times a second, and so meets the migrator often enough to be seen.
    let mut hasher = FxHasher::default();
    hasher.write(bytes);
    hasher.finish()
}

/// Turns pages into objects: LZ4, or the page itself where LZ4 does not make it smaller.
///
/// An object of exactly [`PAGE`] bytes is a raw page and a shorter one is LZ4, so no header is
/// needed.
#[derive(Debug)]
pub(crate) struct Packer {
    out: Vec<u8>,
}

impl Packer {
    pub(crate) fn new() -> Self {
        let out = vec![0; lz4_flex::block::get_maximum_output_size(PAGE)];
        Packer { out }
    }

    /// The object that holds `page`.
    pub(crate) fn pack<'a>(&'a mut self, page: &'a Page) -> &'a [u8] {
        match lz4_flex::block::compress_into(page, &mut self.out) {
            Ok(len) if len < PAGE => &self.out[..len],
            _ => page,
        }
    }
}

/// Restores the page that `object` holds and returns its checksum, or `None` if the bytes are no
/// object.
pub(crate) fn unpack(object: &[u8], page: &mut Page) -> Option<u64> {
    if object.len() == PAGE {
        page.copy_from_slice(object);
    } else if !matches!(lz4_flex::block::decompress_into(object, page), Ok(PAGE)) {
        return None;
    }
    Some(checksum(page))
}

#[cfg(test)]
mod tests {
    use super::*;
    use examples::rng::Rng;

    fn noise() -> Page {
        let mut rng = Rng::for_lane(1, 0);
        std::array::from_fn(|_| rng.next() as u8)
    }

    #[test]
    fn a_page_survives_the_round_trip() {
        let mut packer = Packer::new();
        let mut restored = [1; PAGE];
        let text: Page = std::array::from_fn(|i| b"the quick brown fox "[i % 20]);
        for page in [[0; PAGE], text, noise()] {
            let sum = unpack(packer.pack(&page), &mut restored);
            assert_eq!(sum, Some(checksum(&page)));
            assert_eq!(restored, page);
        }
    }

    #[test]
    fn incompressible_pages_are_stored_raw_and_others_shrink() {
        let mut packer = Packer::new();
        assert_eq!(packer.pack(&noise()), noise());
        assert!(packer.pack(&[0; PAGE]).len() < 100);
    }

    #[test]
    fn every_bit_of_a_page_changes_its_checksum() {
        let (page, mut damaged) = (noise(), noise());
        for bit in 0..8 * PAGE {
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_ne!(checksum(&damaged), checksum(&page), "bit {bit}");
            damaged[bit / 8] ^= 1 << (bit % 8);
        }
        damaged.swap(100, 101);
        assert_ne!(checksum(&damaged), checksum(&page));
    }

    #[test]
    fn a_damaged_object_is_noticed() {
        let mut packer = Packer::new();
        let mut restored = [0; PAGE];
        let mut object = packer.pack(&noise()).to_vec();
        object[4000] ^= 1;
        assert_ne!(unpack(&object, &mut restored), Some(checksum(&noise())));

        let mut page = [0; PAGE];
        page[..8].copy_from_slice(b"12345678");
        let object = packer.pack(&page).to_vec();
        assert_eq!(unpack(&object[..object.len() / 2], &mut restored), None);
    }
}
