//! Handles: what a user holds instead of a pointer.

use std::fmt;
use std::num::NonZeroU64;

/// The name of one object of one pool. It stays valid when the object moves.
///
/// A handle is an owned token: it cannot be copied, [`Pool::free`](crate::Pool::free) takes it by
/// value and every map borrows it, so use after free, double free and freeing a mapped object do
/// not compile. `Option<Handle>` is 8 bytes. A handle may be sent to other threads.
///
/// Dropping a handle without freeing it leaks its object until the pool is dropped.
///
/// ```
/// let pool = zsalloc::Pool::new();
/// let handle = pool.insert(b"abc")?;
/// assert_eq!(&*pool.read(&handle), b"abc");
/// pool.free(handle);
/// # Ok::<(), zsalloc::AllocError>(())
/// ```
///
/// An object cannot be freed while it is mapped:
///
/// ```compile_fail,E0505
/// let pool = zsalloc::Pool::new();
/// let handle = pool.insert(b"abc")?;
/// let map = pool.read(&handle);
/// pool.free(handle);
/// drop(map);
/// # Ok::<(), zsalloc::AllocError>(())
/// ```
#[must_use = "dropping a handle leaks its object until the pool drops; give it to `Pool::free`"]
#[derive(PartialEq, Eq, Hash)]
pub struct Handle(NonZeroU64);

impl Handle {
    /// `pool` is not 0.
    pub(crate) fn new(pool: u32, index: u32) -> Self {
        let bits = u64::from(pool) << 32 | u64::from(index);
        Self(NonZeroU64::new(bits).expect("pool ids start at 1"))
    }

    pub(crate) fn pool(&self) -> u32 {
        (self.0.get() >> 32) as u32
    }

    pub(crate) fn index(&self) -> u32 {
        self.0.get() as u32
    }

    /// The handle as a number, for storing where only a number fits (a page table, an index).
    /// The number stands for the handle: exactly one [`from_raw`](Self::from_raw) gives it back.
    #[must_use = "the number is the only way back to the object"]
    pub fn into_raw(self) -> NonZeroU64 {
        self.0
    }

    /// The handle that [`into_raw`](Self::into_raw) turned into a number.
    ///
    /// ```
    /// use zsalloc::{Handle, Pool};
    ///
    /// let pool = Pool::new();
    /// let raw = pool.insert(b"abc")?.into_raw();
    /// // SAFETY: `raw` came from `into_raw` and is turned back once.
    /// let handle = unsafe { Handle::from_raw(raw) };
    /// pool.free(handle);
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    ///
    /// # Safety
    ///
    /// `raw` came from `into_raw`, and at most one handle made from it exists at any time: two
    /// handles of one object would allow use after free and data races. (For concurrent readers
    /// share one handle by reference instead.)
    pub unsafe fn from_raw(raw: NonZeroU64) -> Self {
        Self(raw)
    }
}

impl fmt::Debug for Handle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle")
            .field("pool", &self.pool())
            .field("index", &self.index())
            .finish()
    }
}
