//! The pool's own mutexes, plain or under lockdep. The only file that mentions the feature
//! `debug-lockdep`.

use zslock::RawZsLock;
use zslock::lockdep::LockClassKey;

/// The lock class of all zspages of all pools. Its writers only ever try, so readers of one zspage
/// may lock another.
static ZSPAGE: LockClassKey = LockClassKey::new("zsalloc zspage").no_blocking_writers();

/// The lock of a zspage, unless the builder is given another.
pub(crate) fn zspage_lock() -> RawZsLock {
    RawZsLock::with_class(&ZSPAGE)
}

/// The raw mutex of all of them.
pub(crate) type RawClassLock = parking_lot::RawMutex;

/// The lock of a size class.
pub(crate) type ClassMutex<T> = lock_api::Mutex<RawClassLock, T>;

/// The lock of a handle or zspage table; a leaf.
pub(crate) type TableMutex<T> = lock_api::Mutex<RawClassLock, T>;

/// The lock of one size class. All classes are one lock class: no two are ever held together.
pub(crate) fn class_mutex<T>(value: T) -> ClassMutex<T> {
    lock_api::Mutex::new(value)
}

/// The lock of a table.
pub(crate) fn table_mutex<T>(_name: &'static str, value: T) -> TableMutex<T> {
    lock_api::Mutex::new(value)
}
