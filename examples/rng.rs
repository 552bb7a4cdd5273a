//! A seeded generator, so that a run's choices can be repeated.

/// SplitMix64 (Steele, Lea, Flood: "Fast Splittable Pseudorandom Number Generators", 2014).
#[derive(Debug)]
pub struct Rng(u64);

impl Rng {
    /// The generator of one thread: the same seed gives each lane a stream of its own.
    pub fn for_lane(seed: u64, lane: usize) -> Self {
        // One scrambling step separates the streams; consecutive seeds would otherwise overlap.
        let mut root = Rng(seed ^ (lane as u64).wrapping_mul(0xD6E8_FEB8_6659_FD93));
        Rng(root.next())
    }

    /// The next 64 bits.
    #[expect(
        clippy::should_implement_trait,
        reason = "an iterator would have an end to ask about"
    )]
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        z ^ (z >> 31)
    }

    /// A number in `0..bound`; `bound` is not 0.
    pub fn below(&mut self, bound: u64) -> u64 {
        // The high half of a 64 x 64 product: no division, and a bias far below what matters here.
        ((u128::from(self.next()) * u128::from(bound)) >> 64) as u64
    }

    /// An index into a slice of `len` elements; `len` is not 0.
    pub fn index(&mut self, len: usize) -> usize {
        self.below(len as u64) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_repeats_and_lanes_differ() {
        let stream = |seed, lane| {
            let mut rng = Rng::for_lane(seed, lane);
            [rng.next(), rng.next(), rng.next()]
        };
        assert_eq!(stream(42, 1), stream(42, 1));
        assert_ne!(stream(42, 1), stream(42, 2));
        assert_ne!(stream(42, 1), stream(43, 1));
    }

    #[test]
    fn below_stays_below_and_reaches_every_value() {
        let mut rng = Rng::for_lane(7, 0);
        let mut seen = [false; 5];
        for _ in 0..1_000 {
            seen[rng.index(5)] = true;
        }
        assert_eq!(seen, [true; 5]);
    }
}
