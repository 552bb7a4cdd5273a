//! Validation of one acquisition against what the thread holds.

use std::backtrace::Backtrace;
use std::panic::Location;
use std::sync::Arc;

use crate::backtrace;
use crate::block::Owner;
use crate::call::Call;
use crate::class::{ClassName, NodeKey, Origin, Serial};
use crate::context::WaitType;
use crate::edge_cache::{self, EdgeKey};
use crate::graph::{self, Provenance};
use crate::guard_set::{self, Guard, GuardSet};
use crate::held::Held;
use crate::key::OrderKey;
use crate::map::LockMap;
use crate::mode::{Attempt, HoldKind, Label, Mode, Request};
use crate::mutation;
use crate::report::{Acquisition, Dependency, HeldInfo, Report, ReportKind};
use crate::search::Step;

/// A lock that is about to be acquired.
#[derive(Debug)]
pub(crate) struct Wanted {
    pub(crate) lock: Serial,
    pub(crate) node: NodeKey,
    pub(crate) origin: Origin,
    pub(crate) mode: Mode,
    pub(crate) request: Request,
    pub(crate) attempt: Attempt,
    pub(crate) site: &'static Location<'static>,
    pub(crate) order: OrderKey,
    pub(crate) outer: WaitType,
    /// The lock is held upgradably, and wanted exclusively.
    pub(crate) upgrade: bool,
    /// Then the position of that hold, if it is on this thread's stack.
    pub(crate) upgrades: Option<usize>,
}

impl Wanted {
    pub(crate) fn new(map: &LockMap, node: NodeKey, call: Call) -> Wanted {
        let mode = call.mode();
        let blocking_writers = match map.origin {
            Origin::Key(key) => key.blocking_writers,
            _ => true,
        } || mutation::is_broken(mutation::WRITERS_ALWAYS_BLOCK);
        Wanted {
            lock: map.ids().lock,
            node,
            origin: map.origin,
            mode,
            request: mode.request(blocking_writers),
            attempt: call.attempt(),
            site: call.site,
            order: map.order_key(),
            outer: map.ids().waits.get(mode).outer(),
            upgrade: false,
            upgrades: None,
        }
    }

    fn acquisition(&self) -> Acquisition {
        Acquisition {
            class: self.name().to_string(),
            mode: self.mode,
            upgrade: self.upgrade,
            attempt: self.attempt,
            location: self.site.into(),
            address: self.order.address,
        }
    }

    fn name(&self) -> ClassName {
        ClassName {
            origin: self.origin,
            node: self.node,
        }
    }

    /// The holds that the thread keeps while it waits for this.
    fn others<'a>(&self, owner: &'a Owner) -> impl Iterator<Item = Held> + use<'a> {
        let upgrades = self.upgrades;
        let holds = owner.held.iter().enumerate();
        holds.filter_map(move |(at, held)| (Some(at) != upgrades).then_some(held))
    }

    /// Whether a hold of this very class is among them, so that recursion
    /// depends on which locks they are and not on the classes alone.
    pub(crate) fn nests(&self, owner: &Owner) -> bool {
        self.others(owner)
            .any(|held| held.node.class == self.node.class)
    }

    fn report(&self, kind: ReportKind, owner: &Owner, conflict: &Held, detail: String) -> Report {
        let mut report = Report::new(kind, owner, self.site, detail);
        report.acquisition = Some(self.acquisition());
        report.conflict = Some(HeldInfo::from(conflict));
        report.recovers = self.attempt == Attempt::Timed;
        report
    }
}

/// Records an edge from every other hold, also from one whose edge closes a
/// cycle, and reports the cycles that are new.
#[cold]
pub(crate) fn dependencies(owner: &Owner, wanted: &Wanted, reports: &mut Vec<Report>) {
    let holds: Vec<_> = owner.held.iter().collect();
    let unknown = unknown_edges(&holds, wanted);
    if unknown.is_empty() {
        return;
    }
    // Before the graph's lock, because it takes long.
    let backtrace = backtrace::capture();
    for found in record(owner, wanted, unknown, backtrace.as_ref()) {
        let conflict = found.conflict;
        let detail = format!(
            "{} is waited for while {} is held, which is itself waited for, directly or not, \
             while {0} is held",
            wanted.name(),
            ClassName {
                origin: conflict.origin,
                node: conflict.node
            }
        );
        let mut report = wanted.report(ReportKind::CircularDependency, owner, conflict, detail);
        report.cycle = found.cycle;
        for (edge, backtrace) in report.cycle.iter_mut().zip(found.backtraces) {
            edge.backtrace = backtrace.map(|backtrace| backtrace.to_string());
        }
        report.recovers |= report.cycle.iter().any(|edge| edge.timed);
        report.guard = found.guard.map(|Guard { node, origin }| {
            let name = ClassName { origin, node };
            name.to_string()
        });
        reports.push(report);
    }
}

