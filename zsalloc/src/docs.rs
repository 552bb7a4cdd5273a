//! Chapters: for those who choose a pool, plug something into it, or read the code next. The
//! glossary, the lock order and the concurrency rules are on the [crate's front page](crate).

#[doc = include_str!("docs/choosing.md")]
pub mod choosing {}

#[doc = include_str!("docs/ownership.md")]
pub mod ownership {}

#[doc = include_str!("docs/life.md")]
pub mod life {}

#[doc = include_str!("docs/complexity.md")]
pub mod complexity {}

#[doc = include_str!("docs/limits.md")]
pub mod limits {}

#[doc = include_str!("docs/plugging_in.md")]
pub mod plugging_in {}

#[doc = include_str!("docs/comparison.md")]
pub mod comparison {}
