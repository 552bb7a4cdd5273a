//! zsalloc beside malloc: how many bytes of memory a stored byte takes.
//!
//! - [`blobs`]: what is stored, pages of files in one of two compressions; [`contender`]: who stores it, pools and
//!   ([`blocks`]) allocators behind one trait, [`zsalloc::testbed::Store`].
//! - [`scenario`]: what happens to a store and when it is looked at; [`child`]: one store in a process of its own;
//!   [`shelf`]: its objects and what is done with them.
//! - [`launch`]: the process that looks, from outside ([`resident`]); [`run`]: rounds, interleaved.
//! - [`breakdown`]: where a pool's bytes are; [`goal`]: what it should reach; [`report`], [`csv`] and [`chart`].
//! - [`growth`]: the same with few objects and with many; [`growth_report`].
//!
//! `cargo run --release -p benches --features allocators --bin density` prints it.

pub mod blobs;
pub mod blocks;
pub mod breakdown;
pub mod chart;
pub mod child;
pub mod contender;
pub mod csv;
pub mod goal;
pub mod growth;
pub mod growth_report;
pub mod launch;
pub mod report;
pub mod resident;
pub mod run;
pub mod scenario;
pub mod shelf;
