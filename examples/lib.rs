//! What the examples share: pages of real files to work on, and what it takes to show numbers and
//! pictures.

pub mod corpus;
pub mod output_file;
pub mod svg;
pub mod units;

/// The code of the repository's front page is run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
