//! Chapters: for those who choose a pool, plug something into it, or read the code next.

#[doc = include_str!("docs/ownership.md")]
pub mod ownership {}
