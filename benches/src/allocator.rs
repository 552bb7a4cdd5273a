//! zsalloc beside malloc: how long it takes to store, find, free and move real compressed pages.
//!
//! - [`corpus`]: the pages; [`contender`]: pools and malloc behind one trait, [`zsalloc::testbed::Store`].
//! - [`floor`]: the atomics that bound a pool with a lock from below.
//! - [`row`]: what is timed; [`subject`]: one loop for all stores; [`pair`]: two threads, on one store or one each.
//! - [`run`]: rounds of windows, interleaved; [`ratio`]: what they say; [`goal`]: what they should say; [`report`] and [`csv`].
//! - [`system`]: what pages cost whoever asks for them.
//! - [`instructions`]: counts by callgrind, which no machine's load changes.

pub mod bound;
pub mod contender;
pub mod corpus;
pub mod csv;
pub mod floor;
pub mod goal;
pub mod instructions;
pub mod keeping;
pub mod pair;
pub mod ratio;
pub mod report;
pub mod row;
pub mod run;
pub mod subject;
pub mod system;
