//! How it can go wrong: a column for each thread, time running downwards.

use std::fmt::{self, Formatter};

use crate::mode::{HoldKind, Mode};
use crate::report::{Dependency, Report, ReportKind};

/// Marks a reader that waits behind a queued writer.
const QUEUED: &str = " (*)";

/// What one thread of the scenario does.
#[derive(Debug)]
struct Actor {
    /// What it acquires without trouble.
    holds: Vec<String>,
    /// What it then waits for, and for ever.
    wait: String,
}

impl Report {
    /// First what each thread holds, then what each waits for, the reported one
    /// last.
    pub(super) fn fmt_scenario(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let actors = match self.kind {
            ReportKind::CircularDependency => circle(&self.cycle),
            ReportKind::RecursiveLocking => self.recursion(),
            _ => Vec::new(),
        };
        if actors.is_empty() {
            return Ok(());
        }
        writeln!(f, "\npossible unsafe locking scenario:\n")?;
        fmt_columns(f, &actors)?;
        writeln!(f, "\n  *** DEADLOCK ***")?;
        if self.recovers {
            writeln!(f, "  (would recover by timeout)")?;
        }
        if actors.iter().any(|actor| actor.wait.ends_with(QUEUED)) {
            writeln!(
                f,
                "  (*) a reader, behind a writer that waits for the readers before it"
            )?;
        }
        if let Some(wanted) = self.acquisition.as_ref().filter(|_| self.two_locks()) {
            let class = &wanted.class;
            writeln!(
                f,
                "  {class} and {class}' are two locks of one class; if such locks always nest in\n  \
                 one order, declare it: `nested` or `LockClassKey::order_by`"
            )?;
        }
        Ok(())
    }

    /// It is about two locks of one class.
    fn two_locks(&self) -> bool {
        let ends = (self.kind, &self.acquisition, &self.conflict);
        matches!(ends, (ReportKind::RecursiveLocking, Some(wanted), Some(held))
            if wanted.address != held.address)
    }

    fn recursion(&self) -> Vec<Actor> {
        let (Some(held), Some(wanted)) = (&self.conflict, &self.acquisition) else {
            return Vec::new();
        };
        let queued = is_queued(wanted.mode, held.mode);
        let actor = |held_name: &str, wanted_name: &str| {
            let mut holds = vec![call(held.mode, held_name)];
            if wanted.upgrade {
                holds.push(call(Mode::Upgradable, wanted_name));
            }
            let wait = wait_call(wanted.mode, wanted.upgrade, wanted_name, queued);
            Actor { holds, wait }
        };
        if self.two_locks() {
            let other = format!("{}'", wanted.class);
            return vec![actor(&held.class, &other), actor(&other, &wanted.class)];
        }
        let mut actors = vec![actor(&held.class, &wanted.class)];
        if queued {
            let (holds, wait) = (Vec::new(), call(Mode::Exclusive, &wanted.class));
            actors.push(Actor { holds, wait });
        }
        actors
    }
}

/// One thread for each dependency of the cycle.
fn circle(cycle: &[Dependency]) -> Vec<Actor> {
    let actor = |(at, edge): (usize, &Dependency)| {
        let next = &cycle[(at + 1) % cycle.len()];
        let mut holds = Vec::new();
        if edge.upgrade {
            holds.push(call(Mode::Upgradable, &edge.wanted));
        }
        holds.push(call(edge.held_mode, &edge.held));
        let queued = is_queued(edge.wanted_mode, next.held_mode);
        let wait = wait_call(edge.wanted_mode, edge.upgrade, &edge.wanted, queued);
        Actor { holds, wait }
    };
    cycle.iter().enumerate().map(actor).collect()
}

/// The wait is for a shared hold, which blocks it only when a writer is queued
/// between the two.
fn is_queued(wanted: Mode, held: Mode) -> bool {
    matches!(wanted, Mode::Shared | Mode::Upgradable) && held.hold_kind() == HoldKind::Shared
}

fn wait_call(mode: Mode, upgrade: bool, class: &str, queued: bool) -> String {
    let mark = if queued { QUEUED } else { "" };
    match upgrade {
        true => format!("upgrade({class})"),
        false => format!("{}{mark}", call(mode, class)),
    }
}

/// An acquisition as the scenario shows it.
fn call(mode: Mode, class: &str) -> String {
    match mode.hold_kind() {
        HoldKind::Exclusive => format!("lock({class})"),
        HoldKind::Shared => format!("read({class})"),
        HoldKind::Upgradable => format!("upgradable({class})"),
    }
}

fn fmt_columns(f: &mut Formatter<'_>, actors: &[Actor]) -> fmt::Result {
    let length = |text: &String| text.chars().count();
    let calls = |actor: &Actor| actor.holds.iter().chain([&actor.wait]).map(length).max();
    let longest = actors.iter().filter_map(calls).max().unwrap_or(0);
    // A row has one call, so columns may be narrower than that where many long
    // ones would not fit on a screen.
    let screen = 96 / actors.len();
    let width = longest.min(screen).max("thread 0".len()) + 4;
    let heads = (0..actors.len()).map(|column| format!("{:width$}", format!("thread {column}")));
    writeln!(f, "  {}", heads.collect::<String>().trim_end())?;
    let mut row = |column: usize, call: &str| writeln!(f, "  {:1$}{call}", "", column * width);
    for (column, actor) in actors.iter().enumerate() {
        for hold in &actor.holds {
            row(column, hold)?;
        }
    }
    let waits = actors.iter().enumerate();
    for (column, actor) in waits.clone().skip(1).chain(waits.take(1)) {
        row(column, &actor.wait)?;
    }
    Ok(())
}
