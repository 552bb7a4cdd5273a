//! Where the pages come from: files and folders, read page by page and never held in memory as a
//! whole.

use std::fmt;
use std::fs::{self, File};
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};

/// Bytes in a page.
pub const PAGE: usize = 4096;

/// The contents of one page.
pub type Page = [u8; PAGE];

/// Folders that every Linux system has; the running executable comes before them.
const SYSTEM_FOLDERS: [&str; 3] = ["/usr/bin", "/usr/lib", "/usr/share/doc"];

/// Input that cannot be used; each message says what to do.
#[derive(Debug)]
pub enum CorpusError {
    /// There is no such path.
    Missing(PathBuf),
    /// The path exists and cannot be read.
    Unreadable(PathBuf, io::Error),
    /// Everything was read, and there was not a byte in it.
    Empty,
}

impl fmt::Display for CorpusError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Missing(path) => write!(
                f,
                "there is no {}: give --input the path of an existing file or directory",
                path.display()
            ),
            Self::Unreadable(path, cause) => write!(
                f,
                "cannot read {}: {cause}; give --input only what this user may read",
                path.display()
            ),
            Self::Empty => f.write_str(
                "the input holds no bytes, so there is nothing to store: name files that are not \
                 empty, or leave out --input to use the system's own",
            ),
        }
    }
}

/// What has been read so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// Files opened.
    pub files: u64,
    /// Bytes of those files, without the zeros that fill up pages.
    pub bytes: u64,
    /// Pages returned.
    pub pages: u64,
    /// The bound on the amount stopped the reading.
    pub bounded: bool,
}

/// The pages of the input, of `N` bytes each, in the order of the paths. The last page of a file is
/// filled up with zeros, as in the page cache.
#[derive(Debug)]
pub struct Pages<const N: usize = PAGE> {
    /// Roots not begun yet, last one first.
    roots: Vec<PathBuf>,
    /// Files and folders of the current root still to be read, next one last.
    pending: Vec<PathBuf>,
    file: Option<OpenFile>,
    strict: bool,
    /// Pages that may still be read: in all, of this root, of one file.
    left: u64,
    left_of_root: u64,
    per_file: u64,
    summary: Summary,
}

#[derive(Debug)]
struct OpenFile {
    path: PathBuf,
    reader: BufReader<File>,
    left: u64,
}

impl<const N: usize> Pages<N> {
    /// The executable and the system's folders, an equal share of `max_pages` from each and from no
    /// file more than a sixteenth of that, so that programs, libraries and texts are all there.
    /// What cannot be read is passed over.
    pub fn of_the_system(max_pages: u64) -> Self {
        let mut roots: Vec<PathBuf> = SYSTEM_FOLDERS.iter().rev().map(PathBuf::from).collect();
        roots.extend(std::env::current_exe());
        Self::new(roots, max_pages, false)
    }

    /// The user's paths, each to its end or until `max_pages` are read. What cannot be read is an
    /// error.
    pub fn of_the_user(inputs: &[PathBuf], max_pages: u64) -> Result<Self, CorpusError> {
        // All paths first: a typing error in the last one should not cost the time of reading the
        // others.
        for path in inputs {
            fs::metadata(path).map_err(|cause| refuse(path, cause))?;
        }
        Ok(Self::new(
            inputs.iter().rev().cloned().collect(),
            max_pages,
            true,
        ))
    }

    fn new(roots: Vec<PathBuf>, max_pages: u64, strict: bool) -> Self {
        Pages {
            roots,
            pending: Vec::new(),
            file: None,
            strict,
            left: max_pages,
            left_of_root: 0,
            per_file: u64::MAX,
            summary: Summary::default(),
        }
    }

    /// What has been read so far.
    pub fn summary(&self) -> Summary {
        self.summary
    }

    /// Reads the next page of the open file; `None` when the file has ended.
    fn page_of_file(&mut self) -> Result<Option<[u8; N]>, CorpusError> {
        let Some(file) = &mut self.file else {
            return Ok(None);
        };
        let mut page = [0; N];
        let len = if file.left == 0 {
            0
        } else {
            read_full(&mut file.reader, &mut page).map_err(|e| refuse(&file.path, e))?
        };
        if len == 0 {
            self.file = None;
            return Ok(None);
        }
        file.left -= 1;
        self.left -= 1;
        self.left_of_root -= 1;
        self.summary.pages += 1;
        self.summary.bytes += len as u64;
        Ok(Some(page))
    }

    /// Opens the next file, descending into folders; false when there is nothing more to read.
    fn open_next(&mut self) -> Result<bool, CorpusError> {
        if self.left_of_root == 0 || self.pending.is_empty() {
            let Some(root) = self.roots.pop() else {
                return Ok(false);
            };
            self.begin_root(root);
        }
        let Some(path) = self.pending.pop() else {
            return Ok(true);
        };
        let kind = fs::metadata(&path).map_err(|e| refuse(&path, e))?;
        if kind.is_dir() {
            self.pending
                .extend(entries(&path).map_err(|e| refuse(&path, e))?);
        } else {
            let file = File::open(&path).map_err(|e| refuse(&path, e))?;
            // A bounded buffer in front of the file: one system call for many pages.
            let reader = BufReader::with_capacity(128 << 10, file);
            self.summary.files += 1;
            self.file = Some(OpenFile {
                path,
                reader,
                left: self.per_file,
            });
        }
        Ok(true)
    }

    fn begin_root(&mut self, root: PathBuf) {
        if self.strict {
            self.left_of_root = self.left;
        } else {
            // Whatever an earlier root did not use goes to the later ones.
            self.left_of_root = self.left / (self.roots.len() as u64 + 1);
            self.per_file = if root.is_dir() {
                (self.left_of_root / 16).max(1)
            } else {
                u64::MAX
            };
        }
        self.pending = vec![root];
    }
}

