//! How long real pages are when they are compressed.

use std::collections::BTreeMap;
use std::fmt::Write;

use examples::corpus::{CorpusError, PAGE, Pages, Summary};
use examples::units;
use zsalloc::overhead::{self, Figures};
use zsalloc::size_class;

use crate::cli::Options;

/// The compressors, by name.
pub(crate) const COMPRESSORS: [&str; 2] = ["lz4", "zstd-1"];

/// Stored lengths and how many objects have each.
pub(crate) type Lengths = BTreeMap<usize, u64>;

/// The pages of the input, compressed.
#[derive(Debug)]
pub(crate) struct Corpus {
    /// 4, 16 and 64 KiB.
    pub(crate) pages: [OfOnePageSize; 3],
    origin: String,
}

/// The input cut into pages of one size.
#[derive(Debug)]
pub(crate) struct OfOnePageSize {
    pub(crate) page_size: usize,
    pub(crate) read: Summary,
    /// Pages that repeat one word; a store keeps the word, not an object.
    pub(crate) same_filled: u64,
    /// By compressor, in the order of [`COMPRESSORS`].
    pub(crate) lengths: [Lengths; 2],
}

impl Corpus {
    pub(crate) fn read(options: &Options) -> Result<Self, CorpusError> {
        let origin = match options.input.as_slice() {
            [] => "this executable, /usr/bin, /usr/lib and /usr/share/doc".to_owned(),
            [one] => one.display().to_string(),
            [first, more @ ..] => {
                let more = units::counted(more.len() as u64, "other path");
                format!("{} and {more}", first.display())
            }
        };
        Ok(Corpus {
            pages: [
                compress::<PAGE>(options)?,
                compress::<{ 4 * PAGE }>(options)?,
                compress::<{ 16 * PAGE }>(options)?,
            ],
            origin,
        })
    }

    /// The pages of 4 KiB.
    pub(crate) fn small(&self) -> &OfOnePageSize {
        &self.pages[0]
    }

    /// The pages of one of the sizes in [`PAGE_SIZES`](crate::tables::PAGE_SIZES).
    pub(crate) fn of(&self, page_size: usize) -> &OfOnePageSize {
        let mut pages = self.pages.iter();
        let found = pages.find(|pages| pages.page_size == page_size);
        found.expect("the input is cut into pages of every size that is compared")
    }

    pub(crate) fn summary(&self) -> String {
        let small = self.small();
        let mut text = format!(
            "Real pages of {}.\n  {} of {} ({}).\n",
            self.origin,
            units::counted(small.read.pages, "page"),
            units::counted(small.read.files, "file"),
            units::bytes(small.read.bytes),
        );
        for (name, lengths) in COMPRESSORS.iter().zip(&small.lengths) {
            let objects: u64 = lengths.values().sum();
            let raw = lengths.get(&PAGE).copied().unwrap_or(0);
            let _ = writeln!(
                text,
                "  {name:7} {} of {:.0} bytes on average; {} of them raw, as compression does not help",
                units::counted(objects, "object"),
                mean_of(lengths),
                units::count(raw),
            );
        }
        let _ = writeln!(
            text,
            "  {} that repeat one word are not stored, as in zram.",
            units::counted(small.same_filled, "page")
        );
        text
    }
}

// For the tests of the tables, which the validator's locks would change.
#[cfg(all(test, not(feature = "debug-lockdep")))]
impl Corpus {
    /// Objects of these lengths by either compressor, whatever the size of pages.
    pub(crate) fn of_lengths(lengths: Lengths) -> Self {
        let pages = crate::tables::PAGE_SIZES.map(|page_size| OfOnePageSize {
            page_size,
            read: Summary::default(),
            same_filled: 0,
            lengths: [lengths.clone(), lengths.clone()],
        });
        let origin = "a test".to_owned();
        Corpus { pages, origin }
    }
}

/// The mean length, in bytes.
pub(crate) fn mean_of(lengths: &Lengths) -> f64 {
    let objects: u64 = lengths.values().sum();
    let bytes: u64 = lengths.iter().map(|(len, n)| *len as u64 * n).sum();
    bytes as f64 / objects.max(1) as f64
}

