//! The published rules as a table: each with cases that must be reported and
//! cases that must not.
//!
//! `rules/model.rs` goes through the rules about the order of locks, with every
//! way in which a lock may be held and wanted; `rules/checks.rs` through the
//! others.
//!
//! `rules/kernel.rs` goes through the self-tests of the kernel's lockdep
//! (`lib/locking-selftest.c`: what they take in which order, and whether that
//! must fail). A spinlock, a mutex, an rt-mutex, and an rwlock or rwsem taken
//! for writing are one case here, [`Mode::Exclusive`](lockdep::Mode); an rwsem
//! taken for reading is `Shared`, an rwlock taken for reading `SharedRecursive`.
//! Upgradable modes, which the kernel has not, go through the same tests.
//!
//! | kernel | here |
//! |---|---|
//! | `AA_*` | `same_class` (with another lock of the class), `same_lock` |
//! | `rlock_AA1`, `rlock_AA1B`, `rsem_AA1`, `rsem_AA1B` | `same_lock`, `same_class` |
//! | `rlock_AA2`, `rsem_AA2`, `rlock_AA3`, `rsem_AA3` | `same_class` |
//! | `ABBA_*`, `ABBCCA_*`, `ABCABC_*`, `ABBCCDDA_*`, `ABCDBDDA_*`, `ABCDBCDA_*` | `cycles` |
//! | `rlock_ABBA1`, `rlock_ABBA2`, `rlock_ABBA3`, `rwsem_ABBA1`, `rwsem_ABBA2`, `rwsem_ABBA3` | `read_abba` |
//! | `W1R2_W2R3_W3R1`, `W1W2_R2R3_W3R1`, `W1R2_R2R3_W3W1`, `W1W2_R2R3_R3W1`, six permutations each | `read_chains` |
//! | `double_unlock_*` | `double_unlock` |
//! | `init_held_*` | `init_held` |
//! | wait contexts: RCU, raw spinlock, spinlock and mutex, in each other and in interrupts | `wait_contexts` |
//! | `ww_test_block_block`, `ww_test_block_try`, `ww_test_try_block`, `ww_test_try_try` | `blocks_and_tries` |
//! | class and subclass have one name | `subclass_name` |
//!
//! Not here, because user space has nothing like it: interrupt safety
//! (`irqsafe*`, `irq_*`, `queued_read_lock_*`, `local_lock_*`,
//! `hardirq_deadlock_softirq_not_deadlock`), wait/wound contexts (the other
//! `ww_*`), `fs_reclaim_*`.

#[path = "rules/checks.rs"]
mod checks;
#[path = "rules/kernel.rs"]
mod kernel;
#[path = "rules/model.rs"]
mod model;
mod support;

use lockdep::ReportKind;
use support::{Lock, kinds, nest_modes};

use lockdep::{LockClassKey, Mode};

pub(crate) const ALL: [Mode; 5] = [
    Mode::Exclusive,
    Mode::Shared,
    Mode::SharedRecursive,
    Mode::Upgradable,
    Mode::UpgradableRecursive,
];

/// How a lock is held, as far as it can make others wait.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Reader,
    Upgrader,
    Writer,
}

/// The rule at a joint, as published: whether a lock held in `hold` can make a
/// request in `want` wait.
pub(crate) fn blocks(hold: Mode, want: Mode) -> bool {
    let hold = match hold {
        Mode::Exclusive => Kind::Writer,
        Mode::Upgradable | Mode::UpgradableRecursive => Kind::Upgrader,
        _ => Kind::Reader,
    };
    match want {
        Mode::SharedRecursive => hold == Kind::Writer,
        Mode::UpgradableRecursive => hold != Kind::Reader,
        _ => true,
    }
}

/// A new class.
pub(crate) fn class(name: &'static str) -> &'static LockClassKey {
    Box::leak(Box::new(LockClassKey::new(name)))
}

/// Takes two locks of new classes one inside the other, as `steps` says: `"AB BC"`
/// is A, inside it B; then B, inside it C. Nothing but the last step may be
/// reported.
#[track_caller]
pub(crate) fn steps(modes: &[(Mode, Mode)], steps: &str) {
    let locks = [(); 4].map(|()| Lock::instance());
    let steps: Vec<_> = steps.split(' ').collect();
    for (at, step) in steps.iter().enumerate() {
        let [outer, inner] = step.as_bytes() else {
            panic!("a step names two locks");
        };
        let (outer, inner) = (
            &locks[(outer - b'A') as usize],
            &locks[(inner - b'A') as usize],
        );
        let (held, wanted) = modes[at % modes.len()];
        if at + 1 == steps.len() {
            nest_modes(outer, held, inner, wanted);
        } else {
            let early = kinds(|| nest_modes(outer, held, inner, wanted));
            assert!(early.is_empty(), "{step} reports {early:?}");
        }
    }
}

/// The cases so far.
#[derive(Default)]
pub(crate) struct Table {
    reported: usize,
    silent: usize,
    wrong: Vec<String>,
}

impl Table {
    /// `f` must give exactly one report, of this kind.
    pub(crate) fn reported(&mut self, name: &str, kind: ReportKind, f: impl FnOnce()) {
        self.reported += 1;
        self.case(name, &[kind], f);
    }

    /// `f` must give no report.
    pub(crate) fn silent(&mut self, name: &str, f: impl FnOnce()) {
        self.silent += 1;
        self.case(name, &[], f);
    }

    /// `f` must give one report if `is`, else none.
    pub(crate) fn reported_if(&mut self, is: bool, name: &str, kind: ReportKind, f: impl FnOnce()) {
        match is {
            true => self.reported(name, kind, f),
            false => self.silent(name, f),
        }
    }

    fn case(&mut self, name: &str, expected: &[ReportKind], f: impl FnOnce()) {
        self.compare(name, expected, || kinds(f));
    }

    /// `f` must return these reports, which it collected itself.
    pub(crate) fn found(
        &mut self,
        name: &str,
        expected: &[ReportKind],
        f: impl FnOnce() -> Vec<ReportKind>,
    ) {
        match expected {
            [] => self.silent += 1,
            _ => self.reported += 1,
        }
        self.compare(name, expected, f);
    }

    fn compare(
        &mut self,
        name: &str,
        expected: &[ReportKind],
        f: impl FnOnce() -> Vec<ReportKind>,
    ) {
        let found = f();
        if found != expected {
            self.wrong
                .push(format!("{name}: expected {expected:?}, found {found:?}"));
        }
        // What a case leaves held would be part of the next one.
        assert_eq!(lockdep::held(), [], "{name} leaves locks held");
    }
}

#[test]
fn every_published_rule_holds() {
    let mut table = Table::default();
    kernel::cases(&mut table);
    model::cases(&mut table);
    checks::cases(&mut table);
    let cases = table.reported + table.silent;
    println!("{cases} cases, {} wrong", table.wrong.len());
    println!(
        "{} must be reported, {} must not",
        table.reported, table.silent
    );
    assert!(table.wrong.is_empty(), "{}", table.wrong.join("\n"));
}
