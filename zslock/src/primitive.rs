//! The primitives the lock is made of: the real ones, or loom's under `--cfg zslock_loom`.

#[cfg(zslock_loom)]
pub(crate) use crate::mutation::{AtomicU32, is_broken, ordering};
#[cfg(not(zslock_loom))]
pub(crate) use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize};
#[cfg(zslock_loom)]
pub(crate) use loom::sync::atomic::{AtomicBool, AtomicUsize};

/// The ordering of a site. (The mutation run may weaken it.)
#[cfg(not(zslock_loom))]
#[inline(always)]
pub(crate) const fn ordering(site: crate::order::Site) -> core::sync::atomic::Ordering {
    site
}

/// Whether a protocol mutant is on. (Only in the mutation run; and one in the control of `ci/freed.sh`.)
#[cfg(not(zslock_loom))]
#[inline(always)]
pub(crate) const fn is_broken(mutant: &str) -> bool {
    cfg!(zslock_tsan_control) && matches!(mutant.as_bytes(), b"touched after slot")
}

/// Defines thread-locals, which are initialised by constants except under loom.
#[cfg(any(feature = "std", zslock_loom))]
macro_rules! thread_local_cell {
    ($(static $name:ident: $type:ty = $value:expr;)*) => {
        #[cfg(not(zslock_loom))]
        std::thread_local! { $(static $name: $type = const { $value };)* }
        #[cfg(zslock_loom)]
        loom::thread_local! { $(static $name: $type = $value;)* }
    };
}
#[cfg(any(feature = "std", zslock_loom))]
pub(crate) use thread_local_cell;

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
