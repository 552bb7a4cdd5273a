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

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;
use examples::stdout;
use examples::wrap::wrapped;
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

/// Two questions about the memory orderings of the kernel's zspage lock, answered by a model checker.
///
/// Exit status: 0 every model ended as it must, 1 one did not or the output could not be written, 2 bad
/// option.
#[derive(Debug, Parser)]
#[command(name = "orderings", verbatim_doc_comment)]
struct Options {}

fn main() -> ExitCode {
    Options::parse();
    stdout::ended(run(&mut io::stdout()))
}

/// All stories; returns whether each ended as it must.
fn run(out: &mut impl Write) -> io::Result<bool> {
    let mut right = true;
    for (n, story) in (1..).zip(&STORIES) {
        writeln!(out, "{n}. {}", story.title)?;
        let outcome = explore(story.model);
        right &= matches!(outcome, Outcome::Fails { .. }) == story.must_fail;
        show(&outcome, out)?;
        indented(story.why, out)?;
        writeln!(out)?;
    }
    if right {
        writeln!(
            out,
            "verdict: without RELEASE, ACQUIRE or a writer's state the page moves under a map; with all it stays"
        )?;
    } else {
        writeln!(out, "verdict: WRONG, a model did not end as it must")?;
    }
    Ok(right)
}

fn show(outcome: &Outcome, out: &mut impl Write) -> io::Result<()> {
    match outcome {
        Outcome::Passes { executions } => {
            writeln!(
                out,
                "   passes: {executions} executions, all that there are"
            )
        }
        Outcome::Fails {
            executions,
            reason,
            steps,
        } => {
            writeln!(out, "   FAILS in execution {executions}:")?;
            for (who, what) in steps {
                writeln!(out, "     {who:<9} {what}")?;
            }
            indented(reason, out)
        }
    }
}

/// In lines that fit a terminal, below the heading.
fn indented(text: &str, out: &mut impl Write) -> io::Result<()> {
    let mut lines = wrapped(text, 92).into_iter();
    lines.try_for_each(|line| writeln!(out, "   {line}"))
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
