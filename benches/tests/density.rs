//! The program `density` from its start to its files, with few pages.

use std::fs;
use std::process::Command;

#[test]
fn every_allocator_is_seen_at_every_phase() {
    let out = std::env::temp_dir().join(format!("density-{}", std::process::id()));
    let run = Command::new(env!("CARGO_BIN_EXE_density"))
        .args(["--mib", "1", "--rounds", "1", "--out"])
        .arg(&out)
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&run.stderr);
    assert!(run.status.success(), "{told}");
    let read = |name: &str| fs::read_to_string(out.join(name)).unwrap();
    let (report, csv) = (read("zsalloc-density.md"), read("zsalloc-density.csv"));
    assert!(read("zsalloc-density.svg").starts_with("<svg"));
    fs::remove_dir_all(&out).unwrap();

    assert_eq!(report, String::from_utf8_lossy(&run.stdout));
    assert!(!report.contains("not measured"), "{report}");
    let mut seen = 0;
    for line in csv.lines().skip(1) {
        let cells: Vec<&str> = line.split(',').collect();
        let number = |cell: usize| cells[cell].parse::<f64>().unwrap();
        // No store holds its objects in less memory than they have bytes, but for a few pages that malloc had before.
        assert!(
            number(6) + 65536.0 >= number(5) && number(5) > 0.0,
            "{line}"
        );
        seen += 1;
    }
    // At least glibc, zsmalloc's classes, adaptive and automatic at 8 phases, two other locks at 6.
    assert!(seen >= 4 * 8 + 2 * 6, "{csv}");
    if cfg!(feature = "allocators") {
        for (codec, allocator) in ["lz4", "zstd-1"]
            .into_iter()
            .flat_map(|codec| ["jemalloc", "mimalloc", "snmalloc"].map(|name| (codec, name)))
        {
            let rows = csv
                .lines()
                .filter(|line| line.contains(&format!(",{codec},{allocator},")));
            assert_eq!(rows.count(), 8, "{codec}, {allocator}: {csv}");
        }
    }
}

#[test]
fn what_cannot_be_is_said() {
    let fails = |arguments: &[&str]| {
        let run = Command::new(env!("CARGO_BIN_EXE_density"))
            .args(arguments)
            .output()
            .unwrap();
        assert!(!run.status.success(), "{arguments:?}");
        String::from_utf8(run.stderr).unwrap()
    };
    assert!(fails(&["--mib", "0"]).contains("--mib"));
    assert!(fails(&["child", "nobody", "random", "1"]).contains("no such contender"));
    assert!(fails(&["child", "glibc", "nothing", "1"]).contains("no such scenario"));
    // Its parent is gone before it said anything.
    assert!(fails(&["child", "glibc", "random", "1"]).contains("density: "));
}
