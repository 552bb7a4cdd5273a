//! Reports as text, in the order of the kernel's splats (`kernel/locking/lockdep.c`:
//! `print_circular_bug`, `print_deadlock_bug`): who wants what, what it holds,
//! the chain so far in reverse, a scenario, all locks held.

use std::fmt::{self, Display, Formatter};

use crate::mode::{HoldKind, Mode};
use crate::report::{Dependency, Report, ReportKind};

const RULE: &str = "======================================================";
const LINE: &str = "------------------------------------------------------";

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{RULE}")?;
        writeln!(f, "WARNING: {}", self.kind.headline())?;
        writeln!(f, "{LINE}")?;
        match self.kind {
            ReportKind::CircularDependency => {
                self.fmt_conflict(f)?;
                self.fmt_chain(f)?;
                self.fmt_circular_scenario(f)?;
            }
            ReportKind::RecursiveLocking => {
                self.fmt_conflict(f)?;
                self.fmt_recursive_scenario(f)?;
            }
            _ => {
                writeln!(f, "thread `{}` at {}:", self.thread, self.location)?;
                writeln!(f, "  {}", self.detail)?;
                fmt_backtrace(f, "    ", self.backtrace.as_deref())?;
            }
        }
        self.fmt_held(f)?;
        self.fmt_guard(f)?;
        write!(f, "{RULE}")
    }
}

impl Report {
    fn fmt_conflict(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if let Some(acquisition) = &self.acquisition {
            writeln!(f, "thread `{}` wants to acquire:", self.thread)?;
            writeln!(f, "  {acquisition}")?;
            fmt_backtrace(f, "    ", self.backtrace.as_deref())?;
        }
        if let Some(conflict) = &self.conflict {
            writeln!(f, "while it holds:")?;
            writeln!(f, "  {conflict}")?;
        }
        Ok(())
    }

    fn fmt_chain(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\nthe chain of dependencies, in reverse order:")?;
        for (number, edge) in self.cycle.iter().enumerate().skip(1).rev() {
            fmt_edge(f, number, edge)?;
        }
        match self.cycle.first() {
            Some(new) => fmt_edge(f, 0, new),
            None => Ok(()),
        }
    }

    /// One column a thread: first what each holds, then what each waits for,
    /// this thread last.
    fn fmt_circular_scenario(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let holds = self
            .cycle
            .iter()
            .map(|edge| call(edge.held_mode, &edge.held));
        let holds: Vec<_> = holds.collect();
        let waits: Vec<_> = (0..self.cycle.len()).map(|i| self.wait_call(i)).collect();
        let longest = holds.iter().chain(&waits).map(String::len).max();
        let width = longest.unwrap_or(0) + 4;
        writeln!(f, "\npossible unsafe scenario:\n")?;
        let mut heads = String::new();
        for column in 0..self.cycle.len() {
            heads.push_str(&format!("{:width$}", format!("thread {column}")));
        }
        writeln!(f, "  {}", heads.trim_end())?;
        let mut row = |column: usize, call: &str| {
            writeln!(f, "  {:indent$}{call}", "", indent = column * width)
        };
        for (column, hold) in holds.iter().enumerate() {
            row(column, hold)?;
        }
        for (column, wait) in waits.iter().enumerate().skip(1) {
            row(column, wait)?;
        }
        if let Some(wait) = waits.first() {
            row(0, wait)?;
        }
        self.fmt_verdict(f)?;
        let queued = (0..self.cycle.len()).any(|i| self.queues(i));
        if queued {
            writeln!(f, "  (*) behind a writer that waits for the readers")?;
        }
        Ok(())
    }

    fn wait_call(&self, at: usize) -> String {
        let edge = &self.cycle[at];
        let mark = if self.queues(at) { " (*)" } else { "" };
        if edge.upgrade {
            format!("upgrade({})", edge.wanted)
        } else {
            format!("{}{mark}", call(edge.wanted_mode, &edge.wanted))
        }
    }

