//! Returning many runs to the system with one call.
//!
//! A call of `madvise` takes the system as long as returning one or two pages does, and flushes the
//! processor's address caches each time (those of other processors, too, if other threads run).
//! [`process_madvise`](https://man7.org/linux/man-pages/man2/process_madvise.2.html) takes a list, and
//! can name the calling process without a file descriptor from Linux 6.15 on. Newer kernels flush once
//! for the whole list.

use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, Ordering};

use super::SOURCE_PAGE;

/// The most runs of a call; the system takes 1024.
pub(super) const MOST: usize = 64;

/// The process that calls: `PIDFD_SELF_THREAD` of `linux/pidfd.h`, in place of a file descriptor.
const SELF: libc::c_long = -10_000;

/// Whether the system takes lists. It is asked once.
#[derive(Debug)]
pub(super) struct Lists {
    refused: AtomicBool,
}

impl Lists {
    /// Not asked yet.
    pub(super) const fn new() -> Self {
        Self {
            refused: AtomicBool::new(false),
        }
    }

    #[cfg(test)]
    pub(super) const fn refused() -> Self {
        Self {
            refused: AtomicBool::new(true),
        }
    }

    /// Returns the memory of all runs and keeps their addresses: they read as zeros from then on. If
    /// that is not possible with one call, false: then some of them may be as they were.
    ///
    /// # Safety
    ///
    /// The runs are whole pages of mappings of the process, nobody accesses them during the call, and
    /// nobody relies on their contents.
    pub(super) unsafe fn discard(&self, runs: &[(NonNull<u8>, usize)]) -> bool {
        // Relaxed, here and below: at worst a thread asks the system once more.
        if runs.len() > MOST || self.refused.load(Ordering::Relaxed) {
            return false;
        }
        let nothing = libc::iovec {
            iov_base: std::ptr::null_mut(),
            iov_len: 0,
        };
        let (mut list, mut bytes) = ([nothing; MOST], 0);
        for (entry, &(run, pages)) in list.iter_mut().zip(runs) {
            entry.iov_base = run.as_ptr().cast();
            entry.iov_len = pages * SOURCE_PAGE;
            bytes += entry.iov_len;
        }
        // SAFETY: the list is valid for the call and as long as said; the advice changes only contents
        // that nobody relies on, by the caller's promise.
        let done = unsafe {
            libc::syscall(
                libc::SYS_process_madvise,
                SELF,
                list.as_ptr(),
                runs.len(),
                libc::c_long::from(libc::MADV_DONTNEED),
                0_usize,
            )
        };
        if done < 0 {
            // An older kernel, or a sandbox. Whatever it was, `madvise` does the same, only slower.
            self.refused.store(true, Ordering::Relaxed);
        }
        usize::try_from(done) == Ok(bytes)
    }
}
