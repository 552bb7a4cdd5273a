//! Everything that ends the program early, and the exit status that goes with it.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::process::ExitCode;

use zsalloc::BuildError;

use crate::store::FillError;
use crate::workload::RunError;
use examples::corpus::CorpusError;
use examples::stdout;

#[derive(Debug)]
pub(crate) enum Error {
    Input(CorpusError),
    Picture(PathBuf, io::Error),
    Pool(BuildError),
    Alloc(zsalloc::AllocError),
    Run(RunError),
    Output(io::Error),
}

impl Error {
    /// Tells the user on stderr; 2 means that the command line was to blame.
    pub(crate) fn report(&self) -> ExitCode {
        if !matches!(self, Error::Output(cause) if stdout::is_closed(cause)) {
            eprintln!("error: {self}");
        }
        match self {
            Error::Input(_) | Error::Picture(..) => ExitCode::from(2),
            Error::Pool(_) | Error::Alloc(_) | Error::Run(_) | Error::Output(_) => {
                ExitCode::FAILURE
            }
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Input(cause) => cause.fmt(f),
            Error::Picture(path, cause) => write!(
                f,
                "cannot write the picture to {}: {cause}; give --svg a file in a folder that exists and \
                 is writable",
                path.display()
            ),
            Error::Pool(cause) => write!(f, "cannot build the pool: {cause}"),
            Error::Alloc(cause) | Error::Run(RunError::Alloc(cause)) => {
                write!(f, "cannot store an object: {cause}")
            }
            Error::Run(RunError::Migrate(cause)) => write!(f, "cannot migrate a zspage: {cause}"),
            Error::Run(RunError::Panicked(name)) => {
                write!(f, "the {name} panicked; its message is above")
            }
            Error::Output(cause) => f.write_str(&stdout::refused(cause)),
        }
    }
}

impl From<FillError> for Error {
    fn from(error: FillError) -> Self {
        match error {
            FillError::Corpus(cause) => Error::Input(cause),
            FillError::Alloc(cause) => Error::Alloc(cause),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Output(error)
    }
}
