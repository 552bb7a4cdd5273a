//! Lock classes: what an order is defined on.

use core::fmt;
use core::panic::Location;
use core::sync::atomic::{AtomicU64, Ordering};

use crate::context::{WaitTable, Waits};
use crate::graph;
use crate::key::LockClassKey;
use crate::map::LockMap;
use crate::mutation;

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

/// The serials of a lock and of its class, and the wait types of its modes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ids {
    pub(crate) lock: Serial,
    pub(crate) class: Serial,
    pub(crate) waits: Waits,
}

impl LockMap {
    /// The serials of this lock, assigned at its first acquisition.
    #[inline]
    pub(crate) fn ids(&self) -> Ids {
        self.known_ids().unwrap_or_else(|| self.assign_ids())
    }

    /// `None` before the first acquisition.
    #[inline]
    pub(crate) fn known_ids(&self) -> Option<Ids> {
        // Acquire: pairs with the Release in `assign_ids`, so that who sees the
        // class also sees the rest, which is stored first.
        let class = self.class.load(Ordering::Acquire);
        // Relaxed: ordered after the stores by the Acquire above.
        let lock = self.serial.load(Ordering::Relaxed);
        let waits = Waits::from_bits(self.wait_types.load(Ordering::Relaxed));
        (class != 0).then_some(Ids { lock, class, waits })
    }

    #[cold]
    fn assign_ids(&self) -> Ids {
        let fresh = mutation::serial(self.address(), next_serial());
        let lock = first_wins(&self.serial, fresh);
        let class = match self.origin {
            Origin::Instance => lock,
            // Relaxed: the serial is all that is read through it.
            Origin::Key(key) => match key.serial.load(Ordering::Relaxed) {
                0 => graph::lock().register_key(key),
                serial => serial,
            },
            Origin::Site(site) => graph::lock().register_site(site),
        };
        let declared = match self.origin {
            Origin::Key(key) => key.wait,
            _ => WaitTable::UNDECLARED,
        };
        let waits = declared.or(self.wait);
        // Relaxed: published by the store below; two threads store the same.
        self.wait_types.store(waits.to_bits(), Ordering::Relaxed);
        // Release: pairs with the Acquire in `known_ids`.
        self.class.store(class, Ordering::Release);
        Ids { lock, class, waits }
    }
}

impl LockMap {
    /// The name of this lock's class.
    pub(crate) fn name(&self) -> ClassName {
        let class = self.ids().class;
        ClassName {
            origin: self.origin,
            node: NodeKey { class, subclass: 0 },
        }
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
