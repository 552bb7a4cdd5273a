//! Lock classes: what an order is defined on.

use core::fmt;
use core::panic::Location;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::graph;
use crate::key::LockClassKey;
use crate::map::LockMap;

/// Number of a lock or of a class, from one counter and never reused. A lock
/// that is a class of its own uses its lock serial as class serial.
pub(crate) type Serial = u64;

/// What decides the class of a lock.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Origin {
    /// The lock is a class of its own.
    Instance,
    /// All locks with this key.
    Key(&'static LockClassKey),
    /// All locks created at this place.
    Site(&'static Location<'static>),
}

/// A class with one of its subclasses: a node of the dependency graph.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct NodeKey {
    pub(crate) class: Serial,
    pub(crate) subclass: u8,
}

/// The serials of a lock and of its class.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) lock: Serial,
    pub(crate) class: Serial,
}

impl LockMap {
    /// The serials of this lock, assigned at its first acquisition.
    #[inline]
    pub(crate) fn ids(&self) -> Ids {
        // Acquire: pairs with the Release in `assign_ids`, so that who sees the
        // class also sees the lock's serial, which is stored first.
        let class = self.class.load(Ordering::Acquire);
        if class == 0 {
            return self.assign_ids();
        }
        // Relaxed: ordered after the store by the Acquire above.
        let lock = self.serial.load(Ordering::Relaxed);
        Ids { lock, class }
    }

    #[cold]
    fn assign_ids(&self) -> Ids {
        let lock = first_wins(&self.serial, next_serial());
        let class = match self.origin {
            Origin::Instance => lock,
            // Relaxed: the serial is all that is read through it.
            Origin::Key(key) => match key.serial.load(Ordering::Relaxed) {
                0 => graph::lock().register_key(key),
                serial => serial,
            },
            Origin::Site(site) => graph::lock().register_site(site),
        };
        // Release: pairs with the Acquire in `ids`; publishes `serial` too.
        self.class.store(class, Ordering::Release);
        Ids { lock, class }
    }
}

/// Stores `serial` unless somebody was first; the serial that counts.
pub(crate) fn first_wins(slot: &AtomicU64, serial: Serial) -> Serial {
    // Relaxed: a serial is only a number, nothing is read through it.
    match slot.compare_exchange(0, serial, Ordering::Relaxed, Ordering::Relaxed) {
        Ok(_) => serial,
        Err(first) => first,
    }
}

pub(crate) fn next_serial() -> Serial {
    static NEXT: AtomicU64 = AtomicU64::new(1);
    // Relaxed: only uniqueness matters.
    NEXT.fetch_add(1, Ordering::Relaxed)
}

/// The name of a class in reports.
pub(crate) struct ClassName {
    pub(crate) origin: Origin,
    pub(crate) node: NodeKey,
}

impl fmt::Display for ClassName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.origin {
            Origin::Instance => write!(f, "lock #{}", self.node.class)?,
            Origin::Key(key) => f.write_str(key.name)?,
            Origin::Site(site) => write!(f, "{site}")?,
        }
        if self.node.subclass != 0 {
            write!(f, "/{}", self.node.subclass)?;
        }
        Ok(())
    }
}
