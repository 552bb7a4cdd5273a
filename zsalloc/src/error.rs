//! Every error of the crate, one enum per operation.

use std::error::Error;
use std::fmt;

/// Why an object could not be stored ([`Pool::insert`](crate::Pool::insert),
/// [`alloc`](crate::Pool::alloc), [`replace`](crate::Pool::replace)). The pool is unchanged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum AllocError {
    /// An object has at least one byte. Store "nothing" as the absence of a handle.
    ZeroSize,
    /// The object is longer than the largest size class.
    TooLarge {
        /// The length asked for, in bytes.
        len: usize,
        /// The longest object this pool stores, in bytes: its page size.
        max: usize,
    },
    /// The page source had no pages, or every one of the 2^32 handles is in use.
    OutOfMemory,
    /// The pool would hold more pages than [`max_pages`](crate::PoolBuilder::max_pages) allows.
    /// Free objects, or [`compact`](crate::Pool::compact), and try again.
    Limit {
        /// The limit, in pages of the pool's page size.
        max_pages: usize,
    },
}

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ZeroSize => write!(f, "an object needs at least one byte"),
            Self::TooLarge { len, max } => write!(
                f,
                "an object of {len} bytes is larger than this pool's maximum of {max}; \
                 split it, or build the pool with a larger page size"
            ),
            Self::OutOfMemory => write!(f, "the page source is out of memory"),
            Self::Limit { max_pages } => write!(
                f,
                "the pool is at its limit of {max_pages} pages; free objects or compact first"
            ),
        }
    }
}

impl Error for AllocError {}

/// A handle that does not name an object of the pool it was given to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum HandleError {
    /// The handle was made by another pool (perhaps one that no longer exists).
    ForeignPool {
        /// The id of the pool that was asked.
        pool: u32,
        /// The id of the pool that made the handle.
        handle: u32,
    },
}

impl fmt::Display for HandleError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ForeignPool { pool, handle } => write!(
                f,
                "the handle belongs to pool {handle}, not to pool {pool}; \
                 use the pool that made it"
            ),
        }
    }
}

impl Error for HandleError {}

/// Why a zspage was not migrated. Its objects are where they were.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MigrateError {
    /// An object of the zspage is mapped, being copied by an insertion, or the zspage's idle
    /// pages are being discarded; the latter two last a moment. Migration never waits; try again when
    /// the maps are gone.
    Busy,
    /// The zspage no longer exists: its last object was freed or moved away.
    Gone,
    /// The page source, or the pool's page limit, did not give the pages to move to. A migration
    /// holds both copies for a moment, so a pool at its limit cannot migrate.
    Source,
}

impl fmt::Display for MigrateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Busy => "the zspage is in use (an object is mapped or being stored, or idle pages are going back); try again later",
            Self::Gone => "the zspage no longer exists",
            Self::Source => "no pages to move the zspage to",
        })
    }
}

impl Error for MigrateError {}

/// Why a pool could not be built.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum BuildError {
    /// The page size is not a power of two in 4096..=65536.
    PageSize {
        /// The page size asked for, in bytes.
        page_size: usize,
    },
    /// The page source hands out memory in larger steps than the page size.
    SourceGranularity {
        /// The page size asked for, in bytes.
        page_size: usize,
        /// The smallest page size that the source serves, in bytes.
        granularity: usize,
    },
    /// The chain size of [`ClassPolicy::Zsmalloc`](crate::ClassPolicy::Zsmalloc) is not in 4..=16.
    ChainSize {
        /// The chain size asked for, in pages.
        chain_size: usize,
    },
    /// The `max_pages` of [`ClassPolicy::Adaptive`](crate::ClassPolicy::Adaptive) is not in
    /// 1..=16.
    MaxPages {
        /// The maximum asked for, in pages.
        max_pages: usize,
    },
    /// The [slack](crate::AutoCompact::slack) of automatic compaction is not a share: it is
    /// negative, above 1 or not a number.
    Slack,
    /// This process has made 2^32 - 1 pools. Ids are never reused, so that a handle of an old pool
    /// is always recognised.
    PoolIdsExhausted,
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::PageSize { page_size } => write!(
                f,
                "a page size of {page_size} bytes is not a power of two from 4096 to 65536"
            ),
            Self::SourceGranularity {
                page_size,
                granularity,
            } => write!(
                f,
                "the page source cannot serve pages of {page_size} bytes; \
                 use a page size of at least {granularity}"
            ),
            Self::ChainSize { chain_size } => {
                write!(f, "a chain size of {chain_size} pages is not in 4..=16")
            }
            Self::MaxPages { max_pages } => write!(
                f,
                "zspages of up to {max_pages} pages: the maximum must be in 1..=16"
            ),
            Self::Slack => f.write_str(
                "the slack of automatic compaction is a share of the pages; \
                 choose one from 0.0 (as dense as possible) to 1.0",
            ),
            Self::PoolIdsExhausted => write!(f, "this process has used up its 2^32 - 1 pool ids"),
        }
    }
}

impl Error for BuildError {}
