//! A map that owns what it needs, so that it is tied to no scope and no thread.

use std::borrow::Borrow;
use std::fmt;
use std::ops::Deref;
use std::ptr::NonNull;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::borrows::Borrows;
use crate::handle::Handle;
use crate::map::Mapped;
use crate::pool::Pool;
use crate::primitive::shadow;
use crate::zspage::ReadHold;

mod sealed {
    use super::{PageSource, Pool, RawRwLock};

    /// The lock type of a pool.
    pub trait PoolLock {
        type Lock: RawRwLock;
    }

    impl<L: RawRwLock, S: PageSource> PoolLock for Pool<L, S> {
        type Lock = L;
    }
}
use sealed::PoolLock;

/// Read access to an object, like [`Mapped`], that owns a pointer to the pool and one to the handle;
/// made by [`Pool::read_owned`]. With `Arc`s it is `'static` and moves into threads and tasks.
#[must_use = "the object is unmapped when the map is dropped"]
pub struct MappedOwned<P, H>
where
    P: Deref<Target: PoolLock>,
{
    bytes: NonNull<u8>,
    len: usize,
    // Dropped before the handle, which keeps the object, and the pool, which keeps the zspage.
    hold: ReadHold<<P::Target as PoolLock>::Lock>,
    handle: H,
    pool: P,
    _borrows: Borrows<(P, H)>,
}

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Maps an object for reading and keeps `pool` and `handle` as long as the map lives.
    ///
    /// Waits as [`read`](Self::read) does. Under lockdep the hold is detached from this thread, since
    /// another may end it; that goes for zslock's locks, and for parking_lot's in `lockdep::Tracked`.
    /// (A tracked lock of another type keeps its hold on this thread.)
    ///
    /// ```
    /// use std::sync::Arc;
    /// use zsalloc::Pool;
    ///
    /// let pool = Arc::new(Pool::new());
    /// let handle = Arc::new(pool.insert(b"abc")?);
    /// let map = Pool::read_owned(Arc::clone(&pool), Arc::clone(&handle));
    /// let thread = std::thread::spawn(move || map.len());
    /// assert_eq!(thread.join().unwrap(), 3);
    ///
    /// pool.free(Arc::into_inner(handle).unwrap());
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// If the handle is of another pool.
    #[track_caller]
    pub fn read_owned<P, H>(pool: P, handle: H) -> MappedOwned<P, H>
    where
        P: Deref<Target = Self>,
        H: Borrow<Handle>,
    {
        let target: &Self = &pool;
        let index = target.index_of(handle.borrow());
        // SAFETY: the handle is live, and stays so as long as the map keeps `H`; the pool likewise with
        // `P`. `deref` and `borrow` were called once each, so it does not matter whether they would give
        // the same again. What they gave, they gave for any lifetime of a `&P` and `&H`: it belongs to
        // `P` and `H`, is shared with others who cannot get at it exclusively either, or outlives
        // the lifetimes that `P` and `H` mention, which `Borrows` makes outlive the map. The map lends
        // neither of them out, lets nobody change them, and ends its hold before it parts with them.
        // Moving them moves neither the bytes nor the header.
        let Mapped {
            bytes, len, hold, ..
        } = unsafe { target.map(index) };
        (target.detach)(hold.zspage().lock());
        MappedOwned {
            bytes,
            len,
            hold,
            handle,
            pool,
            _borrows: Borrows::new(),
        }
    }
}

impl<P: Deref<Target: PoolLock>, H> MappedOwned<P, H> {
    /// Unmaps the object and returns the pool and the handle.
    ///
    /// ```
    /// use zsalloc::Pool;
    ///
    /// let pool = Pool::new();
    /// let map = Pool::read_owned(&pool, pool.insert(b"abc")?);
    /// let (_, handle) = map.into_parts();
    /// pool.free(handle);
    /// # Ok::<(), zsalloc::AllocError>(())
    /// ```
    pub fn into_parts(self) -> (P, H) {
        let Self {
            hold, handle, pool, ..
        } = self;
        drop(hold);
        (pool, handle)
    }
}

// SAFETY: the bytes are shared read-only and plain data; the rest is sent only if it may be.
unsafe impl<P: Deref<Target: PoolLock> + Send, H: Send> Send for MappedOwned<P, H> where
    ReadHold<<P::Target as PoolLock>::Lock>: Send
{
}
// SAFETY: `&MappedOwned` gives `&[u8]`, and for `Debug` `&P`.
unsafe impl<P: Deref<Target: PoolLock> + Sync, H: Sync> Sync for MappedOwned<P, H> where
    ReadHold<<P::Target as PoolLock>::Lock>: Sync
{
}

impl<P: Deref<Target: PoolLock>, H> Deref for MappedOwned<P, H> {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        shadow::read(self.bytes);
        // SAFETY: `len` initialised bytes of the object's slot. They stay there while the zspage is
        // held, and nobody writes them, as that takes the handle exclusively.
        unsafe { std::slice::from_raw_parts(self.bytes.as_ptr(), self.len) }
    }
}

impl<P: Deref<Target: PoolLock>, H> fmt::Debug for MappedOwned<P, H> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MappedOwned")
            .field("len", &self.len)
            .field("zspage", &self.hold.zspage().id())
            .finish_non_exhaustive()
    }
}
