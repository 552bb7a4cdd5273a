//! Two questions that the reviewers of the kernel's preemptible zspage lock asked, answered by a model checker.
//!
//! [loom](https://docs.rs/loom) runs a small program again and again, once for every order in which its threads can meet,
//! and in each keeps track of what the memory orderings promise. An access to the object that is not ordered against
//! another thread's write ends the search: then there is an execution in which a map reads while the page moves.
//!
//! `cargo run --release --example orderings`

mod explore;
mod posted;
mod user_count;

use std::process::ExitCode;

use explore::{Outcome, explore};

struct Story {
    title: &'static str,
    model: fn(),
    must_fail: bool,
    why: &'static str,
}

const STORIES: [Story; 5] = [
    Story {
        title: "the lock as posted to LKML: the reader's unlock is atomic_dec(), which orders nothing",
        model: posted::as_posted,
        must_fail: true,
        why: "the lock keeps them apart in time, but nothing orders the reader's access before its unlock: the processor may \
              perform it after the migrator has taken the lock. A fully ordered cmpxchg at the migrator does not help, \
              because there is no RELEASE for its ACQUIRE to pair with.",
    },
    Story {
        title: "the same lock, and the reader's unlock has RELEASE",
        model: posted::fixed,
        must_fail: false,
        why: "the unlock now carries the reader's access along: whoever sees it sees everything that came before it.",
    },
    Story {
        title: "what the thread was afraid of: with that RELEASE, but a migrator that does not ACQUIRE",
        model: posted::without_acquire,
        must_fail: true,
        why: "it takes both ends: without ACQUIRE the migrator's writes may be performed before it has seen the reader's unlock. In the kernel \
              this cannot happen, as a successful atomic_try_cmpxchg is fully ordered.",
    },
    Story {
        title: "no lock, but a count of users: migrate if (users == 0)",
        model: user_count::count_only,
        must_fail: true,
        why: "all orderings are as strong as they get, and it does not matter: the count says that nobody was there, not that nobody \
              comes. A map that begins after the look is not kept out while the page moves.",
    },
    Story {
        title: "the count, and one value of it that means: migrating, keep out",
        model: user_count::with_a_writer,
        must_fail: false,
        why: "looking and closing the door are one step. That is a reader-writer lock, and the reason why this is one.",
    },
];

fn main() -> ExitCode {
    let mut right = true;
    for (n, story) in (1..).zip(&STORIES) {
        println!("{n}. {}", story.title);
        let outcome = explore(story.model);
        right &= matches!(outcome, Outcome::Fails { .. }) == story.must_fail;
        print(&outcome);
        println!("   {}\n", wrapped(story.why));
    }
    if right {
        println!(
            "verdict: without RELEASE, without ACQUIRE or without a writer's state the page moves under a map; with them it does not"
        );
        ExitCode::SUCCESS
    } else {
        println!("verdict: WRONG, a model did not end as it must");
        ExitCode::FAILURE
    }
}

fn print(outcome: &Outcome) {
    match outcome {
        Outcome::Passes { executions } => {
            println!("   passes: {executions} executions, all that there are");
        }
        Outcome::Fails {
            executions,
            reason,
            steps,
        } => {
            println!("   FAILS in execution {executions}:");
            for (who, what) in steps {
                println!("     {who:<9} {what}");
            }
            println!("   {reason}");
        }
    }
}

/// Broken into lines that fit a terminal, below the heading.
fn wrapped(text: &str) -> String {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let line = lines.last_mut().expect("never empty");
        if !line.is_empty() && line.len() + word.len() > 92 {
            lines.push(word.to_owned());
        } else {
            if !line.is_empty() {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n   ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_story_ends_as_it_says() {
        for story in &STORIES {
            match explore(story.model) {
                Outcome::Passes { executions } => {
                    assert!(!story.must_fail, "passes: {}", story.title);
                    assert!(executions > 1, "nothing was explored: {}", story.title);
                }
                Outcome::Fails { reason, steps, .. } => {
                    assert!(story.must_fail, "fails: {}", story.title);
                    assert!(reason.starts_with("Causality violation"), "{reason}");
                    assert!(steps.iter().any(|(who, _)| *who == "migrator"), "{steps:?}");
                }
            }
        }
    }
}
