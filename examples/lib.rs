//! Empty: the examples share nothing, but Cargo wants a library beside them.

/// The code of the repository's front page is run with the documentation tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
