//! Pages in and out of their stored form.

use std::hash::{DefaultHasher, Hasher};

use clap::ValueEnum;
use examples::corpus::{PAGE, Page};

/// The compressors that can be chosen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Compression {
    /// LZ4: fast.
    Lz4,
    /// Zstandard at level 1: smaller.
    Zstd,
}

/// What is stored for a page.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Packed<'a> {
    /// One word of 8 bytes, repeated over the page.
    Same(u64),
    /// The compressed page, or the page itself where compression does not make it smaller: exactly
    /// [`PAGE`] bytes then, and fewer otherwise, so no header is needed.
    Bytes(&'a [u8]),
}

/// One thread's compressor and its buffer.
pub(crate) struct Codec {
    compression: Compression,
    out: Vec<u8>,
    compressor: zstd::bulk::Compressor<'static>,
    decompressor: zstd::bulk::Decompressor<'static>,
}

impl Codec {
    pub(crate) fn new(compression: Compression) -> Self {
        let bound = lz4_flex::block::get_maximum_output_size(PAGE);
        Codec {
            compression,
            out: vec![0; bound.max(zstd::zstd_safe::compress_bound(PAGE))],
            compressor: zstd::bulk::Compressor::new(1).expect("level 1 exists"),
            decompressor: zstd::bulk::Decompressor::new().expect("no dictionary to load"),
        }
    }

    /// The stored form of `page`.
    pub(crate) fn pack<'a>(&'a mut self, page: &'a Page) -> Packed<'a> {
        if let Some(word) = same_filled(page) {
            return Packed::Same(word);
        }
        let out = &mut self.out[..];
        let len = match self.compression {
            Compression::Lz4 => lz4_flex::block::compress_into(page, out).ok(),
            Compression::Zstd => self.compressor.compress_to_buffer(page, out).ok(),
        };
        Packed::Bytes(match len {
            Some(len) if len < PAGE => &self.out[..len],
            _ => page,
        })
    }

    /// Restores a page from its stored form; false if the bytes are not one.
    pub(crate) fn unpack(&mut self, packed: Packed<'_>, page: &mut Page) -> bool {
        let bytes = match packed {
            Packed::Same(word) => {
                page.as_chunks_mut().0.fill(word.to_ne_bytes());
                return true;
            }
            Packed::Bytes(bytes) => bytes,
        };
        if bytes.len() == PAGE {
            page.copy_from_slice(bytes);
            return true;
        }
        let len = match self.compression {
            Compression::Lz4 => lz4_flex::block::decompress_into(bytes, page).ok(),
            Compression::Zstd => self
                .decompressor
                .decompress_to_buffer(bytes, &mut page[..])
                .ok(),
        };
        len == Some(PAGE)
    }
}

/// The word that `page` repeats, if it does.
fn same_filled(page: &Page) -> Option<u64> {
    let (words, _) = page.as_chunks::<8>();
    words
        .iter()
        .all(|word| *word == words[0])
        .then(|| u64::from_ne_bytes(words[0]))
}

/// A 64-bit checksum of a page. Every byte counts, and so does its place.
pub(crate) fn checksum(page: &Page) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(page);
    hasher.finish()
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use examples::rng::Rng;

    pub(crate) fn noise(seed: u64) -> Page {
        let mut rng = Rng::for_lane(seed, 0);
        std::array::from_fn(|_| rng.next() as u8)
    }

    pub(crate) fn text(seed: u64) -> Page {
        std::array::from_fn(|i| b"the quick brown fox "[i * (seed as usize + 1) % 20])
    }

    #[test]
    fn every_kind_of_page_survives_the_round_trip() {
        for compression in [Compression::Lz4, Compression::Zstd] {
            let mut codec = Codec::new(compression);
            for page in [[0; PAGE], [7; PAGE], text(1), noise(1)] {
                let stored = match codec.pack(&page) {
                    Packed::Same(word) => (Some(word), Vec::new()),
                    Packed::Bytes(bytes) => (None, bytes.to_vec()),
                };
                let packed = match &stored {
                    (Some(word), _) => Packed::Same(*word),
                    (None, bytes) => Packed::Bytes(bytes),
                };
                let mut restored = [1; PAGE];
                assert!(codec.unpack(packed, &mut restored));
                assert_eq!(restored, page);
            }
        }
    }

    #[test]
    fn same_filled_pages_are_a_word_and_incompressible_ones_are_raw() {
        let mut codec = Codec::new(Compression::Lz4);
        assert_eq!(codec.pack(&[7; PAGE]), Packed::Same(0x0707_0707_0707_0707));
        assert_eq!(codec.pack(&noise(1)), Packed::Bytes(&noise(1)));
        assert!(matches!(codec.pack(&text(1)), Packed::Bytes(bytes) if bytes.len() < 200));
        let mut almost = [7; PAGE];
        almost[PAGE - 1] = 8;
        assert!(matches!(codec.pack(&almost), Packed::Bytes(_)));
    }

    #[test]
    fn bytes_that_are_no_page_are_refused() {
        for compression in [Compression::Lz4, Compression::Zstd] {
            let mut codec = Codec::new(compression);
            let mut page = [0; PAGE];
            assert!(!codec.unpack(Packed::Bytes(&[255; 10]), &mut page));
            assert!(!codec.unpack(Packed::Bytes(&[]), &mut page));
        }
    }
}
