//! Chapters: how the validator is used, what it can and cannot see, and how it is
//! tested.

#[doc = include_str!("docs/mutants.md")]
pub mod mutants {}
