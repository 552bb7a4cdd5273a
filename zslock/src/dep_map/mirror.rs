//! The items of the crate `lockdep` that annotated code names, as no-ops: nothing is checked, nothing is ever reported.

mod asserts;
mod key;
mod report;

pub use asserts::{
    HasLockMap, assert_held, assert_held_exclusive, assert_none_held, assert_not_held, atomic,
    detach, might_lock, might_sleep, nested,
};
pub use key::{Attempt, LockClassKey, Mode, OrderFn, OrderKey, WaitType, lock_class_key};
pub use report::{
    Acquisition, Dependency, Graph, HeldInfo, Policy, Report, ReportKind, SourceLocation, Stats,
    collect, graph, held, on_report, set_policy, stats,
};