    /// The wait of this edge is for a shared hold, which only blocks it when a
    /// writer is queued between them.
    fn queues(&self, at: usize) -> bool {
        let next = &self.cycle[(at + 1) % self.cycle.len()];
        matches!(self.cycle[at].wanted_mode, Mode::Shared | Mode::Upgradable)
            && next.held_mode.hold_kind() == HoldKind::Shared
    }

    fn fmt_recursive_scenario(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let (Some(conflict), Some(acquisition)) = (&self.conflict, &self.acquisition) else {
            return Ok(());
        };
        writeln!(f, "{}", self.detail)?;
        writeln!(f, "\npossible unsafe scenario:\n")?;
        writeln!(f, "  thread 0")?;
        writeln!(f, "  {}", call(conflict.mode, &conflict.class))?;
        if acquisition.upgrade {
            writeln!(f, "  upgrade({})", acquisition.class)?;
        } else {
            writeln!(f, "  {}", call(acquisition.mode, &acquisition.class))?;
        }
        self.fmt_verdict(f)
    }

    fn fmt_verdict(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "\n  *** DEADLOCK ***")?;
        if self.recovers {
            writeln!(f, "  (would recover by timeout)")?;
        }
        Ok(())
    }

    fn fmt_held(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let held = &self.held;
        match held.len() {
            0 => return writeln!(f, "\nno locks held by thread `{}`", self.thread),
            1 => writeln!(f, "\n1 lock held by thread `{}`:", self.thread)?,
            n => writeln!(f, "\n{n} locks held by thread `{}`:", self.thread)?,
        }
        for (number, hold) in held.iter().enumerate() {
            writeln!(f, " #{number}: {hold}")?;
        }
        Ok(())
    }

    fn fmt_guard(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let Some(guard) = &self.guard else {
            return Ok(());
        };
        writeln!(f, "\nnote: a common outer lock guards the cycle:")?;
        writeln!(f, "  {guard} (exclusive)")?;
        writeln!(
            f,
            "so far each dependency above was only seen while this lock was held. As long as\n\
             that stays true this cycle cannot deadlock; one place that takes these locks\n\
             without it is enough to change that."
        )
    }
}

fn fmt_edge(f: &mut Formatter<'_>, number: usize, edge: &Dependency) -> fmt::Result {
    let upgrade = if edge.upgrade { "upgrade to " } else { "" };
    writeln!(
        f,
        "-> #{number} {} ({upgrade}{}), wanted at {} by thread `{}`",
        edge.wanted, edge.wanted_mode, edge.wanted_at, edge.thread
    )?;
    writeln!(
        f,
        "      while holding {} ({}), acquired at {}",
        edge.held, edge.held_mode, edge.held_at
    )?;
    fmt_backtrace(f, "      ", edge.backtrace.as_deref())
}

/// The lines of a backtrace, if there is one, each behind `indent`.
fn fmt_backtrace(f: &mut Formatter<'_>, indent: &str, backtrace: Option<&str>) -> fmt::Result {
    for line in backtrace.unwrap_or_default().lines() {
        writeln!(f, "{indent}{line}")?;
    }
    Ok(())
}

/// An acquisition as the scenario shows it.
fn call(mode: Mode, class: &str) -> String {
    match mode.hold_kind() {
        HoldKind::Exclusive => format!("lock({class})"),
        HoldKind::Shared => format!("read({class})"),
        HoldKind::Upgradable => format!("upgradable({class})"),
    }
}

impl Display for Dependency {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let upgrade = if self.upgrade { "upgrade to " } else { "" };
        write!(
            f,
            "{} ({}) at {} -> {} ({upgrade}{}) at {} by `{}`",
            self.held,
            self.held_mode,
            self.held_at,
            self.wanted,
            self.wanted_mode,
            self.wanted_at,
            self.thread
        )
    }
}
