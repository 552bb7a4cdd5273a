//! A user-space zsmalloc.

mod alloc;
mod backend;
mod chain;
mod class;
mod class_lock;
mod compact;
mod config;
mod error;
mod free;
mod fullness;
mod handle;
mod handle_table;
mod index_table;
mod map;
mod migrate;
mod pages;
mod plan;
mod pool;
mod reclaim;
mod report;
pub mod size_class;
mod stats;
mod zspage;

pub use lock_api;

pub use crate::backend::{Failing, Heap, Mmap, PageSource, SOURCE_PAGE, SourceError};
pub use crate::config::{ClassPolicy, PoolBuilder};
pub use crate::error::{AllocError, BuildError, HandleError, MigrateError};
pub use crate::handle::Handle;
pub use crate::map::{Mapped, MappedMut};
pub use crate::pool::Pool;
pub use crate::report::{ClassCompaction, CompactReport};
pub use crate::size_class::SizeClass;
pub use crate::stats::{ClassStats, PoolStats};
pub use crate::zspage::{ZspageId, ZspageInfo};
