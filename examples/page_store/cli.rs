//! The options of the command line.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Parser, ValueEnum};

use crate::codec::Compression;

/// An in-memory store of compressed pages on a zsalloc pool, beside a map of vectors on the heap.
///
/// Pages of real files are stored, read, replaced and removed by several threads; every page that
/// comes out is checked. Each store runs in a process of its own, so that the resident sizes can be
/// compared.
///
/// Exit status: 0 verified, 1 something was wrong or the output could not be written, 2 bad option or
/// input.
#[derive(Debug, Parser)]
#[command(name = "page_store", verbatim_doc_comment)]
pub(crate) struct Options {
    /// Files or directories to store
    /// [default: this executable, /usr/bin, /usr/lib and /usr/share/doc]
    ///
    /// Directories are read recursively, without following symbolic links. A path that is missing or
    /// cannot be read ends the program; in the default folders such files are passed over.
    #[arg(long, value_name = "PATH", num_args = 1.., verbatim_doc_comment)]
    pub(crate) input: Vec<PathBuf>,

    /// Read at most this much, in MiB (1 to 4096).
    #[arg(long, value_name = "MIB", default_value_t = 64)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) amount: u32,

    /// Threads that put, get and remove (1 to 64).
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) threads: u32,

    /// The most memory that the pool may take, in MiB; the map has no limit (1 to 8192).
    #[arg(long, value_name = "MIB", default_value_t = 8192)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=8192))]
    pub(crate) limit: u32,

    /// The compressor; both, one after the other, if it is not given.
    #[arg(long, value_enum)]
    pub(crate) compression: Option<Compression>,

    /// Seed of all random choices.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// Measure this store, in this process, and print figures for the program that started it.
    #[arg(long, value_enum, hide = true)]
    pub(crate) measure: Option<Kind>,
}

/// The stores that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// On a zsalloc pool.
    Pool,
    /// A map of vectors.
    Heap,
}

impl Options {
    /// The options of a process that measures one store.
    pub(crate) fn of_child(&self, kind: Kind, compression: Compression) -> Vec<OsString> {
        let name = |value: Option<clap::builder::PossibleValue>| {
            value
                .map(|value| value.get_name().to_owned())
                .unwrap_or_default()
        };
        let mut args: Vec<OsString> = [
            format!("--amount={}", self.amount),
            format!("--threads={}", self.threads),
            format!("--limit={}", self.limit),
            format!("--seed={}", self.seed),
            format!("--compression={}", name(compression.to_possible_value())),
            format!("--measure={}", name(kind.to_possible_value())),
        ]
        .map(OsString::from)
        .into();
        if !self.input.is_empty() {
            args.push("--input".into());
            args.extend(self.input.iter().map(OsString::from));
        }
        args
    }
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
    fn a_child_has_the_options_of_its_parent() {
        let args = [
            "page_store",
            "--amount",
            "3",
            "--seed",
            "9",
            "--limit",
            "5",
            "--input",
            "a",
        ];
        let parent = Options::parse_from(args);
        let mut child = vec![OsString::from("page_store")];
        child.extend(parent.of_child(Kind::Heap, Compression::Zstd));
        let child = Options::parse_from(child);
        assert_eq!(
            (child.measure, child.compression),
            (Some(Kind::Heap), Some(Compression::Zstd))
        );
        assert_eq!(
            (
                child.amount,
                child.threads,
                child.limit,
                child.seed,
                child.input
            ),
            (3, 2, 5, 9, vec![PathBuf::from("a")])
        );
    }
}
