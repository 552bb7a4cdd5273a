//! Work of a known length for the sections, and the dice.

use std::hint::black_box;
use std::time::{Duration, Instant};

/// A dependent chain of multiplications that takes about as long as asked for. It does not touch memory and does not sleep.
#[derive(Clone, Copy, Debug)]
pub struct Work {
    steps: u32,
}

impl Work {
    /// Work that takes `length` on this machine when nobody disturbs it: the fastest of many tries counts.
    #[must_use]
    pub fn lasting(length: Duration) -> Self {
        const PROBE: Work = Work { steps: 20_000 };
        let fastest = (0..50)
            .map(|seed| {
                let start = Instant::now();
                PROBE.run(seed);
                start.elapsed()
            })
            .min()
            .expect("fifty tries");
        let steps = f64::from(PROBE.steps) * length.as_secs_f64() / fastest.as_secs_f64();
        Self {
            steps: (steps as u32).max(1),
        }
    }

    /// Work of a fixed number of steps, for what is counted and not timed.
    #[must_use]
    pub const fn of_steps(steps: u32) -> Self {
        Self { steps }
    }

    /// Does it.
    #[inline]
    pub fn run(self, seed: u64) {
        let mut chain = seed;
        for _ in 0..self.steps {
            chain = black_box(chain.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(1));
        }
    }
}

/// xorshift64: small and the same in every run.
#[derive(Clone, Debug)]
pub struct Dice(u64);

impl Dice {
    /// Dice that fall as `seed` says.
    #[must_use]
    pub fn new(seed: u64) -> Self {
        // Zero would stay zero.
        let mut dice = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        for _ in 0..8 {
            dice.roll(2);
        }
        dice
    }

    /// A number below `sides`.
    pub fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % sides
    }

    /// Puts `items` in a random order.
    pub fn shuffle<T>(&mut self, items: &mut [T]) {
        for last in (1..items.len()).rev() {
            let other = self.roll(last as u64 + 1) as usize;
            items.swap(last, other);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tenth_of_the_rolls_of_ten_sides_is_zero() {
        for seed in 0..8 {
            let mut dice = Dice::new(seed);
            let zeros = (0..10_000).filter(|_| dice.roll(10) == 0).count();
            assert!((850..1150).contains(&zeros), "{zeros} with seed {seed}");
        }
    }

    #[test]
    fn a_shuffle_loses_nothing_and_moves_something() {
        let mut items: Vec<u32> = (0..9).collect();
        Dice::new(7).shuffle(&mut items);
        assert_ne!(items, (0..9).collect::<Vec<_>>());
        items.sort_unstable();
        assert_eq!(items, (0..9).collect::<Vec<_>>());
    }

    #[test]
    fn longer_work_has_more_steps() {
        let short = Work::lasting(Duration::from_nanos(200));
        let long = Work::lasting(Duration::from_micros(20));
        assert!(long.steps > short.steps, "{long:?} against {short:?}");
    }
}
