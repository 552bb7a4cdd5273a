//! A file that results go to: a picture, a table.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

/// A file that can be written, as was found out before any work was done. If the run ends before there
/// is a result, no empty file stays behind; one that was there before keeps its contents.
#[derive(Debug)]
pub struct OutputFile {
    path: PathBuf,
    /// It is empty, and made here.
    new: bool,
}

impl OutputFile {
    /// Finds out whether `path` can be written.
    pub fn reserve(path: &Path) -> io::Result<Self> {
        let new = match OpenOptions::new().write(true).create_new(true).open(path) {
            Ok(_) => true,
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                OpenOptions::new().create(true).append(true).open(path)?;
                false
            }
            Err(error) => return Err(error),
        };
        Ok(OutputFile {
            path: path.to_owned(),
            new,
        })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the result into the file.
    pub fn write(mut self, contents: &str) -> io::Result<()> {
        fs::write(&self.path, contents)?;
        self.new = false;
        Ok(())
    }
}

impl Drop for OutputFile {
    fn drop(&mut self) {
        if self.new {
            // The run ends with an error already, which tells more than a second one would.
            let _ = fs::remove_file(&self.path);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A path of this process in the system's folder for such things.
    fn scratch(name: &str) -> PathBuf {
        std::env::temp_dir().join(format!("output-{}-{name}", std::process::id()))
    }

    #[test]
    fn a_run_that_ends_early_leaves_no_new_file() {
        let path = scratch("early");
        let file = OutputFile::reserve(&path).unwrap();
        assert!(path.exists());
        drop(file);
        assert!(!path.exists());
    }

    #[test]
    fn a_file_that_was_there_keeps_its_contents_until_the_result_is_written() {
        let path = scratch("there");
        fs::write(&path, "before").unwrap();
        drop(OutputFile::reserve(&path).unwrap());
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        OutputFile::reserve(&path).unwrap().write("now").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "now");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_written_file_stays() {
        let path = scratch("written");
        OutputFile::reserve(&path).unwrap().write("new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
        fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_folder_that_does_not_exist_is_an_error() {
        let path = scratch("folder").join("file");
        let error = OutputFile::reserve(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotFound);
    }
}
