//! Subclasses: legal nesting inside one class.

use crate::thread;

/// The highest subclass.
pub(crate) const MAX_SUBCLASS: u8 = 7;

/// Runs `f`; the first acquisition inside is of this subclass (0 to 7) of its
/// lock's class.
///
/// A class may be nested in itself when each level has its own subclass, for
/// example a parent directory's lock (0) around a child's (1). The subclasses
/// of a class are ordered like different classes.
///
/// # Panics
///
/// If `subclass` is above 7.
///
/// # Examples
///
/// ```
/// use lockdep::{LockClassKey, Mutex, Tracked, nested};
/// use lock_api::RawMutex as _;
///
/// static DIR: LockClassKey = LockClassKey::new("dir");
///
/// let dir = |inode| Mutex::from_raw(Tracked::with_class(parking_lot::RawMutex::INIT, &DIR), inode);
/// let (parent, child) = (dir(1), dir(2));
/// let outer = parent.lock();
/// let inner = nested(1, || child.lock());
/// assert_eq!(*outer + *inner, 3);
/// ```
pub fn nested<R>(subclass: u8, f: impl FnOnce() -> R) -> R {
    /// Takes the subclass back if nothing was acquired.
    struct Restore(Option<u8>);
    impl Drop for Restore {
        fn drop(&mut self) {
            thread::with(|_, owner| {
                if owner.subclass.is_some() {
                    owner.subclass = self.0;
                }
            });
        }
    }
    assert!(
        subclass <= MAX_SUBCLASS,
        "lockdep subclasses go from 0 to {MAX_SUBCLASS}, not {subclass}"
    );
    let outer = thread::with_tracked(|_, owner| owner.subclass.replace(subclass));
    let _restore = outer.map(Restore);
    f()
}
