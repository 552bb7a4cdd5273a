//! How much memory the system sees this process hold.

use std::fs;

/// Bytes of `VmRSS` in `/proc/self/status`, or `None` where there is no such file.
pub fn process_bytes() -> Option<u64> {
    vm_rss(&fs::read_to_string("/proc/self/status").ok()?)
}

fn vm_rss(status: &str) -> Option<u64> {
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim_end().parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_size_is_read_in_bytes() {
        let status = "VmHWM:\t  200 kB\nVmRSS:\t  12 kB\nRssAnon:\t 8 kB\n";
        assert_eq!(vm_rss(status), Some(12 * 1024));
        assert_eq!(vm_rss("VmRSS:\t many kB\n"), None);
        assert_eq!(vm_rss(""), None);
    }

    #[test]
    fn the_system_tells_this_process_its_size() {
        // No test process runs in less than a megabyte, and none of these needs a gigabyte.
        let size = process_bytes().unwrap();
        assert!((1 << 20..1 << 30).contains(&size), "{size}");
    }
}
