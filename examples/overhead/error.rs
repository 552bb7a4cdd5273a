//! What ends the program early, and the exit status that goes with it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use examples::corpus::CorpusError;
use examples::stdout;

#[derive(Debug)]
pub(crate) enum Error {
    Input(CorpusError),
    /// All pages are same-filled.
    NothingStored,
    /// `--svg` or `--csv`.
    File(PathBuf, io::Error),
    Pool(zsalloc::AllocError),
    Output(io::Error),
}

impl Error {
    /// Tells the user on stderr; 2 means that the command line was to blame.
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self, Error::Output(cause) if stdout::is_closed(cause)) {
            eprintln!("error: {self}");
        }
        match self {
            Error::Input(_) | Error::NothingStored | Error::File(..) => ExitCode::from(2),
            Error::Pool(_) | Error::Output(_) => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Input(cause) => cause.fmt(f),
            Error::NothingStored => f.write_str(
                "every page of the input repeats one word, so no object would be stored: name other files",
            ),
            Error::File(path, cause) => write!(
                f,
                "cannot write {}: {cause}; name a file in a folder that exists and is writable",
                path.display()
            ),
            Error::Pool(cause) => write!(f, "cannot store an object: {cause}"),
            Error::Output(cause) => f.write_str(&stdout::refused(cause)),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Output(error)
    }
}
