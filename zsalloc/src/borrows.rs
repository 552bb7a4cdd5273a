//! Making the compiler see that dropping a map uses what the map borrows.

use std::marker::PhantomData;

/// What a map borrows, `T`, has to outlive the map's *drop*, and not only its last visible use.
///
/// A map unlocks its zspage when it is dropped, and reaches the lock through a raw pointer. The drop
/// check looks at the fields that have a destructor and the types these mention; a reference beside
/// them has none, so without this field a handle could be freed, or a pool dropped, under a map that
/// is only waiting for the end of its scope.
pub(crate) struct Borrows<T>(PhantomData<T>);

impl<T> Borrows<T> {
    pub(crate) const fn new() -> Self {
        Self(PhantomData)
    }
}

/// Empty, and yet what this type is for: a type with a destructor is assumed to use its parameters in it.
impl<T> Drop for Borrows<T> {
    #[inline]
    fn drop(&mut self) {}
}
