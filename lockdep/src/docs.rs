//! Chapters: how to use the validator, what it can see, and how it works.

#[doc = include_str!("docs/reading_a_report.md")]
pub mod reading_a_report {}

#[doc = include_str!("docs/annotating.md")]
pub mod annotating {}

#[doc = include_str!("docs/classes.md")]
pub mod classes {}

#[doc = include_str!("docs/limits.md")]
pub mod limits {}

#[doc = include_str!("docs/comparison.md")]
pub mod comparison {}

#[doc = include_str!("docs/validator.md")]
pub mod validator {}

#[doc = include_str!("docs/mutants.md")]
pub mod mutants {}