/// The edge from a hold, as it is seen now.
struct Seen<'a> {
    held: &'a Held,
    label: Label,
    guards: GuardSet,
}

/// The edges about which the graph may have something to learn.
fn unknown_edges<'a>(holds: &'a [Held], wanted: &Wanted) -> Vec<Seen<'a>> {
    let mut unknown = Vec::new();
    for (at, held) in holds.iter().enumerate() {
        let itself = held.node == wanted.node && !mutation::is_broken(mutation::SELF_EDGES);
        let nearest = at + 1 == holds.len() || !mutation::is_broken(mutation::NEAREST_ONLY);
        let upgrade = wanted.upgrade && mutation::is_broken(mutation::UPGRADE_EDGES_FORGOTTEN);
        if Some(at) == wanted.upgrades || itself || !nearest || upgrade {
            continue;
        }
        let edge = EdgeKey {
            from: held.node,
            to: wanted.node,
            label: Label::new(held.mode.hold_kind(), wanted.request),
        };
        let before = || {
            let before = holds[..at].iter();
            before.filter(|before| guard_set::guards(before))
        };
        let guarded = |guard| before().any(|before| edge_cache::guard_word(before.node) == guard);
        if edge_cache::CACHE.knows(&edge, guarded) {
            continue;
        }
        let guards = before().map(|before| Guard {
            node: before.node,
            origin: before.origin,
        });
        unknown.push(Seen {
            held,
            label: edge.label,
            guards: guards.collect(),
        });
    }
    unknown
}

/// A new cycle, with all that its report takes from the graph.
struct Found<'a> {
    conflict: &'a Held,
    cycle: Vec<Dependency>,
    backtraces: Vec<Option<Arc<Backtrace>>>,
    guard: Option<Guard>,
}

fn record<'a>(
    owner: &Owner,
    wanted: &Wanted,
    unknown: Vec<Seen<'a>>,
    backtrace: Option<&Arc<Backtrace>>,
) -> Vec<Found<'a>> {
    let mut graph = graph::lock();
    let mut steps: Vec<Step> = Vec::new();
    let mut new: Vec<(Step, &Held)> = Vec::new();
    for Seen {
        held,
        label,
        guards,
    } in unknown
    {
        let step = Step {
            from: graph.node_of(held.node, held.origin),
            to: graph.node_of(wanted.node, wanted.origin),
            label,
        };
        let provenance = |guards| Provenance {
            held_mode: held.mode,
            held_at: held.site,
            wanted_mode: wanted.mode,
            upgrade: wanted.upgrade,
            timed: wanted.attempt == Attempt::Timed,
            wanted_at: wanted.site,
            thread: Arc::clone(&owner.name),
            backtrace: backtrace.cloned(),
            guards,
        };
        if mutation::drops(&graph, step)
            || graph.add_edge(step.from, step.to, step.label, guards, provenance)
        {
            new.push((step, held));
        }
        steps.push(step);
    }
    let edges: Vec<Step> = new.iter().map(|(step, _)| *step).collect();
    let cycles = graph.new_cycles(&edges);
    for step in steps {
        graph.cache(step);
    }
    let found = |cycle: Vec<Step>| {
        // A reduced cycle may have lost the new edge; then it is the walk that
        // is new, and the newest hold speaks for it.
        let made_by = new.iter().find(|(step, _)| *step == cycle[0]);
        Found {
            conflict: made_by.unwrap_or(&new[new.len() - 1]).1,
            cycle: graph.describe(&cycle),
            backtraces: graph.backtraces(&cycle),
            guard: graph.guard_of(&cycle),
        }
    };
    cycles.into_iter().map(found).collect()
}

/// Reports a hold of the same lock, or of another lock of the same class that
/// no order allows, that can block this request.
#[cold]
pub(crate) fn recursion(owner: &Owner, wanted: &Wanted, reports: &mut Vec<Report>) {
    let blocks = |held: &Held| {
        wanted.request.blocked_by(held.mode.hold_kind())
            && (held.lock == wanted.lock || held.node == wanted.node && !in_order(held, wanted))
    };
    let worst = |held: &Held| (certain(held, wanted), held.lock == wanted.lock);
    let Some(held) = wanted.others(owner).filter(blocks).max_by_key(worst) else {
        return;
    };
    let first = {
        let mut graph = graph::lock();
        graph.node_of(wanted.node, wanted.origin);
        graph.report(&[wanted.node])
    };
    if !first && !certain(&held, wanted) {
        return;
    }
    let detail = if held.lock == wanted.lock {
        "it is the very lock that this thread holds, in a way that can block it"
    } else {
        "this thread holds another lock of the class, in a way that can block it"
    };
    let detail = detail.to_owned();
    reports.push(wanted.report(ReportKind::RecursiveLocking, owner, &held, detail));
}

