//! What a lock must do to be compared.

/// A `u64` behind a reader-writer lock.
///
/// Sections are closures, so that a contender needs no guard type; they are inlined away.
pub trait Contender: Send + Sync + 'static {
    /// How the report calls it, and criterion: `read/zslock`.
    const NAME: &'static str;
    /// What the lock itself needs, with what it allocates.
    const BYTES: usize;
    /// Whether it keeps writers out of the sections of others. The floor does not: it only counts.
    const EXCLUDES: bool = true;

    /// An unlocked lock around zero.
    fn new() -> Self;

    /// Runs `section` under the read lock.
    fn read<R>(&self, section: impl FnOnce(u64) -> R) -> R;

    /// Runs `section` under the write lock.
    fn write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> R;

    /// Runs `section` under the write lock if that is free.
    fn try_write<R>(&self, section: impl FnOnce(&mut u64) -> R) -> Option<R>;
}
