//! Rounds of windows: every contender once a row and round, in an order that is shuffled anew each time.
//!
//! The windows that a ratio compares are therefore neighbours in time, and no contender always runs first.

use std::time::{Duration, Instant};

use super::contender::Contender;
use super::corpus::Corpus;
use super::row::Row;
use super::subject::Subject;
use crate::validator::launch::Window;
use crate::work::Dice;

/// How much to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// Which rows.
    pub rows: Vec<Row>,
    /// How often each row is timed with each contender.
    pub rounds: u32,
    /// How long one window of a loop takes.
    pub window: Duration,
}

/// One window of a run.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// In which round.
    pub round: u32,
    /// What was timed.
    pub row: Row,
    /// Whose.
    pub contender: Contender,
    /// What it showed.
    pub window: Window,
}

/// Measures all that `plan` asks for. `progress` is told the round and, from the second on, about how
/// much time is left.
///
/// # Panics
///
/// If a store changed an object.
pub fn run(
    plan: &Plan,
    corpus: &Corpus,
    mut progress: impl FnMut(u32, Option<Duration>),
) -> Vec<Sample> {
    let mut dice = Dice::new(2026);
    let mut subjects: Vec<(Contender, Box<dyn Subject>)> = Contender::ALL
        .into_iter()
        .map(|contender| (contender, contender.subject()))
        .collect();
    let mut samples = Vec::new();
    let started = Instant::now();
    for round in 0..plan.rounds {
        let left = (started.elapsed() * (plan.rounds - round)).checked_div(round);
        progress(round, left);
        for &row in &plan.rows {
            dice.shuffle(&mut subjects);
            for (contender, subject) in &mut subjects {
                if row.is_for(*contender) {
                    samples.push(Sample {
                        round,
                        row,
                        contender: *contender,
                        window: subject.measure(row, corpus, plan.window),
                    });
                }
            }
        }
    }
    for (_, subject) in &subjects {
        subject.verify(corpus);
    }
    samples
}