/// Whether waiting for `wanted` while `held` is held, and can block it, never
/// ends. Then reporting it once is not enough. Between two locks of a class, or
/// for a reader that gets past a reader when no writer waits, it may end.
fn certain(held: &Held, wanted: &Wanted) -> bool {
    let queued_reader = matches!(wanted.mode, Mode::Shared | Mode::Upgradable)
        && held.mode.hold_kind() == HoldKind::Shared;
    held.lock == wanted.lock && !queued_reader
}

/// Whether the class declares that `held` may be held while `wanted` is waited
/// for.
fn in_order(held: &Held, wanted: &Wanted) -> bool {
    let Origin::Key(key) = wanted.origin else {
        return false;
    };
    let held = OrderKey {
        address: held.address,
        order: held.order,
    };
    key.order
        .map(|order| order(held, wanted.order))
        .is_some_and(
            |order| match mutation::is_broken(mutation::ORDER_ALLOWS_EQUALS) {
                true => order.is_le(),
                false => order.is_lt(),
            },
        )
}

/// Reports a wait that is longer than a section around it allows.
#[cold]
pub(crate) fn wait_context(owner: &Owner, wanted: &Wanted, reports: &mut Vec<Report>) {
    let what = format!("a wait for {}", wanted.name());
    let section = wanted
        .others(owner)
        .filter(|held| held.inner < wanted.outer)
        .last();
    let mut report = too_long(owner, section, wanted.outer, &what, wanted.site);
    report.acquisition = Some(wanted.acquisition());
    reports.push(report);
}

/// A report about a wait inside `section`, or inside an `atomic` scope when it
/// is `None`. Each time: unlike an order, which may never meet its reverse, the
/// wait is wrong now.
pub(crate) fn too_long(
    owner: &Owner,
    section: Option<Held>,
    outer: WaitType,
    what: &str,
    site: &'static Location<'static>,
) -> Report {
    let (inside, inner) = match &section {
        Some(held) => (HeldInfo::from(held).to_string(), held.inner),
        None => ("an atomic scope".to_owned(), WaitType::Bounded),
    };
    let detail = format!("{what} ({outer:?}) in a section that allows {inner:?}: {inside}");
    let mut report = Report::new(ReportKind::InvalidWaitContext, owner, site, detail);
    report.conflict = section.as_ref().map(HeldInfo::from);
    report
}

/// A report about a lock that was written over (`ptr::write`) while this thread
/// holds it, and the position of that hold, which nobody can release any more.
///
/// To be asked when a lock that was never acquired gets its serial: nothing but a
/// hold of what was there before can have its address. Assignment does not come
/// here, because it drops the old lock. A lock that was *moved* while a forgotten
/// guard held it looks the same.
#[cold]
pub(crate) fn reinitialised(
    owner: &Owner,
    lock: Serial,
    address: usize,
    site: &'static Location<'static>,
) -> Option<(usize, Report)> {
    let is = |held: Held| held.address == address && held.lock != lock;
    let at = owner.held.iter().rposition(is)?;
    let info = HeldInfo::from(&owner.held.get(at));
    let detail = format!("re-initialised while this thread holds it: {info}");
    let mut report = Report::new(ReportKind::HeldLockFreed, owner, site, detail);
    report.conflict = Some(info);
    Some((at, report))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::thread;

    #[test]
    fn a_new_lock_at_the_address_of_a_held_one_is_a_held_lock_written_over() {
        let (below, map) = (LockMap::instance(), LockMap::instance());
        let hold = |map: &LockMap| map.acquire(Mode::Exclusive, Attempt::Block);
        let held = (hold(&below), hold(&map));
        let (lock, site) = (map.ids().lock, Location::caller());
        let ask = |lock, address| {
            thread::with(|_, owner| reinitialised(owner, lock, address, site)).unwrap()
        };
        let (at, report) = ask(lock + 1, map.address()).expect("another lock at the address");
        assert_eq!(at, 1);
        assert_eq!(report.kind(), ReportKind::HeldLockFreed);
        assert_eq!(report.conflict.unwrap().address, map.address());
        // The lock itself, and a lock elsewhere.
        assert!(ask(lock, map.address()).is_none());
        assert!(ask(lock + 1, map.address() + 1).is_none());
        map.release(held.1);
        below.release(held.0);
        assert!(ask(lock + 1, map.address()).is_none(), "it was released");
    }
}
