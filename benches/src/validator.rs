//! What validating the order of locks costs: lockdep beside other validators, each over the same lock without it.
//!
//! - [`family`]: the locks behind one trait; [`contender`]: a family with an environment and a build.
//! - [`workload`]: what is timed, one set of loops for all families.
//! - [`task`]: what one process does. Every window is a process of its own, so that no contender meets what another or an
//!   earlier workload has left in the tables of a validator; [`launch`] starts these processes.
//! - [`fresh`]: dependencies that are seen for the first time; [`memory`]: what a lock leaves behind; [`instructions`].
//! - [`run`]: rounds of windows, interleaved; [`ratio`]: what they say; [`report`] and [`csv`].

pub mod contender;
pub mod csv;
pub mod family;
pub mod fresh;
pub mod instructions;
pub mod launch;
pub mod memory;
pub mod ratio;
pub mod report;
pub mod run;
pub mod task;
pub mod workload;
