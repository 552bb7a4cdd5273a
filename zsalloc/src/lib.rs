//! A user-space zsmalloc: a pool for many small blobs, compressed pages above all, that stores them
//! densely and hands out *handles* instead of pointers. Because nobody holds an address, objects can
//! move, so memory that a `malloc` could never give back after random frees is compacted and
//! returned to the system. It is a pool, and cannot be a global allocator: see
//! [limits](docs::limits#where-it-runs).
//!
//! # Glossary
//!
//! | term | meaning |
//! |---|---|
//! | page | 4 KiB; [configurable](PoolBuilder::page_size) |
//! | zspage | a run of pages, contiguous in virtual memory, used as one array of equal slots; so an object is always one slice |
//! | object | one stored blob |
//! | handle | names an object, and stays valid when it moves: [`Handle`] |
//! | size class | the slot size of a zspage: see [`size_class`] and [`ClassPolicy`] |
//! | fullness group | the zspages of a class that are about equally full |
//! | map | access to an object's bytes: [`Mapped`]; holds the read lock of the zspage |
//! | migrate | move a zspage to other pages: [`Pool::migrate`] |
//! | compact | move objects out of sparse zspages, so that whole zspages can be freed: [`Pool::compact`] |
//! | budget | how much one compaction may do: [`Budget`] |
//! | region | 4 MiB of addresses, in which the pages of many zspages lie: [`Pool::regions`] |
//! | evacuate | move everything out of a region, so that it can be given back as a whole: [`Pool::evacuate`] |
//! | discard | give the memory of pages back and keep their addresses: [`PageSource::discard`] |
//! | isolated | being filled by a compaction, or its idle pages discarded; whoever does that retires the zspage |
//! | spare handle | a free one that a size class keeps for its next object |
//! | retire | free later, when no thread can be looking any more |
//!
//! # Chapters
//!
//! [Choosing](docs::choosing) a configuration, and when not to use a pool; [ownership](docs::ownership);
//! the [life of an object](docs::life) in memory; [complexity](docs::complexity); [limits](docs::limits);
//! [plugging in](docs::plugging_in) locks and page sources; [what is proved](docs::proofs) by model
//! checkers; [what a lock costs](docs::overhead); and a [comparison](docs::comparison) with the kernel's
//! zsmalloc, malloc, Mesh and Alaska.
//!
//! # The life of an object
//!
//! ```
//! use zsalloc::{MigrateError, Pool};
//!
//! let pool = Pool::new();
//!
//! // Stored in a slot of the fullest zspage of its size class that has room.
//! let mut handle = pool.insert(b"a compressed page")?;
//!
//! // Mapped: while the map lives, the object stays where it is.
//! let map = pool.read(&handle);
//! assert_eq!(&*map, b"a compressed page");
//! let zspage = pool.zspages().next().unwrap();
//! assert_eq!(pool.migrate(zspage.id), Err(MigrateError::Busy));
//! drop(map);
//!
//! // Moved: the handle does not change.
//! assert_eq!(pool.migrate(zspage.id), Ok(()));
//! assert_eq!(&*pool.read(&handle), b"a compressed page");
//!
//! // Written in place, replaced, freed. The last object of a zspage takes its pages along.
//! pool.write(&mut handle)[0] = b'A';
//! pool.replace(&mut handle, b"another one")?;
//! pool.free(handle);
//! assert_eq!(pool.resident_pages(), 0);
//! # Ok::<(), zsalloc::AllocError>(())
//! ```
//!
//! Memory after random frees, and what compaction makes of it:
//!
//! ```
//! use zsalloc::Pool;
//!
//! let pool = Pool::new();
//! let handles: Vec<_> = (0..10_000).map(|i| pool.alloc(600 + i % 900).unwrap()).collect();
//! let full = pool.resident_pages();
//!
//! // Three of four objects go, but almost every zspage keeps one.
//! let (kept, freed): (Vec<_>, Vec<_>) =
//!     handles.into_iter().enumerate().partition(|(i, _)| i % 4 == 0);
//! freed.into_iter().for_each(|(_, handle)| pool.free(handle));
//! assert!(pool.resident_pages() > full * 3 / 4);
//!
//! let freeable = pool.freeable();
//! let report = pool.compact();
//! assert_eq!(report.pages_freed, freeable);
//! assert!(pool.resident_pages() < full / 3);
//! # drop(kept);
//! ```
//!
//! # Ownership does the checking
//!
//! A handle is an owned token and every map borrows it up to the map's drop: use after free, double
//! free, freeing a mapped object and two writers of one object [do not compile](docs::ownership). No reference ever spans a zspage, so
//! writers of neighbouring objects do not race. What types cannot rule out (a handle of another pool,
//! an object that is too large, no memory) is an error or a clear panic, and changes nothing.
//!
//! # Lock order
//!
//! ```text
//! zspage (read) > class > leaf        leaves: handle table, zspage table, retained pages, regions
//!                 class > zspage      only tried
//! ```
//!
//! * A thread waits for a zspage lock only to read, and only while it holds no lock of a pool other
//!   than zspages that it has mapped. Who holds a map may map, store and free other objects.
//! * With a class locked, zspage locks are only *tried*: a blocking acquisition would invert the
//!   order of a thread that holds a map and stores an object. Nobody ever waits to write-lock one.
//! * An exclusive zspage lock is taken and released within one hold of the class lock, so it is
//!   short, and whoever holds the class finds no zspage of it exclusively locked.
//! * No class lock is held while pages come from or go back to their source. (A zspage is held for
//!   reading while idle pages of it give their memory back.) Pages of metadata, which are
//!   needed rarely and have a source of their own, may come with a class locked.
//! * Nobody pins the epoch with a class or leaf locked, as that may run other people's destructors.
//!
//! With the feature `debug-lockdep` all of them run under the lock validator.
//!
//! # Concurrency rules
//!
//! 1. **Lookup** pins the epoch, loads the handle's entry, read-locks the zspage it names, and loads
//!    the entry again (Acquire). If it changed, the object moved meanwhile: unlock and retry.
//!    Otherwise it cannot move any more; unpin.
//! 2. **Moves.** An entry that names a zspage changes only under its class lock *and* that zspage's
//!    exclusive lock, with Release after the bytes were copied. The base address of a zspage changes
//!    under the same two locks, so either permits reading it. Slots change only under the class lock.
//!    (The owner of a handle, who alone can name the object, needs only the class lock to free it,
//!    and only a map of it to change its length.)
//! 3. **Unmapping pins, too, unless the lock is done by its releasing step.** A lock may touch its own
//!    word after that step, to wake those who wait, and the header that contains it must outlive that.
//!    zslock's locks can release by a step that is the last if nobody is parked
//!    ([`try_unlock_shared_at_once`](zslock::RawPolicyLock::try_unlock_shared_at_once)); then no pin is
//!    taken. Every other unmapping pins first. A map pins nothing while it is held; what keeps
//!    the header alive then, up to and including that step, is the object in it.
//! 4. **Storing** takes the slot and the zspage's read lock and publishes the entry under the class
//!    lock, and copies the bytes after that. Compaction never sees half-written bytes, as the zspage
//!    is busy.
//! 5. **Freeing** takes the class from the length in the entry, which never changes while an object
//!    moves; it locks the class and only then reads where the object is.
//! 6. **Retiring.** A zspage that becomes empty is retired by whoever emptied it; one that compaction
//!    is filling, or discarding pages of (isolated), by that compaction. First the mark of its header
//!    in the zspage table is cleared, so that no thread that pins from now on can find it: a reader
//!    whose entry led there loads the entry again. Then the end of its lock and of its index (and
//!    of emptied segments of the tables) is deferred, until every thread that was pinned has
//!    unpinned. The index of a zspage is not reused before, so an entry that reads the same twice
//!    means the same. Its pages do not wait for that but go back at once: a reader that has found the
//!    header and is still about to lock it will find its entry changed.
//!
//! # Sources
//!
//! The allocator is modelled on the Linux kernel's `mm/zsmalloc.c` and
//! [`Documentation/mm/zsmalloc.rst`](https://docs.kernel.org/mm/zsmalloc.html) (classes, zspages,
//! fullness groups, handles, compaction); the lock is that of the LKML series "zsmalloc: make zspage
//! lock preemptible" (S. Senozhatsky, 2025), here [`zslock`]; lookup and retirement rest on
//! [crossbeam-epoch](https://docs.rs/crossbeam-epoch). What differs from the kernel: zspages of one
//! class may differ in length, entries are 8 bytes and slots carry no header, a mapped zspage stops
//! neither the compaction of its class nor the return of free pages.

