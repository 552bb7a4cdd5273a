//! Reports as text, in the order of the kernel's splats (`kernel/locking/lockdep.c`:
//! `print_circular_bug`, `print_deadlock_bug`): who wants what, what it holds,
//! the chain so far in reverse, a scenario, all locks held, a common outer lock.

mod scenario;

use std::fmt::{self, Display, Formatter};

use crate::report::{Acquisition, Dependency, Report, ReportKind};

const RULE: &str = "======================================================";
const LINE: &str = "------------------------------------------------------";

impl Display for Report {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "{RULE}")?;
        writeln!(f, "WARNING: {}", self.kind.headline())?;
        writeln!(f, "{LINE}")?;
        match &self.acquisition {
            Some(acquisition) => self.fmt_conflict(f, acquisition)?,
            None => self.fmt_event(f)?,
        }
        self.fmt_chain(f)?;
        self.fmt_scenario(f)?;
        self.fmt_held(f)?;
        self.fmt_guard(f)?;
        write!(f, "{RULE}")
    }
}

impl Report {
    /// Who wants what, what it holds, and why that is wrong.
    fn fmt_conflict(&self, f: &mut Formatter<'_>, acquisition: &Acquisition) -> fmt::Result {
        writeln!(f, "thread `{}` wants to acquire:", self.thread)?;
        writeln!(f, "  {acquisition}")?;
        // The new dependency has the same one, in its place in the chain.
        if self
            .cycle
            .iter()
            .all(|edge| edge.backtrace != self.backtrace)
        {
            fmt_backtrace(f, "    ", self.backtrace.as_deref())?;
        }
        if let Some(conflict) = &self.conflict {
            writeln!(f, "while it holds:\n  {conflict}")?;
        }
        match &self.cycle[..] {
            [] => self.fmt_detail(f, ""),
            // What the kernel says as "which lock already depends on the new lock".
            [new, known @ ..] => {
                let known = known.iter().map(|edge| format!(" -> {}", edge.wanted));
                let known: String = known.collect();
                let first = &new.wanted;
                writeln!(
                    f,
                    "but the reverse order was seen before:\n  {first}{known}"
                )
            }
        }
    }

    /// What happened where, for what is no acquisition.
    fn fmt_event(&self, f: &mut Formatter<'_>) -> fmt::Result {
        writeln!(f, "thread `{}` at {}:", self.thread, self.location)?;
        self.fmt_detail(f, "  ")?;
        fmt_backtrace(f, "    ", self.backtrace.as_deref())?;
        let conflict = self.conflict.iter().map(ToString::to_string);
        for conflict in conflict.filter(|conflict| !self.detail.contains(conflict)) {
            writeln!(f, "but it holds:\n  {conflict}")?;
        }
        Ok(())
    }

    fn fmt_detail(&self, f: &mut Formatter<'_>, indent: &str) -> fmt::Result {
        writeln!(f, "{indent}{}", self.detail)?;
        if self.kind == ReportKind::InvalidWaitContext {
            writeln!(
                f,
                "{indent}(from short to long: Free, Spin, Bounded, Sleep)"
            )?;
        }
        Ok(())
    }

    fn fmt_chain(&self, f: &mut Formatter<'_>) -> fmt::Result {
        if self.cycle.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nthe existing dependency chain, in reverse order:")?;
        let numbered = self.cycle.iter().enumerate();
        let mut reverse = numbered.clone().skip(1).rev().chain(numbered.take(1));
        reverse.try_for_each(|(number, edge)| fmt_edge(f, number, edge))
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
        writeln!(
            f,
            "\nnote: a common outer lock guarded each of these dependencies so far:\n  \
             {guard} (exclusive)\n\
             As long as it does, this cycle cannot deadlock. One place that takes these\n\
             locks without it, or with only a read hold of it, is enough to change that."
        )
    }
}

fn fmt_edge(f: &mut Formatter<'_>, number: usize, edge: &Dependency) -> fmt::Result {
    let upgrade = if edge.upgrade { "upgrade to " } else { "" };
    let timed = if edge.timed { ", with a timeout" } else { "" };
    writeln!(
        f,
        "-> #{number} {} ({upgrade}{}{timed}), wanted at {} by thread `{}`",
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

impl Display for Dependency {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let upgrade = if self.upgrade { "upgrade to " } else { "" };
        let timed = if self.timed { ", with a timeout" } else { "" };
        write!(
            f,
            "{} ({}) at {} -> {} ({upgrade}{}{timed}) at {} by `{}`",
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
