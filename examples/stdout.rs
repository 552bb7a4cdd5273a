//! What an example does when its output cannot be written: one manner for all of them.

use std::io;
use std::process::ExitCode;

/// Ends an example that can fail only to write: status 0 if all is well, 1 if not or if nobody could be told.
pub fn ended(finished: io::Result<bool>) -> ExitCode {
    match finished {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(cause) => {
            if !is_closed(&cause) {
                eprintln!("error: {}", refused(&cause));
            }
            ExitCode::FAILURE
        }
    }
}

/// Whether whoever read the output has gone, as in `migration | head`: he has seen enough, and needs no message.
pub fn is_closed(cause: &io::Error) -> bool {
    cause.kind() == io::ErrorKind::BrokenPipe
}

/// The message for any other failure.
pub fn refused(cause: &io::Error) -> String {
    format!("cannot write to stdout: {cause}")
}
