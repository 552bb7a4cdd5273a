//! Where lockdep meets the lock. Only this file looks at the feature `debug-lockdep`; below it are the two ways it can go.
//!
//! With the feature each lock carries a [`DepMap`] that tells the validator of every acquisition, and each guard carries
//! the token that it answered with. Without it the same names are empty types and empty inline functions, so the code
//! around them is written once.

#[cfg(not(feature = "debug-lockdep"))]
mod mirror;
#[cfg(not(feature = "debug-lockdep"))]
mod off;
#[cfg(feature = "debug-lockdep")]
mod on;

#[cfg(not(feature = "debug-lockdep"))]
use off as imp;
#[cfg(feature = "debug-lockdep")]
use on as imp;

pub(crate) use imp::{DepMap, Held};

/// Annotations for the validator, which compile to nothing unless the feature `debug-lockdep` is on.
///
/// With the feature these are the items of the crate `lockdep`, and every [`ZsLock`](crate::ZsLock) is validated: a lock
/// order that can deadlock is reported when it is first seen, on one thread, without the deadlock. Without it they are
/// no-ops of the same names and signatures, so annotated code compiles both ways.
pub mod lockdep {
    #[cfg(not(feature = "debug-lockdep"))]
    pub use super::mirror::*;
    #[cfg(feature = "debug-lockdep")]
    pub use super::on::api::*;
}
