//! What a lock says when it asks for an acquisition.

use std::panic::Location;

use crate::mode::{Attempt, Mode};

/// What a lock says when it calls [`LockMap::acquire`](crate::LockMap::acquire).
/// All but the place is packed into one word, which is a constant at most places
/// that lock: mode (bits 0-2), subclass (3-5), attempt (6-7), guards stay on their
/// thread (8), subclass given (9), after a sleep (10).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call {
    bits: u32,
    pub(crate) site: &'static Location<'static>,
}

impl Call {
    const SUBCLASS: u32 = 3;
    const ATTEMPT: u32 = 6;
    const STAYS: u32 = 1 << 8;
    const GIVEN: u32 = 1 << 9;
    const SLEPT: u32 = 1 << 10;
    pub(crate) const BITS: u32 = 11;

    #[inline]
    pub(crate) const fn new(
        mode: Mode,
        attempt: Attempt,
        stays: bool,
        site: &'static Location<'static>,
    ) -> Call {
        let stays = if stays { Self::STAYS } else { 0 };
        let bits = mode as u32 | (attempt as u32) << Self::ATTEMPT | stays;
        Call { bits, site }
    }

    /// The same call with its subclass given, as when a lock is taken *again*;
    /// else [`nested`](crate::nested) decides, and it is 0 outside of that.
    #[inline]
    pub(crate) const fn with_subclass(self, subclass: u8) -> Call {
        let without = self.bits & !(0b111 << Self::SUBCLASS);
        let bits = without | Self::GIVEN | (subclass as u32) << Self::SUBCLASS;
        Call { bits, ..self }
    }

    /// The same call after a sleep that was validated: however long the wait takes,
    /// the section that it happens in was asked already.
    pub(crate) const fn after_sleep(self) -> Call {
        let bits = self.bits | Self::SLEPT;
        Call { bits, ..self }
    }

    pub(crate) const fn is_after_sleep(self) -> bool {
        self.bits & Self::SLEPT != 0
    }

    pub(crate) const fn with_attempt(self, attempt: Attempt) -> Call {
        let without = self.bits & !(0b11 << Self::ATTEMPT);
        let bits = without | (attempt as u32) << Self::ATTEMPT;
        Call { bits, ..self }
    }

    #[inline]
    pub(crate) const fn mode_bits(self) -> u32 {
        self.bits & 0b111
    }

    #[inline]
    pub(crate) const fn bits(self) -> u32 {
        self.bits
    }

    pub(crate) const fn from_bits(bits: u32, site: &'static Location<'static>) -> Call {
        Call { bits, site }
    }

    /// Mode and subclass, as chains name them.
    #[inline]
    pub(crate) const fn step(self) -> u32 {
        self.bits & 0b11_1111
    }

    #[inline]
    pub(crate) const fn tries(self) -> bool {
        self.bits >> Self::ATTEMPT & 0b11 == Attempt::Try as u32
    }

    pub(crate) const fn mode(self) -> Mode {
        Mode::from_bits(self.bits)
    }

    pub(crate) const fn attempt(self) -> Attempt {
        Attempt::from_bits(self.bits >> Self::ATTEMPT)
    }

    pub(crate) const fn stays(self) -> bool {
        self.bits & Self::STAYS != 0
    }

    /// The subclass, if it is given.
    pub(crate) const fn subclass(self) -> Option<u8> {
        if self.bits & Self::GIVEN == 0 {
            return None;
        }
        Some((self.bits >> Self::SUBCLASS & 0b111) as u8)
    }
}
