//! Reports: what the validator found, as plain data.

/// What kind of bug a report is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReportKind {
    /// The acquisition closes a cycle of dependencies that can deadlock.
    CircularDependency,
    /// The thread already holds a lock of this class in a way that can block
    /// the acquisition.
    RecursiveLocking,
    /// A wait that is longer than the section it happens in allows.
    InvalidWaitContext,
    /// A release of something that is not held, or of another lock's hold.
    BadUnlock,
    /// A lock was dropped while it was held.
    HeldLockFreed,
    /// An assertion about held locks does not hold.
    AssertionFailed,
    /// A thread ended while it held a lock whose guard cannot be elsewhere.
    HeldAtThreadExit,
}

/// What to do about a report.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Policy {
    /// Go on: the `tracing` event and the handler are all.
    Log,
    /// Panic with the report as the message.
    Panic,
    /// Abort the process.
    Abort,
}
