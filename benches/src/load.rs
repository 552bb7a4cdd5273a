//! How much of a window somebody else had.
//!
//! With at most as many threads as cores, what others took shows as the time that a thread of ours could run but was not
//! given a core: the kernel counts it to the nanosecond. A lock that parks its waiters is not blamed for that, which comparing
//! processor time with wall time would do. With more threads than cores our own threads wait for each other, so
//! there the busy time of the whole machine is compared with the processor time of this process; that is counted in
//! ticks of 10 ms, so it takes windows of some hundred milliseconds.

use std::fs;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

/// Reads how long this thread has been waiting for a core so far; `None` where the kernel does not tell.
#[must_use]
pub fn run_delay() -> Option<Duration> {
    parse_run_delay(&fs::read_to_string("/proc/thread-self/schedstat").ok()?)
}

/// The second of the three numbers, in nanoseconds.
fn parse_run_delay(schedstat: &str) -> Option<Duration> {
    let delay = schedstat.split_whitespace().nth(1)?;
    delay.parse().ok().map(Duration::from_nanos)
}

/// The machine and this process at one moment.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    wall: Instant,
    own: Duration,
    busy: Option<Duration>,
}

impl Moment {
    /// Now.
    #[must_use]
    pub fn now() -> Self {
        let own = clock_gettime(ClockId::ProcessCPUTime);
        let nanoseconds = u32::try_from(own.tv_nsec).expect("below one second");
        let seconds = u64::try_from(own.tv_sec).expect("a process starts at zero");
        Self {
            wall: Instant::now(),
            own: Duration::new(seconds, nanoseconds),
            busy: fs::read_to_string("/proc/stat")
                .ok()
                .and_then(|stat| parse_busy(&stat)),
        }
    }

    /// The share of the machine's `cores` that others have had since then, from 0 to 1. `None` where the kernel does not
    /// tell.
    #[must_use]
    pub fn foreign_share(&self, cores: usize) -> Option<f64> {
        let now = Self::now();
        let busy = now.busy?.saturating_sub(self.busy?);
        let foreign = busy.saturating_sub(now.own - self.own);
        let available = (now.wall - self.wall).as_secs_f64() * cores as f64;
        Some((foreign.as_secs_f64() / available).min(1.0))
    }

    /// The share of `threads` cores that this process has not used since then: the fallback without run delays.
    #[must_use]
    pub fn unused_share(&self, threads: usize) -> f64 {
        let now = Self::now();
        let available = (now.wall - self.wall).as_secs_f64() * threads as f64;
        (1.0 - (now.own - self.own).as_secs_f64() / available).max(0.0)
    }
}

/// All but idle and iowait of the first line of `/proc/stat`, whose ticks are 10 ms on every Linux. Guest time is part of
/// user time already.
fn parse_busy(stat: &str) -> Option<Duration> {
    const TICK: Duration = Duration::from_millis(10);
    let numbers = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u32> = numbers
        .split_whitespace()
        .take(8)
        .map(str::parse)
        .collect::<Result<_, _>>()
        .ok()?;
    let [user, nice, system, _idle, _iowait, irq, softirq, steal] = ticks.try_into().ok()?;
    Some(TICK * (user + nice + system + irq + softirq + steal))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn busy_is_neither_idle_nor_iowait_nor_guest() {
        let stat = "cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 9 9 9 9 9 9 9 9 9 9\n";
        assert_eq!(parse_busy(stat), Some(Duration::from_millis(630)));
        assert_eq!(parse_busy("cpu0 1 2 4 1000 2000 8 16 32"), None);
        assert_eq!(parse_busy("cpu  1 2 x 1000 2000 8 16 32"), None);
    }

    #[test]
    fn the_run_delay_is_the_second_number() {
        assert_eq!(
            parse_run_delay("77 3550336 1\n"),
            Some(Duration::from_nanos(3_550_336))
        );
        assert_eq!(parse_run_delay(""), None);
    }
}
