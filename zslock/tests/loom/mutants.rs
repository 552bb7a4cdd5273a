//! The mutation run: breaks the lock in one place at a time and demands that a model fails.
//!
//! Each mutant runs in child processes of this test binary, one a model, with `ZSLOCK_MUTANT` set. A kill counts only if
//! the model completes without the mutant and fails with it by a causality violation, a deadlock, or an assertion of the
//! model; never by a branch limit, a time-out, or because no test ran.

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
        .filter(|name| !name.starts_with("mutants::"))
        .map(String::from)
        .collect()
}

fn run(model: &str, mutant: &str) -> Outcome {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", model, "--nocapture", "--test-threads=1"])
        .env("ZSLOCK_MUTANT", mutant)
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
    let by_model = place.contains("tests/loom/");
    if by_loom || by_model {
        Outcome::Failed(message)
    } else {
        Outcome::Undecided(message)
    }
}

/// The models, those of the biased lock first or last: where a mutant of the other kind is sure to survive.
fn ordered(models: &[String], biased_first: bool) -> Vec<String> {
    let mut models = models.to_vec();
    models.sort_by_key(|model| model.contains("biased::") != biased_first);
    models
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

/// One thing to break, and the models that may notice, the likeliest first.
struct Job {
    mutant: String,
    change: String,
    models: Vec<String>,
}

fn jobs(models: &[String], mutants: &zslock::Mutants) -> Vec<Job> {
    let [plain, biased] = [false, true].map(|biased_first| ordered(models, biased_first));
    let mut jobs = Vec::new();
    for (site, ordering) in &mutants.sites {
        let change = format!("{ordering:?} -> Relaxed");
        let behind = mutants.behind_a_fence.iter().find(|(name, _)| name == site);
        let job = if let Some((_, fence)) = behind {
            // Only models that do not need the fence itself can tell.
            let passes = |model: &&String| {
                model.starts_with("biased::") && matches!(run(model, fence), Outcome::Passed)
            };
            Job {
                mutant: format!("{site} & {fence}"),
                change,
                models: biased.iter().filter(passes).cloned().collect(),
            }
        } else {
            let is_biased = mutants.biased_sites.contains(site);
            Job {
                mutant: String::from(*site),
                change,
                models: if is_biased { &biased } else { &plain }.clone(),
            }
        };
        jobs.push(job);
    }
    for (list, models) in [
        (mutants.protocol, &plain),
        (mutants.biased_protocol, &biased),
    ] {
        jobs.extend(list.iter().map(|mutant| Job {
            mutant: String::from(*mutant),
            change: String::from("protocol"),
            models: models.clone(),
        }));
    }
    jobs
}

fn print_row(mutant: &str, change: &str, killer: Option<&(&str, String)>) {
    let (model, line) = killer.map_or(("-", "survived"), |(model, line)| (*model, line.as_str()));
    println!("{mutant:<34} {change:<20} {model:<58} {line}");
}

#[test]
#[ignore = "a minute: run by ci/mutants.sh"]
fn every_ordering_is_necessary() {
    let models = models();
    let mutants = zslock::mutants();
    println!(
        "{:<34} {:<20} {:<58} first line of the failure",
        "site", "change", "model that failed"
    );

    let (empty, undecided) = killer(&models, "");
    print_row("(control) nothing is broken", "", empty.as_ref());
    assert!(
        empty.is_none() && undecided.is_empty(),
        "the lock itself fails: {undecided:?}"
    );
    let (equivalent, undecided) = killer(&models, mutants.equivalent);
    print_row(
        "(control) equivalent mutant",
        "Relaxed -> SeqCst",
        equivalent.as_ref(),
    );
    assert!(
        equivalent.is_none() && undecided.is_empty(),
        "killed an equivalent: {undecided:?}"
    );

    let (mut killed, mut survivors) = (0, Vec::new());
    let jobs = jobs(&models, &mutants);
    for job in &jobs {
        let (killer, undecided) = killer(&job.models, &job.mutant);
        print_row(&job.mutant, &job.change, killer.as_ref());
        undecided
            .iter()
            .for_each(|line| println!("    undecided: {line}"));
        if killer.is_some() {
            killed += 1;
        } else {
            survivors.push(&job.mutant);
        }
    }
    println!(
        "{} sites, {killed} killed, {} unexplained",
        jobs.len(),
        survivors.len()
    );
    assert!(survivors.is_empty(), "no model needs: {survivors:?}");
}
