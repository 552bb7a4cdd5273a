//! Reader-writer locks side by side: who is compared, what is timed, and how the figures become a report.
//!
//! - [`contender`], [`peers`], [`floor`]: the locks behind one trait, and the atomics that bound them from below.
//! - [`cell`]: what is timed, one loop for all contenders; [`window`]: one timed stretch of it; [`load`]: who else ran.
//! - [`run`]: rounds of windows, interleaved; [`stats`]: what they say; [`goal`]: what they should say.
//! - [`report`] in words and tables, with [`machine`] and [`table`]; [`chart`] as SVG; [`csv`] with every window.
//!
//! `cargo run --release -p benches --bin locks` prints it.
//!
//! [`validator`] does the same for what a lock-order validator costs; `cargo run --release -p benches --bin validators` prints that.
//!
//! [`allocator`] does it for zsalloc beside malloc; `cargo run --release -p benches --bin allocators -- speed` prints that.
//!
//! [`density`] measures how much memory either takes; `cargo run --release -p benches --features allocators --bin density`
//! prints that.

pub mod allocator;
pub mod cell;
pub mod chart;
pub mod contender;
pub mod csv;
pub mod density;
pub mod floor;
pub mod goal;
pub mod load;
pub mod machine;
pub mod peers;
pub mod report;
pub mod run;
pub mod stats;
pub mod table;
pub mod validator;
pub mod window;
pub mod work;
