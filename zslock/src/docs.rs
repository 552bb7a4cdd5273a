//! Design chapters: what the lock promises and how it keeps it, for those who read the code next.

/// The lock word.
pub mod word {
    #![doc = include_str!("docs/word.md")]
}

/// Waiting, fairness and starvation.
pub mod waiting {
    #![doc = include_str!("docs/waiting.md")]
}

/// Preemptibility.
pub mod preemption {
    #![doc = include_str!("docs/preemption.md")]
}

/// The biased lock.
pub mod biased {
    #![doc = include_str!("docs/biased.md")]
}

/// The memory orderings.
pub mod orderings {
    #![doc = include_str!("docs/orderings.md")]
}

/// Proofs, tests, and their limits.
pub mod proofs {
    #![doc = include_str!("docs/proofs.md")]
}

/// When not to use this lock, and a comparison.
pub mod choosing {
    #![doc = include_str!("docs/choosing.md")]
}
