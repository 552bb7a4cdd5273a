//! The pool's own mutexes, plain or under lockdep. The only file that mentions the feature
//! `debug-lockdep`.

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
