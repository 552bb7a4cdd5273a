//! Memory for what the pool keeps about objects: never the user's [`PageSource`](crate::PageSource),
//! whose limits and counts are about objects, and not malloc's heap either. There, what dies at random
//! between longer-lived blocks leaves gaps that malloc cannot give back.
//!
//! [`MetadataPages`] has whole pages, for segments of tables.

mod pages;

pub(crate) use pages::MetadataPages;
