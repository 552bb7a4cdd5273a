//! The contract of the lock, one file a group of rules; every test fails if its rule is broken.
//!
//! The same tests run with parking (default) and, under `--no-default-features`, with the spinning parker.

#![cfg(not(zslock_loom))]

#[path = "contract/common.rs"]
mod common;

#[path = "contract/at_once.rs"]
mod at_once;
#[cfg(all(feature = "std", target_os = "linux"))]
#[path = "contract/biased.rs"]
mod biased;
#[path = "contract/exclusion.rs"]
mod exclusion;
// The validator looks at its map in the lock.
#[cfg(all(feature = "std", target_os = "linux", not(feature = "debug-lockdep")))]
#[path = "contract/freed.rs"]
mod freed;
#[path = "contract/guards.rs"]
mod guards;
#[path = "contract/limits.rs"]
mod limits;
#[path = "contract/policy.rs"]
mod policy;
#[path = "contract/size.rs"]
mod size;
#[cfg(unix)]
#[path = "contract/stores_nothing.rs"]
mod stores_nothing;
#[cfg(feature = "std")]
#[path = "contract/timeouts.rs"]
mod timeouts;
#[path = "contract/upgrade.rs"]
mod upgrade;
