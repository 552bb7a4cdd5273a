//! The primitives the lock is made of: the real ones, or loom's under `--cfg zslock_loom`.

#[cfg(not(zslock_loom))]
pub(crate) use core::sync::atomic::{AtomicU32, Ordering};
#[cfg(zslock_loom)]
pub(crate) use loom::sync::atomic::{AtomicU32, Ordering};

/// Defines a function that is `const` except under loom, whose atomics have no `const` constructor.
macro_rules! const_unless_loom {
    ($(#[$attr:meta])* $vis:vis fn $($rest:tt)*) => {
        #[cfg(not(zslock_loom))]
        $(#[$attr])* $vis const fn $($rest)*
        #[cfg(zslock_loom)]
        $(#[$attr])* $vis fn $($rest)*
    };
}
pub(crate) use const_unless_loom;
