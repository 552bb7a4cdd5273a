//! Durations, counted: their extremes, sum and distribution.

use std::time::Duration;

/// Many durations, in nanoseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Times {
    /// How many there are.
    pub count: u64,
    /// The shortest; 0 if there is none.
    pub min_ns: u64,
    /// The longest; 0 if there is none.
    pub max_ns: u64,
    /// All of them together.
    pub total_ns: u64,
    /// The element `i` counts those of at least 2^i and less than 2^(i+1) ns;
    /// the first one also those of 0 ns. It ends with the longest, so it has at
    /// most 64 elements, and they sum up to `count`.
    pub histogram: Vec<u64>,
}

impl Times {
    /// The mean; 0 if there is none.
    #[must_use]
    pub fn mean_ns(&self) -> u64 {
        self.total_ns.checked_div(self.count).unwrap_or(0)
    }

    pub(crate) fn record(&mut self, time: Duration) {
        // A u64 of nanoseconds is 584 years.
        let ns = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        self.min_ns = if self.count == 0 {
            ns
        } else {
            self.min_ns.min(ns)
        };
        self.max_ns = self.max_ns.max(ns);
        self.count += 1;
        self.total_ns = self.total_ns.saturating_add(ns);
        let bucket = ns.max(1).ilog2() as usize;
        if self.histogram.len() <= bucket {
            self.histogram.resize(bucket + 1, 0);
        }
        self.histogram[bucket] += 1;
    }

    pub(crate) fn add(&mut self, other: &Times) {
        if other.count == 0 {
            return;
        }
        self.min_ns = match self.count {
            0 => other.min_ns,
            _ => self.min_ns.min(other.min_ns),
        };
        self.max_ns = self.max_ns.max(other.max_ns);
        self.count += other.count;
        self.total_ns = self.total_ns.saturating_add(other.total_ns);
        if self.histogram.len() < other.histogram.len() {
            self.histogram.resize(other.histogram.len(), 0);
        }
        for (sum, more) in self.histogram.iter_mut().zip(&other.histogram) {
            *sum += more;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn times(ns: &[u64]) -> Times {
        let mut times = Times::default();
        for ns in ns {
            times.record(Duration::from_nanos(*ns));
        }
        times
    }

    #[test]
    fn the_buckets_are_powers_of_two() {
        let times = times(&[0, 1, 2, 3, 4, 1023, 1024]);
        assert_eq!(times.histogram, [2, 2, 1, 0, 0, 0, 0, 0, 0, 1, 1]);
        assert_eq!((times.min_ns, times.max_ns), (0, 1024));
        assert_eq!((times.count, times.total_ns), (7, 2057));
        assert_eq!(times.mean_ns(), 293);
    }

    #[test]
    fn adding_is_recording_all() {
        let (a, b) = ([5, 900], [3, 70_000, 8]);
        let mut sum = times(&a);
        sum.add(&times(&b));
        assert_eq!(sum, times(&[5, 900, 3, 70_000, 8]));
        sum.add(&Times::default());
        assert_eq!(sum.min_ns, 3);
        let mut from_nothing = Times::default();
        from_nothing.add(&times(&a));
        assert_eq!(from_nothing, times(&a));
    }

    #[test]
    fn the_longest_time_fits() {
        let mut times = times(&[]);
        times.record(Duration::MAX);
        times.record(Duration::MAX);
        assert_eq!(times.max_ns, u64::MAX);
        assert_eq!(times.total_ns, u64::MAX);
        assert_eq!(times.histogram.len(), 64);
    }
}
