//! What the validator reported, against what the oracle says.

use lockdep::{Attempt, Dependency, Mode, Report, ReportKind};

use super::brute_force::{Kind, Record, blockers, kind};
use super::history::{Declared, History, Hold, Wait, node};

impl History<'_> {
    /// Compares the reports about an acquisition with the oracle's; `true` if
    /// it waits for something that its thread holds itself.
    pub(super) fn judge(&mut self, wait: &Wait, attempt: Attempt, found: &[Report]) -> bool {
        if attempt == Attempt::Try {
            self.outcome.false_ += found.len();
            return false;
        }
        let to = node(wait.lock.class, wait.subclass);
        let blocked_by = self.blockers(wait);
        let holds = self.holds.iter().enumerate();
        let others: Vec<&Hold> = holds
            .filter(|(at, hold)| hold.thread == wait.thread && Some(*at) != wait.upgrades)
            .map(|(_, hold)| hold)
            .collect();
        let record = |hold: &&Hold| Record {
            from: node(hold.lock.class, hold.subclass),
            hold: kind(hold.mode),
            to,
            blocked_by,
        };
        let news = others.iter().map(record);
        let new = news.filter(|record| record.from != to).collect();
        let recurs = others.iter().filter(|hold| self.recurs(hold, wait));
        let recurs: Vec<_> = recurs.map(|hold| never_ends(hold, wait)).collect();
        let [ordered, readers, subclassed] = self.allowed(&others, wait);
        self.outcome.ordered += ordered;
        self.outcome.readers += readers;
        self.outcome.subclassed += subclassed;

        let certain = recurs.contains(&true);
        let recursion = !recurs.is_empty() && (self.oracle.recursed.insert(to) || certain);
        self.compare(recursion, new, found);
        !recurs.is_empty()
    }

    fn blockers(&self, wait: &Wait) -> &'static [Kind] {
        let upgrade = wait.upgrades.is_some();
        blockers(wait.mode, upgrade, self.writers_try(wait.lock.class))
    }

    /// The class orders its locks by number, and these two are in that order.
    fn in_order(&self, hold: &Hold, wait: &Wait) -> bool {
        let class = &self.classes[wait.lock.class];
        class.declared == Declared::Order
            && class.numbers[hold.lock.instance] < class.numbers[wait.lock.instance]
    }

    /// Whether a thread that waits with this hold can wait for itself.
    fn recurs(&self, hold: &Hold, wait: &Wait) -> bool {
        let twin = hold.lock.class == wait.lock.class && hold.subclass == wait.subclass;
        self.blockers(wait).contains(&kind(hold.mode))
            && (hold.lock == wait.lock || twin && !self.in_order(hold, wait))
    }

    /// The holds that would be recursion but for a declaration: the order, that
    /// writers only try, a subclass.
    fn allowed(&self, others: &[&Hold], wait: &Wait) -> [u64; 3] {
        let upgrade = wait.upgrades.is_some();
        let undeclared = blockers(wait.mode, upgrade, false);
        let mut allowed = [0; 3];
        for hold in others {
            let class = hold.lock.class == wait.lock.class;
            if !class || !undeclared.contains(&kind(hold.mode)) || self.recurs(hold, wait) {
                continue;
            }
            let by = match () {
                () if !self.blockers(wait).contains(&kind(hold.mode)) => 1,
                () if hold.subclass != wait.subclass => 2,
                () => 0,
            };
            allowed[by] += 1;
        }
        allowed
    }

    fn compare(&mut self, recursion: bool, new: Vec<Record>, found: &[Report]) {
        let (must, news) = self.oracle.wait(new, self.nodes());
        let count = |kind| found.iter().filter(|report| report.kind() == kind).count();
        let recursions = count(ReportKind::RecursiveLocking);
        let mut missed = usize::from(recursion).saturating_sub(recursions);
        let mut false_ = recursions.saturating_sub(usize::from(recursion));
        let circular = count(ReportKind::CircularDependency);
        false_ += found.len() - recursions - circular;
        let mut hit = news.is_empty() && circular > 0;
        for report in found.iter().filter(|report| !report.cycle.is_empty()) {
            let cycle = self.class_cycle(&report.cycle);
            hit |= news.contains(&cycle);
            let fresh = self.oracle.reported.insert(cycle);
            false_ += usize::from(!fresh || !self.is_deadlock(&report.cycle));
        }
        missed += usize::from(must && !hit);
        false_ += usize::from(circular > 0 && !self.oracle.unsafe_);
        self.outcome.missed += missed;
        self.outcome.false_ += false_;
    }

    /// The node that a report names: `class` or `class/subclass`.
    fn named(&self, name: &str) -> (usize, usize) {
        let (class, subclass) = name.split_once('/').unwrap_or((name, "0"));
        let class = self.classes.iter().position(|own| own.name == class);
        let class = class.expect("a class of this history");
        (class, subclass.parse().expect("a subclass is a number"))
    }

    fn node_named(&self, name: &str) -> usize {
        let (class, subclass) = self.named(name);
        node(class, subclass)
    }

    /// The nodes of a reported cycle, the smallest rotation.
    fn class_cycle(&self, cycle: &[Dependency]) -> Vec<usize> {
        let nodes: Vec<_> = cycle
            .iter()
            .map(|edge| self.node_named(&edge.held))
            .collect();
        let rotations = (0..nodes.len()).map(|by| [&nodes[by..], &nodes[..by]].concat());
        rotations.min().unwrap_or_default()
    }

    /// Whether a reported cycle is closed, made of recorded dependencies, and
    /// fits the rule at every joint.
    fn is_deadlock(&self, cycle: &[Dependency]) -> bool {
        (0..cycle.len()).all(|at| {
            let (edge, next) = (&cycle[at], &cycle[(at + 1) % cycle.len()]);
            let (class, _) = self.named(&edge.wanted);
            let writers_try = self.writers_try(class);
            let blocked_by = blockers(edge.wanted_mode, edge.upgrade, writers_try);
            let record = Record {
                from: self.node_named(&edge.held),
                hold: kind(edge.held_mode),
                to: self.node_named(&edge.wanted),
                blocked_by,
            };
            edge.wanted == next.held
                && blocked_by.contains(&kind(next.held_mode))
                && self.oracle.records.contains(&record)
        })
    }
}

/// Whether a wait that recurs never ends. One for another lock of the class may
/// end, and so may a reader's that gets past a reader when no writer waits.
fn never_ends(hold: &Hold, wait: &Wait) -> bool {
    let queued = matches!(wait.mode, Mode::Shared | Mode::Upgradable);
    hold.lock == wait.lock && !(queued && kind(hold.mode) == Kind::Reader)
}