impl OfOnePageSize {
    /// The exact cost of a lock for these objects, by compressor.
    pub(crate) fn cost(&self, chain_size: usize, lock_bytes: usize) -> [Figures; 2] {
        let table = size_class::table(self.page_size, chain_size);
        self.lengths.each_ref().map(|lengths| {
            let sizes = lengths.iter().map(|(len, count)| (*len, *count));
            overhead::for_sizes(&table, lock_bytes, sizes).figures
        })
    }
}

/// Reads the input in pages of `N` bytes and compresses each.
fn compress<const N: usize>(options: &Options) -> Result<OfOnePageSize, CorpusError> {
    let max_pages = (u64::from(options.amount) << 20) / N as u64;
    let mut pages: Pages<N> = match options.input.as_slice() {
        [] => Pages::of_the_system(max_pages),
        inputs => Pages::of_the_user(inputs, max_pages)?,
    };
    let mut compressors = Compressors::new(N);
    let mut lengths = [Lengths::new(), Lengths::new()];
    let mut same_filled = 0;
    for page in &mut pages {
        let page = page?;
        if is_same_filled(&page) {
            same_filled += 1;
            continue;
        }
        for (lengths, len) in lengths.iter_mut().zip(compressors.lengths_of(&page)) {
            *lengths.entry(len).or_default() += 1;
        }
    }
    let read = pages.summary();
    if read.bytes == 0 {
        return Err(CorpusError::Empty);
    }
    Ok(OfOnePageSize {
        page_size: N,
        read,
        same_filled,
        lengths,
    })
}

/// Whether a page is one 8-byte word again and again: what zram does not store.
fn is_same_filled(page: &[u8]) -> bool {
    page[8..] == page[..page.len() - 8]
}

struct Compressors {
    out: Vec<u8>,
    zstd: zstd::bulk::Compressor<'static>,
}

impl Compressors {
    fn new(page_size: usize) -> Self {
        let bound = lz4_flex::block::get_maximum_output_size(page_size);
        Compressors {
            out: vec![0; bound.max(zstd::zstd_safe::compress_bound(page_size))],
            zstd: zstd::bulk::Compressor::new(1).expect("level 1 exists"),
        }
    }

    /// The stored length by compressor: that of the page itself where it is not made smaller.
    fn lengths_of(&mut self, page: &[u8]) -> [usize; 2] {
        let lz4 = lz4_flex::block::compress_into(page, &mut self.out).ok();
        let zstd = self.zstd.compress_to_buffer(page, &mut self.out[..]).ok();
        [lz4, zstd].map(|len| len.map_or(page.len(), |len| len.min(page.len())))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_of_one_word_is_same_filled_and_one_byte_makes_it_different() {
        let mut page = [7u8; PAGE];
        assert!(is_same_filled(&page));
        page[PAGE - 1] = 8;
        assert!(!is_same_filled(&page));
        let page: Vec<u8> = (0..PAGE).map(|i| (i % 8) as u8).collect();
        assert!(is_same_filled(&page));
        let page: Vec<u8> = (0..PAGE).map(|i| (i % 16) as u8).collect();
        assert!(!is_same_filled(&page));
    }

    #[test]
    fn incompressible_pages_are_stored_raw_and_text_shrinks() {
        let mut state = 1u64;
        let noise: Vec<u8> = (0..PAGE)
            .map(|_| {
                state = state
                    .wrapping_mul(6_364_136_223_846_793_005)
                    .wrapping_add(1);
                (state >> 56) as u8
            })
            .collect();
        let text: Vec<u8> = (0..PAGE).map(|i| b"the quick brown fox "[i % 20]).collect();
        let mut compressors = Compressors::new(PAGE);
        assert_eq!(compressors.lengths_of(&noise), [PAGE; 2]);
        assert!(compressors.lengths_of(&text).iter().all(|len| *len < 100));
    }
}
