//! The options of the command line.

use std::path::PathBuf;

use clap::Parser;

/// What does a lock in every zspage cost a compressed page?
///
/// Prints the exact figures for all size classes, and for the compressed pages of real files; judges
/// for each lock whether its overhead is insignificant, and an estimate made when the kernel's lock
/// was reviewed.
///
/// Exit status: 0 all checks passed, 1 a check failed or the output could not be written, 2 bad option
/// or input.
#[derive(Debug, Parser)]
#[command(name = "overhead", verbatim_doc_comment)]
pub(crate) struct Options {
    /// Files or directories whose pages are compressed
    /// [default: this executable, /usr/bin, /usr/lib and /usr/share/doc]
    ///
    /// Directories are read recursively, without following symbolic links, in the order of names. A
    /// path that is missing or cannot be read ends the program; in the default folders such files are
    /// passed over.
    #[arg(long, value_name = "PATH", num_args = 1.., verbatim_doc_comment)]
    pub(crate) input: Vec<PathBuf>,

    /// Read at most this much, in MiB (1 to 4096).
    #[arg(long, value_name = "MIB", default_value_t = 48)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) amount: u32,

    /// Also draw the overhead over the object size into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,

    /// Also write the figures of every size class into this file, comma-separated.
    #[arg(long, value_name = "FILE")]
    pub(crate) csv: Option<PathBuf>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_is_well_formed() {
        use clap::CommandFactory;
        Options::command().debug_assert();
    }

    #[test]
    fn an_amount_of_nothing_is_refused() {
        assert!(Options::try_parse_from(["overhead", "--amount", "0"]).is_err());
        assert_eq!(Options::parse_from(["overhead"]).amount, 48);
    }
}
