//! A run-time lock-order validator for any `lock_api` lock.

mod acquire;
mod assert;
mod chain;
mod class;
mod config;
mod context;
mod dot;
mod emit;
mod graph;
mod held;
mod key;
mod map;
mod mode;
mod nested;
mod release;
mod report;
mod search;
mod splat;
mod stat;
mod thread;
mod tracked;
mod validate;

#[doc(hidden)]
pub use assert::{Demand as __Demand, assert_lock as __assert_lock, assert_none as __assert_none};
pub use assert::{HasLockMap, detach, held, might_lock};
pub use context::{WaitType, atomic, might_sleep};
pub use dot::{Graph, graph};
pub use emit::{Policy, collect, on_report, set_policy};
pub use held::HeldLock;
pub use key::{LockClassKey, OrderFn, OrderKey};
pub use lock_api;
pub use map::LockMap;
pub use mode::{Attempt, Mode};
pub use nested::nested;
pub use report::{Acquisition, Dependency, HeldInfo, Report, ReportKind, SourceLocation};
pub use stat::{Stats, stats};
pub use tracked::{LockKind, Queued, RecursiveReaders, Tracked, TrackedGuard};
#[cfg(feature = "parking_lot")]
pub use tracked::{
    Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockUpgradableReadGuard, RwLockWriteGuard,
};
