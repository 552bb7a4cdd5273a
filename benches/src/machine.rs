//! Where the figures come from.

use std::fmt;
use std::fs;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

/// The machine, the compiler and the day.
#[derive(Clone, Debug)]
pub struct Machine {
    cpu: String,
    cores: usize,
    kernel: String,
    clock: String,
    governor: String,
    hypervisor: bool,
    date: String,
}

impl Machine {
    /// This one, as far as it can be read.
    #[must_use]
    pub fn here() -> Self {
        let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
        let seconds = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self {
            cpu: field(&cpuinfo, "model name")
                .unwrap_or("unknown processor")
                .to_owned(),
            cores: thread::available_parallelism().map_or(1, usize::from),
            kernel: read("/proc/sys/kernel/osrelease"),
            clock: read("/sys/devices/system/clocksource/clocksource0/current_clocksource"),
            governor: read("/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor"),
            hypervisor: field(&cpuinfo, "flags")
                .is_some_and(|flags| flags.split(' ').any(|flag| flag == "hypervisor")),
            date: date(seconds / 86_400),
        }
    }
}

impl fmt::Display for Machine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let virtual_machine = if self.hypervisor {
            ", virtual machine"
        } else {
            ""
        };
        writeln!(
            f,
            "- processor: {}, {} cores{virtual_machine}",
            self.cpu, self.cores
        )?;
        writeln!(f, "- kernel: Linux {}", self.kernel)?;
        writeln!(
            f,
            "- clock source: {}; frequency governor: {}",
            self.clock, self.governor
        )?;
        writeln!(f, "- compiler: {}", env!("BENCHES_RUSTC"))?;
        writeln!(f, "- date: {} (UTC)", self.date)
    }
}

fn read(path: &str) -> String {
    fs::read_to_string(path)
        .map_or_else(|_| "not readable".to_owned(), |text| text.trim().to_owned())
}

/// The value of the first line `name : value`.
fn field<'a>(text: &'a str, name: &str) -> Option<&'a str> {
    text.lines().find_map(|line| {
        let (key, value) = line.split_once(':')?;
        (key.trim() == name).then(|| value.trim())
    })
}

/// The Gregorian date of a day since 1970-01-01, in eras of 400 years that begin on a first of March (H. Hinnant,
/// "chrono-compatible low-level date algorithms").
fn date(days: u64) -> String {
    let shifted = days + 719_468;
    let (era, day_of_era) = (shifted / 146_097, shifted % 146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 {
        from_march + 3
    } else {
        from_march - 9
    };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year}-{month:02}-{day:02}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates() {
        assert_eq!(date(0), "1970-01-01");
        assert_eq!(date(11_016), "2000-02-29");
        assert_eq!(date(19_723), "2024-01-01");
        assert_eq!(date(20_453), "2025-12-31");
    }

    #[test]
    fn fields() {
        let text = "processor\t: 0\nmodel name\t: Some CPU @ 3: GHz\n";
        assert_eq!(field(text, "model name"), Some("Some CPU @ 3: GHz"));
        assert_eq!(field(text, "flags"), None);
    }

    #[test]
    fn the_compiler_is_named() {
        assert!(Machine::here().to_string().contains("compiler: rustc 1."));
    }
}
