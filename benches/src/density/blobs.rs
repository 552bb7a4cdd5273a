//! Compressed pages, as they are handed to the processes that store them.

use std::fmt;
use std::io::{self, Read, Write};
use std::ops::RangeInclusive;

use crate::allocator::corpus::{Corpus, PAGE};
use crate::work::Dice;

/// How pages are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Codec {
    /// LZ4, the block format.
    Lz4,
    /// Zstandard, level 1.
    #[cfg(feature = "allocators")]
    Zstd,
}

impl Codec {
    /// All that this build has.
    pub const ALL: &'static [Self] = &[
        Self::Lz4,
        #[cfg(feature = "allocators")]
        Self::Zstd,
    ];

    /// For tables and files.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Lz4 => "lz4",
            #[cfg(feature = "allocators")]
            Self::Zstd => "zstd-1",
        }
    }

    fn compress(self, page: &[u8]) -> Vec<u8> {
        match self {
            Self::Lz4 => lz4_flex::block::compress(page),
            #[cfg(feature = "allocators")]
            Self::Zstd => zstd::bulk::compress(page, 1).expect("a page is compressed in memory"),
        }
    }
}

/// Blobs of 1 to 4096 bytes in one piece of memory, so that they say nothing about an allocator.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Blobs {
    bytes: Vec<u8>,
    /// Where each blob ends; it begins where the one before it ends.
    ends: Vec<u32>,
}

impl Blobs {
    /// The pages of a corpus, which has them in LZ4, in another compression. Pages that do not shrink stay as they are.
    #[must_use]
    pub fn of_corpus(corpus: &Corpus, codec: Codec) -> Self {
        let mut blobs = Self::default();
        for number in 0..corpus.len() {
            let blob = corpus.blob(number);
            if codec == Codec::Lz4 || blob.len() == PAGE && codec.compress(blob).len() >= PAGE {
                blobs.push(blob);
                continue;
            }
            let page = match blob.len() {
                PAGE => blob.to_vec(),
                _ => lz4_flex::block::decompress(blob, PAGE).expect("the corpus made it"),
            };
            let compressed = codec.compress(&page);
            blobs.push(if compressed.len() < PAGE {
                &compressed
            } else {
                &page
            });
        }
        blobs
    }

    fn push(&mut self, blob: &[u8]) {
        self.bytes.extend_from_slice(blob);
        self.ends
            .push(u32::try_from(self.bytes.len()).expect("at most 1 GiB of pages"));
    }

    /// The number of blobs.
    #[must_use]
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The bytes of all blobs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// The blob of that number.
    #[must_use]
    pub fn blob(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start as usize..self.ends[number] as usize]
    }

    /// The same bytes in pieces of random lengths.
    #[must_use]
    pub fn cut(&self, lengths: RangeInclusive<usize>) -> Self {
        let mut dice = Dice::new(1);
        let mut pieces = Self::default();
        let mut rest = &self.bytes[..];
        let sides = (lengths.end() - lengths.start() + 1) as u64;
        while rest.len() >= *lengths.end() {
            let piece;
            (piece, rest) = rest.split_at(lengths.start() + dice.roll(sides) as usize);
            pieces.push(piece);
        }
        pieces
    }

    /// Writes them for [`receive`](Self::receive).
    ///
    /// # Errors
    ///
    /// Those of the writer.
    pub fn send(&self, to: &mut impl Write) -> io::Result<()> {
        to.write_all(&(self.ends.len() as u64).to_le_bytes())?;
        let ends: Vec<u8> = self.ends.iter().flat_map(|end| end.to_le_bytes()).collect();
        to.write_all(&ends)?;
        to.write_all(&self.bytes)?;
        to.flush()
    }

    /// Reads what [`send`](Self::send) wrote.
    ///
    /// # Errors
    ///
    /// Those of the reader, and its end before the last blob.
    pub fn receive(from: &mut impl Read) -> io::Result<Self> {
        let mut count = [0; 8];
        from.read_exact(&mut count)?;
        let mut ends = vec![0; u64::from_le_bytes(count) as usize * 4];
        from.read_exact(&mut ends)?;
        let (ends, _) = ends.as_chunks::<4>();
        let ends: Vec<u32> = ends.iter().map(|end| u32::from_le_bytes(*end)).collect();
        let mut bytes = vec![0; ends.last().map_or(0, |end| *end as usize)];
        from.read_exact(&mut bytes)?;
        Ok(Self { bytes, ends })
    }
}

impl fmt::Debug for Blobs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (blobs, bytes) = (self.len(), self.bytes());
        write!(f, "Blobs({blobs} of {bytes} bytes)")
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Blobs of one length, all different.
    pub(crate) fn blobs(length: usize, count: usize) -> Blobs {
        let corpus = Corpus::of_length(length, count);
        let mut blobs = Blobs::default();
        (0..count).for_each(|number| blobs.push(corpus.blob(number)));
        blobs
    }

    #[test]
    fn what_is_sent_is_received() {
        let blobs = blobs(100, 300);
        let mut wire = Vec::new();
        blobs.send(&mut wire).unwrap();
        let received = Blobs::receive(&mut &wire[..]).unwrap();
        assert_eq!((received.len(), received.bytes()), (300, 30_000));
        assert!((0..300).all(|number| received.blob(number) == blobs.blob(number)));
        assert_ne!(received.blob(0), received.blob(1));
        wire.pop();
        assert!(Blobs::receive(&mut &wire[..]).is_err());
    }

    #[test]
    fn pieces_have_the_lengths_asked_for() {
        let pieces = blobs(1000, 100).cut(16..=128);
        let lengths: Vec<usize> = (0..pieces.len())
            .map(|one| pieces.blob(one).len())
            .collect();
        assert_eq!(lengths.iter().min(), Some(&16));
        assert_eq!(lengths.iter().max(), Some(&128));
        assert!(pieces.bytes() > 100_000 - 128);
    }

    #[test]
    fn pages_are_what_the_codec_makes_of_them() {
        let folder = std::env::temp_dir().join(format!("blobs-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let mut dice = Dice::new(5);
        let noise: Vec<u8> = (0..PAGE).map(|_| dice.roll(256) as u8).collect();
        let text: Vec<u8> = (0..PAGE).map(|place| (place / 64) as u8).collect();
        std::fs::write(folder.join("pages"), [&noise[..], &text[..]].concat()).unwrap();
        let corpus = Corpus::of_pages(std::slice::from_ref(&folder), 2).unwrap();
        std::fs::remove_dir_all(folder).unwrap();
        for &codec in Codec::ALL {
            let blobs = Blobs::of_corpus(&corpus, codec);
            assert_eq!(blobs.len(), 2, "{codec:?}");
            assert_eq!(blobs.blob(0), noise, "{codec:?}");
            assert_eq!(blobs.blob(1), codec.compress(&text), "{codec:?}");
        }
    }
}
