//! `membarrier(2)`: a full fence on every processor that runs a thread of this process, at the expense of the caller.
//!
//! `MEMBARRIER_CMD_PRIVATE_EXPEDITED` interrupts just those processors; threads that do not run have executed a fence when they
//! were switched out. (M. Desnoyers, "sys_membarrier", Linux 4.3 and 4.14; `kernel/sched/membarrier.c`.) A process has to register
//! its intent first. Where the call does not exist or is refused no lock is ever biased.

#[cfg(all(feature = "std", target_os = "linux", not(zslock_loom)))]
mod linux {
    use std::sync::OnceLock;

    use libc::{
        MEMBARRIER_CMD_PRIVATE_EXPEDITED, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, SYS_membarrier,
    };

    /// Whether the kernel has done what `command` says. The errno is of no interest: any failure is treated alike.
    fn membarrier(command: libc::c_int) -> bool {
        let (flags, cpu) = (0, 0);
        // SAFETY: a system call of three integers, which touches no memory of the caller.
        unsafe { libc::syscall(SYS_membarrier, command, flags, cpu) == 0 }
    }

    fn register() -> bool {
        membarrier(MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED)
    }

    /// Whether [`barrier`] can be called, now and for ever: the child of a fork inherits the registration. The first
    /// registration of a process that has threads takes milliseconds.
    pub(crate) fn is_available() -> bool {
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(register)
    }

    /// Every thread of this process executes a full fence between the beginning and the end of this call.
    ///
    /// # Aborts
    ///
    /// If the kernel refuses what it has promised, also after another registration: to go on without the fence would be to
    /// let a writer in beside readers. (Only a filter of system calls that is installed later does that.)
    pub(crate) fn barrier() {
        let fence = || membarrier(MEMBARRIER_CMD_PRIVATE_EXPEDITED);
        if !(fence() || register() && fence()) {
            std::process::abort();
        }
    }
}

#[cfg(all(feature = "std", target_os = "linux", not(zslock_loom)))]
pub(crate) use linux::{barrier, is_available};

/// Without the call no lock is biased.
#[cfg(not(all(feature = "std", target_os = "linux", not(zslock_loom))))]
pub(crate) const fn is_available() -> bool {
    false
}

/// Never called: there is no bias to revoke.
#[cfg(not(any(zslock_loom, all(feature = "std", target_os = "linux"))))]
pub(crate) fn barrier() {
    unreachable!("no lock is biased without membarrier");
}
