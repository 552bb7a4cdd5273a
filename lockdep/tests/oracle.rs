//! Random histories against an oracle that shares no code with the search.
//!
//! The oracle keeps every dependency it sees as a record and, while a history
//! is still safe, enumerates every closed walk over the records (each record at
//! most once) through a new one, applying the rule: at each joint the hold must
//! be able to block the request. Afterwards it compares the sets of class
//! cycles before and after each step, so that news after a first report counts
//! as much as the first report.
//!
//! A history is that of one to three threads, over 3 to 6 classes by key with 3
//! locks each: waits, timed waits and tries in all five modes, downgrades,
//! upgrades, changes of mode, releases in any order, with a token or without,
//! and downgrades and releases by another thread. Some classes are ordered by
//! number, some have no blocking writers; some histories use subclasses. Wait
//! types are not among it: other tests cover those.
//!
//! `LOCKDEP_HISTORIES=100000 cargo test --release -p lockdep --test oracle -- --nocapture`
//! runs as many as asked for; the last lines say what came out.

#[path = "oracle/brute_force.rs"]
mod brute_force;
#[path = "oracle/compare.rs"]
mod compare;
#[path = "oracle/crew.rs"]
mod crew;
#[path = "oracle/history.rs"]
mod history;
mod support;

use crew::Crew;
use history::{History, Outcome};

#[test]
fn random_histories_are_reported_exactly() {
    let histories = match std::env::var("LOCKDEP_HISTORIES") {
        Ok(count) => count.parse().expect("LOCKDEP_HISTORIES is a number"),
        Err(_) => 4_000,
    };
    let (crew, mut all, mut worst) = (Crew::new(), Outcome::default(), None);
    for seed in 1..=histories {
        let wrong = all.missed + all.false_;
        History::new(seed, &crew, &mut all).run();
        if all.missed + all.false_ > wrong {
            worst.get_or_insert(seed);
        }
    }
    println!(
        "{histories} histories, {} missed, {} false",
        all.missed, all.false_
    );
    println!(
        "{} unsafe, {} of several threads, {} operations by another thread than the hold's; \
         nested in one class by number {}, as readers {}, by subclass {}",
        all.unsafe_, all.threaded, all.elsewhere, all.ordered, all.readers, all.subclassed
    );
    assert_eq!(
        (all.missed, all.false_),
        (0, 0),
        "first in the history of seed {worst:?}"
    );
    // A run that met nothing would prove nothing.
    assert!(
        all.unsafe_ * 10 >= histories * 3,
        "only {} of {histories} unsafe",
        all.unsafe_
    );
    for (what, met) in [
        ("several threads", all.threaded),
        ("another thread's hold", all.elsewhere),
        ("nesting by number", all.ordered),
        ("nesting of readers", all.readers),
        ("nesting by subclass", all.subclassed),
    ] {
        assert!(met * 100 >= histories, "{what} met only {met} times");
    }
}
