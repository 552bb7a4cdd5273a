//! What the documentation shows is what the program says.

mod support;

use support::{Lock, reports};

/// The report of the crate's first example is the one that its documentation
/// shows, but for the places and the numbers of the locks.
#[test]
fn the_report_in_the_documentation() {
    let (accounts, journal) = (Lock::instance(), Lock::instance());
    let program = || {
        let outer = accounts.lock();
        let inner = journal.lock();
        journal.unlock(inner);
        accounts.unlock(outer);
        let outer = journal.lock();
        let inner = accounts.lock();
        accounts.unlock(inner);
        journal.unlock(outer);
    };
    let found = std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().name("main".to_owned());
        let thread = thread.spawn_scoped(scope, || reports(program)).unwrap();
        thread.join().unwrap()
    });
    let documentation = include_str!("../src/lib.rs");
    let (_, shown) = documentation.split_once("//! ```text\n").unwrap();
    let (shown, _) = shown.split_once("//! ```\n").unwrap();
    let shown = shown.replace("//!", "");
    assert_eq!(numbered(&found[0].to_string()), numbered(&shown));
}

/// The text with places and locks numbered in the order in which they occur.
fn numbered(text: &str) -> String {
    let mut names: Vec<String> = Vec::new();
    let mut number = |name: &str| {
        let known = names.iter().position(|known| known == name);
        known.unwrap_or_else(|| {
            names.push(name.to_owned());
            names.len() - 1
        })
    };
    let separates = [' ', '(', ')'];
    let mut word = |word: &str| {
        let name = word.trim_end_matches(separates);
        let numbered = name.contains(".rs:") || name.contains("lock-#");
        match numbered {
            true => format!("<{}>{}", number(name), &word[name.len()..]),
            false => word.to_owned(),
        }
    };
    // Lock numbers of several digits make the scenario's columns wider.
    let lines = text
        .lines()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "));
    let lines = lines.map(|line| {
        let line = line.replace("lock #", "lock-#");
        line.split_inclusive(separates).map(&mut word).collect()
    });
    lines.collect::<Vec<String>>().join("\n")
}
