//! What ends the program early, and the exit status that goes with it.

use std::fmt;
use std::io;
use std::process::{ExitCode, ExitStatus};

use examples::corpus::CorpusError;
use examples::stdout;

use crate::store::StoreError;

#[derive(Debug)]
pub(crate) enum Error {
    Input(CorpusError),
    Store(StoreError),
    /// The process that measures a store could not be started.
    Start(io::Error),
    /// It ended without figures; its message is on stderr already.
    Measure(ExitStatus),
    Output(io::Error),
}

impl Error {
    /// Tells the user on stderr; 2 means that the command line was to blame.
    pub(crate) fn report(&self) -> ExitCode {
        let told = match self {
            Error::Output(cause) => stdout::is_closed(cause),
            Error::Measure(status) => status.code().is_some(),
            _ => false,
        };
        if !told {
            eprintln!("error: {self}");
        }
        match self {
            Error::Input(_) => ExitCode::from(2),
            Error::Measure(status) if status.code() == Some(2) => ExitCode::from(2),
            _ => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Input(cause) => cause.fmt(f),
            Error::Store(cause) => cause.fmt(f),
            Error::Start(cause) => write!(f, "cannot start a process to measure a store: {cause}"),
            Error::Measure(status) => {
                write!(f, "the process that measures a store ended with {status}")
            }
            Error::Output(cause) => f.write_str(&stdout::refused(cause)),
        }
    }
}

impl From<io::Error> for Error {
    fn from(error: io::Error) -> Self {
        Error::Output(error)
    }
}

impl From<CorpusError> for Error {
    fn from(error: CorpusError) -> Self {
        Error::Input(error)
    }
}

impl From<StoreError> for Error {
    fn from(error: StoreError) -> Self {
        Error::Store(error)
    }
}
