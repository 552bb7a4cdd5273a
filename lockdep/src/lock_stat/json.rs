//! The counts for other programs.

use std::fmt::Write as _;

use super::{ContentionSite, LockStat, LockStatRow, Times};

impl LockStat {
    /// As JSON: an object with the array `rows`, whose elements have the fields
    /// of [`LockStatRow`]. The mode is its name in reports, a place is
    /// `file:line:column`.
    #[must_use]
    pub fn to_json(&self) -> String {
        let rows: Vec<String> = self.rows.iter().map(row).collect();
        format!("{{\"rows\":[{}]}}", rows.join(","))
    }
}

fn row(row: &LockStatRow) -> String {
    let sites: Vec<String> = row.sites.iter().map(site).collect();
    format!(
        "{{\"class\":{},\"mode\":\"{}\",\"acquisitions\":{},\"contentions\":{},\"wait\":{},\"hold\":{},\
         \"sites\":[{}],\"contentions_elsewhere\":{}}}",
        string(&row.class),
        row.mode,
        row.acquisitions,
        row.contentions,
        times(&row.wait),
        times(&row.hold),
        sites.join(","),
        row.contentions_elsewhere,
    )
}

fn times(times: &Times) -> String {
    let histogram: Vec<String> = times.histogram.iter().map(u64::to_string).collect();
    format!(
        "{{\"count\":{},\"min_ns\":{},\"max_ns\":{},\"total_ns\":{},\"histogram\":[{}]}}",
        times.count,
        times.min_ns,
        times.max_ns,
        times.total_ns,
        histogram.join(","),
    )
}

fn site(site: &ContentionSite) -> String {
    format!(
        "{{\"location\":{},\"contentions\":{}}}",
        string(&site.location.to_string()),
        site.contentions,
    )
}

/// A string as JSON reads it.
fn string(text: &str) -> String {
    let mut json = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => json.extend(['\\', c]),
            c if c < ' ' => _ = write!(json, "\\u{:04x}", u32::from(c)),
            c => json.push(c),
        }
    }
    json.push('"');
    json
}

#[cfg(test)]
mod tests {
    use super::super::tests::example;

    #[test]
    fn every_field_is_there() {
        let json = example().to_json();
        let expected = r#"{"rows":[{"class":"say \"inode\"","mode":"exclusive","acquisitions":12345,"contentions":3,"wait":{"count":2,"min_ns":900,"max_ns":2500000,"total_ns":2500900,"histogram":[0,0,0,0,0,0,0,0,0,1,0,0,0,0,0,0,0,0,0,0,0,1]},"hold":{"count":1,"min_ns":40,"max_ns":40,"total_ns":40,"histogram":[0,0,0,0,0,1]},"sites":[{"location":"src/bank.rs:14:26","contentions":2}],"contentions_elsewhere":1},{"class":"page","mode":"shared-recursive","acquisitions":1,"contentions":0,"wait":{"count":0,"min_ns":0,"max_ns":0,"total_ns":0,"histogram":[]},"hold":{"count":0,"min_ns":0,"max_ns":0,"total_ns":0,"histogram":[]},"sites":[],"contentions_elsewhere":0}]}"#;
        assert_eq!(json, expected);
    }
}
