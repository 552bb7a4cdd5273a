//! The options of the command line.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Parser, ValueEnum};

/// Compressed pages of real files live in a zsalloc pool; threads map them while zspages move.
///
/// Readers map objects and check them, sleepers keep a map while they sleep, a churner frees and
/// inserts, and a migrator moves every zspage to other pages and compacts. The program prints a
/// timeline of the maps that waited for a moving zspage and of the migrations that were refused
/// because a map was held, then the figures, and checks every byte.
///
/// Exit status: 0 verified, 1 something was wrong or the output could not be written, 2 bad option or
/// input.
#[derive(Debug, Parser)]
#[command(name = "migration", verbatim_doc_comment)]
pub(crate) struct Options {
    /// Files or directories to store
    /// [default: this executable, /usr/bin, /usr/lib and /usr/share/doc]
    ///
    /// Directories are read recursively, without following symbolic links. A path that is missing
    /// or cannot be read ends the program; in the default folders such files are passed over.
    #[arg(long, value_name = "PATH", num_args = 1.., verbatim_doc_comment)]
    pub(crate) input: Vec<PathBuf>,

    /// Read at most this much, in MiB (1 to 4096).
    #[arg(long, value_name = "MIB", default_value_t = 48)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub(crate) amount: u32,

    /// Threads that map objects and check them (1 to 64).
    #[arg(long, value_name = "N", default_value_t = 2)]
    #[arg(value_parser = clap::value_parser!(u32).range(1..=64))]
    pub(crate) threads: u32,

    /// Further threads that sleep 5 to 60 ms while they hold a map (0 to 64).
    #[arg(long, value_name = "N", default_value_t = 3)]
    #[arg(value_parser = clap::value_parser!(u32).range(0..=64))]
    pub(crate) sleepers: u32,

    /// Seconds that the threads run (0.05 to 60); loading and verifying come on top.
    #[arg(long, value_name = "SECONDS", default_value = "2.5", value_parser = parse_duration)]
    pub(crate) duration: Duration,

    /// Seed of all random choices; the order in which threads meet is the scheduler's all the same.
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(crate) seed: u64,

    /// The lock in every zspage.
    #[arg(long, value_enum, default_value_t = Lock::Zslock)]
    pub(crate) lock: Lock,

    /// Also draw the timeline into this file.
    #[arg(long, value_name = "FILE")]
    pub(crate) svg: Option<PathBuf>,
}

/// The locks that can be plugged into the pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Lock {
    /// The preemptible zspage lock: 4 bytes, readers never wait for a waiting writer.
    Zslock,
    /// parking_lot's RwLock: 8 bytes.
    #[value(name = "parking_lot")]
    ParkingLot,
}

impl Lock {
    /// The name that `--lock` knows it by.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Lock::Zslock => "zslock",
            Lock::ParkingLot => "parking_lot",
        }
    }
}

fn parse_duration(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text
        .parse()
        .map_err(|_| "not a number of seconds".to_owned())?;
    if (0.05..=60.0).contains(&seconds) {
        Ok(Duration::from_secs_f64(seconds))
    } else {
        Err("choose between 0.05 and 60 seconds".to_owned())
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
    fn durations_outside_the_range_are_errors() {
        assert_eq!(parse_duration("0.5"), Ok(Duration::from_millis(500)));
        for bad in ["0", "-1", "61", "inf", "NaN", "soon", ""] {
            assert!(parse_duration(bad).is_err(), "{bad:?} was accepted");
        }
    }

    #[test]
    fn zero_threads_are_refused_and_locks_have_their_crate_names() {
        assert!(Options::try_parse_from(["migration", "--threads", "0"]).is_err());
        let options = Options::try_parse_from(["migration", "--lock", "parking_lot"]).unwrap();
        assert_eq!(options.lock, Lock::ParkingLot);
        let defaults = Options::try_parse_from(["migration"]).unwrap();
        assert_eq!(defaults.lock, Lock::Zslock);
        for lock in [Lock::Zslock, Lock::ParkingLot] {
            assert_eq!(Lock::from_str(lock.name(), false), Ok(lock));
        }
    }
}
