//! The mutation run: breaks the pool in one place at a time and demands that a model fails.
//!
//! Each mutant runs in child processes of this test binary, one a model, with `ZSALLOC_MUTANT` set. A kill counts only if
//! the model completes without the mutant and fails with it by a causality violation, a deadlock, a use of what has ended,
//! or an assertion of the pool or the model; never by a branch limit, a time-out, because no test ran, or because an outcome
//! that the model must reach was not reached: that shows another course of events, and nothing wrong.

use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// A child that takes longer decides nothing.
const PATIENCE: Duration = Duration::from_secs(120);

enum Outcome {
    Passed,
    /// The first line of the failure.
    Failed(String),
    /// Anything that proves nothing either way.
    Undecided(String),
}

fn models() -> Vec<String> {
    let list = Command::new(std::env::current_exe().unwrap())
        .arg("--list")
        .output()
        .expect("this binary lists its tests");
    let list = String::from_utf8(list.stdout).unwrap();
    let names = list.lines().filter_map(|line| line.strip_suffix(": test"));
    names
        // With the broken lock they fail anyway.
        .filter(|name| !name.starts_with("mutants::") && !name.contains("user_count::"))
        .map(String::from)
        .collect()
}

fn run(model: &str, mutant: &str) -> Outcome {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", model, "--nocapture", "--test-threads=1"])
        .env("ZSALLOC_MUTANT", mutant)
        .env("ZSALLOC_LOOM_AT_MOST", "2")
        .env("RUST_BACKTRACE", "0")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("this binary runs");
    // What a model prints is little; it fits the pipes.
    let start = Instant::now();
    while child.try_wait().unwrap().is_none() {
        if start.elapsed() > PATIENCE {
            child.kill().unwrap();
            child.wait().unwrap();
            return Outcome::Undecided(format!("no end after {PATIENCE:?}"));
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    let output = child.wait_with_output().unwrap();
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    if output.status.success() {
        return if out.contains("test result: ok. 1 passed") {
            Outcome::Passed
        } else {
            Outcome::Undecided(String::from("no test ran"))
        };
    }
    let mut lines = err.lines().skip_while(|line| !line.contains("panicked at"));
    let place = lines.next().unwrap_or_default();
    let message = lines.next().unwrap_or_default().trim().to_owned();
    let by_loom = message.contains("Causality violation") || message.starts_with("deadlock");
    // A use of what has ended, or a broken invariant.
    let by_pool = place.contains("zsalloc/src/");
    let by_model = place.contains("tests/loom/") && !message.ends_with("was never reached");
    if by_loom || by_pool || by_model {
        Outcome::Failed(message)
    } else {
        Outcome::Undecided(message)
    }
}

/// The first model that fails under `mutant`, with its failure; and what proved nothing on the way.
fn killer<'a>(models: &'a [String], mutant: &str) -> (Option<(&'a str, String)>, Vec<String>) {
    let mut undecided = Vec::new();
    for model in models {
        match run(model, mutant) {
            Outcome::Passed => {}
            Outcome::Failed(line) => return (Some((model, line)), undecided),
            Outcome::Undecided(why) => undecided.push(format!("{model}: {why}")),
        }
    }
    (None, undecided)
}

fn print_row(mutant: &str, change: &str, killer: Option<&(&str, String)>) {
    let (model, line) = killer.map_or(("-", "survived"), |(model, line)| (*model, line.as_str()));
    println!("{mutant:<28} {change:<20} {model:<46} {line}");
}

/// Sites of which nothing can be seen when they are weaker, and why they are not.
const EQUIVALENT: &[(&str, &str)] = &[(
    "HEADER_CLEAR",
    "a lookup that finds no header starts over; what the ordering gives is only that it need not do so again",
)];

#[test]
#[ignore = "most of a minute: run by ci/mutants.sh"]
fn every_rule_is_necessary() {
    let models = models();
    let (sites, protocol) = zsalloc::execution::mutants();
    println!(
        "{:<28} {:<20} {:<46} first line of the failure",
        "site", "change", "model that failed"
    );
    let (control, undecided) = killer(&models, "");
    print_row("(control) nothing is broken", "", control.as_ref());
    assert!(
        control.is_none() && undecided.is_empty(),
        "the pool itself fails: {undecided:?}"
    );

    let sites = sites
        .iter()
        .map(|(site, ordering)| (*site, format!("{ordering:?} -> Relaxed")));
    let protocol = protocol
        .iter()
        .map(|mutant| (*mutant, String::from("protocol")));
    let (mut killed, mut explained, mut survivors) = (0, 0, Vec::new());
    let mutants: Vec<_> = sites.chain(protocol).collect();
    for pair in mutants.chunks(2) {
        // Two at a time, as a child keeps one processor busy.
        let results: Vec<_> = std::thread::scope(|scope| {
            let threads = pair
                .iter()
                .map(|(mutant, _)| scope.spawn(|| killer(&models, mutant)));
            let threads: Vec<_> = threads.collect();
            threads
                .into_iter()
                .map(|thread| thread.join().unwrap())
                .collect()
        });
        for ((mutant, change), (killer, undecided)) in pair.iter().zip(results) {
            print_row(mutant, change, killer.as_ref());
            for line in undecided {
                println!("    undecided: {line}");
            }
            let equivalent = EQUIVALENT.iter().find(|(name, _)| name == mutant);
            match (killer, equivalent) {
                (Some(_), None) => killed += 1,
                (None, Some((_, why))) => {
                    println!("    equivalent: {why}");
                    explained += 1;
                }
                (Some(_), Some(_)) => panic!("{mutant} is no equivalent: it was killed"),
                (None, None) => survivors.push(*mutant),
            }
        }
    }
    println!(
        "{} sites, {killed} killed, {explained} equivalent, {} unexplained",
        mutants.len(),
        survivors.len()
    );
    assert!(survivors.is_empty(), "no model needs: {survivors:?}");
}
