//! Numbers as people read them: `12,288`, `9.2 µs`, `21.4 MiB`.

/// A count with a comma between groups of three digits.
pub fn count(n: u64) -> String {
    let digits = n.to_string();
    let mut out = String::with_capacity(digits.len() + digits.len() / 3);
    for (i, digit) in digits.chars().enumerate() {
        if i > 0 && (digits.len() - i).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// A count with its noun: `1 zspage`, `2,000 zspages`.
pub fn counted(n: u64, noun: &str) -> String {
    let plural = if n == 1 { "" } else { "s" };
    format!("{} {noun}{plural}", count(n))
}

/// A time span given in nanoseconds, in the unit that needs fewest digits.
pub fn duration(ns: u64) -> String {
    let ns = ns as f64;
    let (value, unit) = match ns {
        0.0 => return "0".to_owned(),
        _ if ns < 1e3 => return format!("{ns:.0} ns"),
        _ if ns < 1e6 => (ns / 1e3, "µs"),
        _ if ns < 1e9 => (ns / 1e6, "ms"),
        _ => (ns / 1e9, "s"),
    };
    let decimals = if value < 100.0 { 1 } else { 0 };
    format!("{value:.decimals$} {unit}")
}

/// A byte count in MiB, or in KiB if it is less than one.
pub fn bytes(n: u64) -> String {
    match n {
        0..0x10_0000 => format!("{:.1} KiB", n as f64 / 1024.0),
        _ => format!("{:.1} MiB", n as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_are_grouped_by_three_digits() {
        assert_eq!(count(0), "0");
        assert_eq!(count(999), "999");
        assert_eq!(count(1_000), "1,000");
        assert_eq!(count(12_345_678), "12,345,678");
        assert_eq!(counted(1, "map"), "1 map");
        assert_eq!(counted(0, "map"), "0 maps");
    }

    #[test]
    fn durations_pick_their_unit() {
        assert_eq!(duration(0), "0");
        assert_eq!(duration(7), "7 ns");
        assert_eq!(duration(9_240), "9.2 µs");
        assert_eq!(duration(512_000), "512 µs");
        assert_eq!(duration(2_500_000_000), "2.5 s");
    }

    #[test]
    fn bytes_pick_their_unit() {
        assert_eq!(bytes(4096), "4.0 KiB");
        assert_eq!(bytes((1 << 20) - 512), "1023.5 KiB");
        assert_eq!(bytes(3 << 19), "1.5 MiB");
    }
}