mod alloc;
mod at_once;
mod auto_compact;
mod backend;
mod borrows;
mod budget;
mod chain;
mod class;
mod class_lock;
mod compact;
mod compact_step;
mod config;
mod discard;
pub mod docs;
mod error;
mod evacuate;
mod free;
mod fullness;
mod handle;
mod handle_table;
mod hold_time;
mod index_table;
mod listing;
mod map;
mod map_owned;
mod member;
mod metadata;
mod migrate;
mod order;
pub mod overhead;
mod owners;
mod pages;
mod plan;
mod pool;
mod primitive;
mod reclaim;
mod region;
mod relocate;
mod report;
mod retained;
mod returns;
pub mod size_class;
mod slots;
mod spare_handles;
mod stats;
mod sweep;
pub mod testbed;
mod zspage;
mod zspage_table;

pub use lock_api;

/// For the models: see `primitive`.
#[cfg(any(zslock_loom, zsalloc_shuttle))]
#[doc(hidden)]
pub use crate::primitive::execution;

pub use crate::auto_compact::AutoCompact;
pub use crate::backend::{Failing, Heap, Mmap, PageSource, SOURCE_PAGE, SourceError};
pub use crate::budget::Budget;
pub use crate::config::{ClassPolicy, PoolBuilder};
pub use crate::error::{AllocError, BuildError, HandleError, MigrateError};
pub use crate::evacuate::{EvacuateReport, StayReason, Stayed};
pub use crate::handle::Handle;
pub use crate::map::{Mapped, MappedMut};
pub use crate::map_owned::MappedOwned;
pub use crate::pool::Pool;
pub use crate::region::{RegionId, RegionInfo};
pub use crate::report::{ClassCompaction, CompactReport};
pub use crate::size_class::SizeClass;
pub use crate::stats::{ClassStats, PoolStats};
pub use crate::zspage::{ZspageId, ZspageInfo};

/// The README's code, run as a test.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
