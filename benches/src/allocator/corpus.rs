//! What is stored: pages of files of this machine, compressed.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

/// The bytes of a page.
pub const PAGE: usize = 4096;

/// Where pages come from unless the user says otherwise: code, and data of many kinds.
pub const FOLDERS: [&str; 2] = ["/usr/bin", "/usr/lib"];

/// Blobs of 1 to 4096 bytes, in one piece of memory, so that they say nothing about an allocator.
#[derive(Clone, Debug, Default)]
pub struct Corpus {
    bytes: Vec<u8>,
    /// Where each blob ends; it begins where the one before it ends.
    ends: Vec<usize>,
    incompressible: usize,
    same_filled: usize,
}

impl Corpus {
    /// `pages` pages of the files in `folders`, compressed with lz4: the files in order of their paths make one long row of
    /// pages, of which every n-th is taken. Every run on the same files therefore has the same corpus.
    ///
    /// Like a compressed swap device it does not store a page of one repeated byte, and stores one raw that does not
    /// shrink.
    ///
    /// # Errors
    ///
    /// If a folder cannot be read, or there are fewer pages than asked for.
    pub fn of_pages(folders: &[PathBuf], pages: usize) -> io::Result<Self> {
        let mut files = Vec::new();
        for folder in folders {
            list(folder, &mut files)?;
        }
        files.sort();
        let available: usize = files.iter().map(|(_, pages)| pages).sum();
        if available < pages || pages == 0 {
            return Err(io::Error::other(format!(
                "the folders have {available} pages of files, {pages} are wanted"
            )));
        }
        let mut corpus = Self::default();
        let mut table = vec![0; lz4_flex::block::get_maximum_output_size(PAGE)];
        let (mut before, mut taken) = (0, 0);
        for (path, length) in files {
            // The taken pages are number available * i / pages of the row.
            let mut file = None;
            while taken < pages && available * taken / pages < before + length {
                let place = available * taken / pages - before;
                taken += 1;
                if file.is_none() {
                    file = File::open(&path).ok();
                }
                let mut page = [0; PAGE];
                // Unreadable, or shorter by now: the corpus is one page smaller.
                if let Some(file) = &file
                    && file.read_exact_at(&mut page, (place * PAGE) as u64).is_ok()
                {
                    corpus.push_page(&page, &mut table);
                }
            }
            before += length;
        }
        Ok(corpus)
    }

    fn push_page(&mut self, page: &[u8; PAGE], compressed: &mut [u8]) {
        if page.iter().all(|byte| *byte == page[0]) {
            self.same_filled += 1;
            return;
        }
        let length = lz4_flex::block::compress_into(page, compressed)
            .expect("the target has the size that lz4 asks for");
        if length < PAGE {
            self.push(&compressed[..length]);
        } else {
            self.incompressible += 1;
            self.push(page);
        }
    }

    /// `count` blobs of `length` bytes, all different.
    #[must_use]
    pub fn of_length(length: usize, count: usize) -> Self {
        let mut corpus = Self::default();
        for number in 0..count {
            let mut blob = vec![number as u8; length];
            blob[..8].copy_from_slice(&number.to_le_bytes());
            corpus.push(&blob);
        }
        corpus
    }

    fn push(&mut self, blob: &[u8]) {
        self.bytes.extend_from_slice(blob);
        self.ends.push(self.bytes.len());
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

    /// The blob of that number.
    #[must_use]
    pub fn blob(&self, number: usize) -> &[u8] {
        let start = number.checked_sub(1).map_or(0, |before| self.ends[before]);
        &self.bytes[start..self.ends[number]]
    }

    /// The bytes of all blobs.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }

    /// In words: how many pages became what.
    #[must_use]
    pub fn describe(&self) -> String {
        format!(
            "{} pages of files in {}, compressed with lz4 to {:.0} bytes in the mean; {} of them do not shrink and are stored \
             raw; {} more have one repeated byte and are left out",
            self.len(),
            FOLDERS.join(" and "),
            self.bytes() as f64 / self.len() as f64,
            self.incompressible,
            self.same_filled,
        )
    }
}

/// Adds the regular files below `folder` that have a whole page, and how many they have. Links are not followed.
fn list(folder: &Path, files: &mut Vec<(PathBuf, usize)>) -> io::Result<()> {
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_dir() {
            // Some folders are not for everybody.
            let _ = list(&entry.path(), files);
        } else if kind.is_file() {
            let pages = entry.metadata()?.len() as usize / PAGE;
            if pages > 0 {
                files.push((entry.path(), pages));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("corpus-{name}-{}", std::process::id()));
        fs::create_dir_all(folder.join("below")).unwrap();
        folder
    }

    #[test]
    fn pages_of_files_come_back_as_they_were() {
        let folder = folder("pages");
        let text: Vec<u8> = (0..3 * PAGE).map(|place| (place / 64) as u8).collect();
        fs::write(folder.join("text"), &text).unwrap();
        fs::write(folder.join("below/zero"), [0; PAGE]).unwrap();
        fs::write(folder.join("short"), [1; 100]).unwrap();
        let corpus = Corpus::of_pages(std::slice::from_ref(&folder), 4).unwrap();
        assert_eq!((corpus.len(), corpus.same_filled), (3, 1));
        for number in 0..3 {
            let page = lz4_flex::block::decompress(corpus.blob(number), PAGE).unwrap();
            assert_eq!(page, text[number * PAGE..][..PAGE]);
        }
        let again = Corpus::of_pages(std::slice::from_ref(&folder), 4).unwrap();
        assert_eq!(again.bytes, corpus.bytes);
        let two = Corpus::of_pages(std::slice::from_ref(&folder), 2).unwrap();
        assert!(two.len() < 3);
        assert!(Corpus::of_pages(std::slice::from_ref(&folder), 5).is_err());
        fs::remove_dir_all(folder).unwrap();
    }

    #[test]
    fn a_page_that_does_not_shrink_is_stored_raw() {
        let mut dice = crate::work::Dice::new(3);
        let page = std::array::from_fn(|_| dice.roll(256) as u8);
        let mut corpus = Corpus::default();
        let mut table = vec![0; lz4_flex::block::get_maximum_output_size(PAGE)];
        corpus.push_page(&page, &mut table);
        assert_eq!((corpus.blob(0), corpus.incompressible), (&page[..], 1));
    }

    #[test]
    fn blobs_of_one_length_differ() {
        let corpus = Corpus::of_length(100, 300);
        assert_eq!((corpus.len(), corpus.bytes()), (300, 30_000));
        assert_ne!(corpus.blob(0), corpus.blob(256));
    }
}