impl<const N: usize> Iterator for Pages<N> {
    type Item = Result<[u8; N], CorpusError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            if self.left == 0 {
                self.summary.bounded = true;
                return None;
            }
            // A root whose share is used up gives way to the next one.
            if self.left_of_root == 0 {
                self.file = None;
            }
            let step = match self.page_of_file() {
                Ok(Some(page)) => return Some(Ok(page)),
                Ok(None) => self.open_next(),
                Err(error) => Err(error),
            };
            match step {
                Ok(true) => {}
                Ok(false) => return None,
                Err(error) => {
                    self.file = None;
                    if self.strict {
                        return Some(Err(error));
                    }
                }
            }
        }
    }
}

fn refuse(path: &Path, cause: io::Error) -> CorpusError {
    match cause.kind() {
        io::ErrorKind::NotFound => CorpusError::Missing(path.to_owned()),
        _ => CorpusError::Unreadable(path.to_owned(), cause),
    }
}

/// The regular files and folders in `folder`, last name first. Links are left out: they lead to
/// what is read anyway, or round in circles; so are devices and pipes, which have no end.
fn entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let kind = entry.file_type()?;
        if kind.is_file() || kind.is_dir() {
            found.push(entry.path());
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Fills `buffer` as far as the reader has bytes; a short count means the end.
fn read_full(reader: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    let mut len = 0;
    while len < buffer.len() {
        match reader.read(&mut buffer[len..]) {
            Ok(0) => break,
            Ok(n) => len += n,
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) => return Err(e),
        }
    }
    Ok(len)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A folder of its own for one test, removed at the end.
    struct Folder(PathBuf);

    impl Folder {
        fn new(test: &str) -> Self {
            let path = std::env::temp_dir().join(format!("corpus-{test}-{}", std::process::id()));
            fs::create_dir_all(path.join("sub")).unwrap();
            Folder(path)
        }

        fn file(&self, name: &str, bytes: &[u8]) -> PathBuf {
            let path = self.0.join(name);
            fs::write(&path, bytes).unwrap();
            path
        }
    }

    impl Drop for Folder {
        fn drop(&mut self) {
            let _ = fs::remove_dir_all(&self.0);
        }
    }

    fn read(inputs: &[PathBuf], max_pages: u64) -> (Vec<Page>, Summary) {
        let mut pages = Pages::<PAGE>::of_the_user(inputs, max_pages).unwrap();
        let read = pages.by_ref().map(|page| page.unwrap()).collect();
        (read, pages.summary())
    }

    #[test]
    fn a_file_is_cut_into_pages_and_its_tail_is_filled_with_zeros() {
        let folder = Folder::new("cut");
        let bytes: Vec<u8> = (0..PAGE + 10).map(|i| (i % 251) as u8 + 1).collect();
        let (pages, summary) = read(&[folder.file("a", &bytes)], 100);
        assert_eq!(pages.len(), 2);
        assert_eq!(pages[0], bytes[..PAGE]);
        assert_eq!(pages[1][..10], bytes[PAGE..]);
        assert_eq!(pages[1][10..], [0; PAGE - 10]);
        assert_eq!(
            summary,
            Summary {
                files: 1,
                bytes: bytes.len() as u64,
                pages: 2,
                bounded: false
            }
        );
    }

    #[test]
    fn folders_are_read_in_the_order_of_names_and_links_are_not_followed() {
        let folder = Folder::new("order");
        folder.file("b", &[2; 3]);
        folder.file("sub/c", &[3; 3]);
        folder.file("a", &[1; 3]);
        std::os::unix::fs::symlink(&folder.0, folder.0.join("sub/round")).unwrap();
        let (pages, _) = read(std::slice::from_ref(&folder.0), 100);
        assert_eq!(
            pages.iter().map(|page| page[0]).collect::<Vec<_>>(),
            [1, 2, 3]
        );
    }

    #[test]
    fn the_bound_holds_and_is_reported() {
        let folder = Folder::new("bound");
        let input = [
            folder.file("a", &[1; 3 * PAGE]),
            folder.file("b", &[2; 3 * PAGE]),
        ];
        let (pages, summary) = read(&input, 4);
        assert_eq!(
            pages.iter().map(|page| page[0]).collect::<Vec<_>>(),
            [1, 1, 1, 2]
        );
        assert!(summary.bounded);
        assert!(!read(&input, 7).1.bounded);
    }

    #[test]
    fn missing_and_unreadable_input_is_named() {
        let folder = Folder::new("missing");
        let gone = folder.0.join("gone");
        let error = Pages::<PAGE>::of_the_user(std::slice::from_ref(&gone), 1).unwrap_err();
        assert!(
            matches!(&error, CorpusError::Missing(path) if *path == gone),
            "{error:?}"
        );

        // Reading address 0 of a process fails for every user, root included.
        let mut pages = Pages::<PAGE>::of_the_user(&["/proc/self/mem".into()], 1).unwrap();
        let error = pages.next().unwrap().unwrap_err();
        assert!(matches!(error, CorpusError::Unreadable(..)), "{error:?}");
    }

    #[test]
    fn the_system_has_enough_pages_and_no_root_takes_all() {
        let mut pages = Pages::<PAGE>::of_the_system(400);
        let read = pages.by_ref().filter(|page| page.is_ok()).count() as u64;
        assert_eq!(read, pages.summary().pages);
        assert!(read <= 400);
        assert!(pages.summary().files > 4, "{:?}", pages.summary());
    }
}
