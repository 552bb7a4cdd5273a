//! The memory of a process, seen from outside.

use std::fs;

/// What the kernel says of a process, in bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Resident {
    /// Memory that is not of a file.
    pub anonymous: u64,
    /// Huge pages among it.
    pub huge: u64,
    /// What is swapped out.
    pub swapped: u64,
    /// What the process has freed lazily: the kernel takes it when it needs some.
    pub lazily_freed: u64,
}

impl Resident {
    /// That of the process `pid` at this moment.
    ///
    /// # Errors
    ///
    /// In words, if the process is gone or has huge or swapped pages, which cannot be counted here.
    pub fn of(pid: u32) -> Result<Self, String> {
        let path = format!("/proc/{pid}/smaps_rollup");
        let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
        let resident = Self::parse(&text).ok_or_else(|| format!("{path} has no figures"))?;
        if resident.huge > 0 || resident.swapped > 0 {
            return Err(format!(
                "process {pid} has {} bytes of huge pages and {} bytes of swap; both must be off",
                resident.huge, resident.swapped
            ));
        }
        Ok(resident)
    }

    fn parse(rollup: &str) -> Option<Self> {
        let field = |name: &str| {
            rollup.lines().find_map(|line| {
                let (key, value) = line.split_once(':')?;
                let kilobytes = value.trim().strip_suffix(" kB")?;
                (key == name).then(|| kilobytes.parse::<u64>().ok())?
            })
        };
        Some(Self {
            anonymous: field("Anonymous")? * 1024,
            huge: field("AnonHugePages")? * 1024,
            swapped: field("Swap")? * 1024,
            lazily_freed: field("LazyFree")? * 1024,
        })
    }

    /// What counts: lazily freed memory is the kernel's already.
    #[must_use]
    pub const fn counted(self) -> u64 {
        self.anonymous - self.lazily_freed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rollup_is_read() {
        let text = "5646-7ffe ---p 00000000 00:00 0 [rollup]\nRss: 1856 kB\nPss_Anon: 7 kB\nAnonymous:   116 kB\n\
            LazyFree: 16 kB\nAnonHugePages: 0 kB\nSwap: 0 kB\nSwapPss: 1 kB\n";
        let resident = Resident::parse(text).unwrap();
        assert_eq!(resident.anonymous, 116 * 1024);
        assert_eq!(resident.counted(), 100 * 1024);
        assert_eq!((resident.huge, resident.swapped), (0, 0));
        assert_eq!(Resident::parse("Rss: 1856 kB"), None);
    }

    #[test]
    fn memory_that_is_touched_is_seen() {
        let before = Resident::of(std::process::id());
        let memory = vec![1_u8; 8 << 20];
        let after = Resident::of(std::process::id());
        std::hint::black_box(&memory);
        // Elsewhere huge pages may be on; then it says so.
        if let (Ok(before), Ok(after)) = (before, after) {
            assert!(after.counted() >= before.counted() + (4 << 20));
        }
    }
}
