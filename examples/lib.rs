//! What the examples share: pages of real files to work on, random choices that can be repeated, and
//! what it takes to measure and to show numbers and pictures.

pub mod corpus;
pub mod memory;
pub mod output_file;
pub mod rng;
pub mod stdout;
pub mod svg;
pub mod units;
pub mod wrap;

/// The code of the repository's front page is run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
