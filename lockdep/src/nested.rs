//! Subclasses: legal nesting inside one class.

use crate::{config, thread};

/// The highest subclass.
pub(crate) const MAX_SUBCLASS: u8 = 7;

/// An open scope of [`nested`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Nesting {
    pub(crate) subclass: u8,
    /// The token of the acquisition that has it.
    pub(crate) taken_by: u64,
}

impl Nesting {
    /// No acquisition has it yet; no token is 0.
    pub(crate) const PENDING: u64 = 0;
}

/// Runs `f`; the first acquisition inside is of this subclass (0 to 7) of its
/// lock's class. One that fails (a try, a timeout) does not count: in
/// `nested(1, || lock.try_lock().unwrap_or_else(|| lock.lock()))` the subclass
/// is that of whichever succeeds.
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
/// # #[cfg(feature = "parking_lot")] {
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
/// # }
/// ```
pub fn nested<R>(subclass: u8, f: impl FnOnce() -> R) -> R {
    /// Ends the scope. An acquisition that took its subclass was also the first
    /// one inside the scope around it.
    struct Leave {
        around: Option<Nesting>,
    }
    impl Drop for Leave {
        fn drop(&mut self) {
            thread::with(|_, owner| {
                let ended = std::mem::replace(&mut owner.nesting, self.around);
                if let (Some(ended), Some(around)) = (ended, &mut owner.nesting)
                    && around.taken_by == Nesting::PENDING
                {
                    around.taken_by = ended.taken_by;
                }
            });
            thread::scope(-1);
        }
    }
    assert!(
        subclass <= MAX_SUBCLASS,
        "lockdep subclasses go from 0 to {MAX_SUBCLASS}, not {subclass}"
    );
    if !config::validates() {
        return f();
    }
    let scope = Nesting {
        subclass,
        taken_by: Nesting::PENDING,
    };
    let around = thread::with_tracked(|_, owner| owner.nesting.replace(scope));
    let _leave = around.map(|around| {
        thread::scope(1);
        Leave { around }
    });
    f()
}
