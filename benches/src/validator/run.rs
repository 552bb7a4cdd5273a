//! Rounds of windows: every contender once a workload and round, in an order that is shuffled anew each time.
//!
//! The windows that a ratio compares are therefore neighbours in time, and no contender always runs first.

use std::time::{Duration, Instant};

use super::contender::Contender;
use super::fresh::{Case, Cost};
use super::launch::{Programs, Window};
use super::memory::Kept;
use super::task::Task;
use super::workload::Workload;
use crate::work::Dice;

/// How much to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// How often each workload is timed with each contender.
    pub rounds: u32,
    /// How long one window takes.
    pub window: Duration,
}

/// One window of a run.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// In which round.
    pub round: u32,
    /// What was timed.
    pub workload: Workload,
    /// Whose locks.
    pub contender: Contender,
    /// What it showed.
    pub window: Window,
}

/// New dependencies of one process.
#[derive(Clone, Copy, Debug)]
pub struct FreshSample {
    /// In which round.
    pub round: u32,
    /// Which dependencies.
    pub case: Case,
    /// Whose locks.
    pub contender: Contender,
    /// What they cost.
    pub cost: Cost,
}

/// What is kept for a lock.
#[derive(Clone, Copy, Debug)]
pub struct MemorySample {
    /// Which locks.
    pub kept: Kept,
    /// Whose.
    pub contender: Contender,
    /// Bytes for each.
    pub bytes: f64,
}

/// All that was measured.
#[derive(Clone, Debug, Default)]
pub struct Samples {
    /// Windows, disturbed or not.
    pub windows: Vec<Sample>,
    /// New dependencies.
    pub fresh: Vec<FreshSample>,
    /// What is kept.
    pub memory: Vec<MemorySample>,
}

/// Those that can be measured, in the order of the report.
pub fn contenders(programs: &Programs) -> impl Iterator<Item = Contender> {
    Contender::ALL
        .into_iter()
        .filter(|contender| programs.can_measure(*contender))
}

/// Measures all that `plan` asks for. `progress` is told what comes next.
///
/// # Errors
///
/// In words, if a process that measures fails.
pub fn run(
    plan: &Plan,
    programs: &Programs,
    mut progress: impl FnMut(&str),
) -> Result<Samples, String> {
    let mut dice = Dice::new(2025);
    let mut samples = Samples::default();
    let started = Instant::now();
    for round in 0..plan.rounds {
        let left = if round == 0 {
            String::new()
        } else {
            let seconds = started.elapsed().as_secs_f64() * f64::from(plan.rounds - round);
            format!(", about {} s left", (seconds / f64::from(round)).ceil())
        };
        progress(&format!("round {} of {}{left}", round + 1, plan.rounds));
        one_round(plan, programs, round, &mut dice, &mut samples)?;
    }
    for kept in Kept::ALL {
        for contender in contenders(programs).filter(|contender| contender.learns()) {
            progress(&format!("memory: {}, {}", kept.title(), contender.name()));
            let answer = programs.ask(contender, &Task::Memory { contender, kept })?;
            let bytes = answer
                .parse()
                .map_err(|_| format!("{} said {answer}", contender.name()))?;
            samples.memory.push(MemorySample {
                kept,
                contender,
                bytes,
            });
        }
    }
    Ok(samples)
}

fn one_round(
    plan: &Plan,
    programs: &Programs,
    round: u32,
    dice: &mut Dice,
    samples: &mut Samples,
) -> Result<(), String> {
    for workload in Workload::ALL {
        let mut order: Vec<Contender> = contenders(programs).collect();
        dice.shuffle(&mut order);
        for contender in order {
            samples.windows.push(Sample {
                round,
                workload,
                contender,
                window: programs.window(contender, workload, plan.window)?,
            });
        }
    }
    for case in Case::ALL {
        let mut order: Vec<Contender> = contenders(programs).collect();
        dice.shuffle(&mut order);
        for contender in order.into_iter().filter(|one| case.is_for(*one)) {
            let answer = programs.ask(contender, &Task::Fresh { contender, case })?;
            let cost = Cost::parse(&answer)
                .ok_or_else(|| format!("{} said {answer}", contender.name()))?;
            samples.fresh.push(FreshSample {
                round,
                case,
                contender,
                cost,
            });
        }
    }
    Ok(())
}
