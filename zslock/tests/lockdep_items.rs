//! Names every item of `zslock::lockdep`. The same file compiles with `debug-lockdep` off and on; what it asserts is what
//! differs, and that nothing else does.

#![cfg(not(zslock_loom))]

use zslock::lockdep::{
    self, Acquisition, Attempt, Dependency, Graph, HasLockMap, HeldInfo, LockClassKey, Mode,
    OrderFn, OrderKey, Policy, Report, ReportKind, SourceLocation, Stats, WaitType, assert_held,
    assert_held_exclusive, assert_none_held, assert_not_held, atomic, collect, detach, held,
    might_lock, might_sleep, nested,
};
use zslock::{ZsLock, lock_class_key};

const ON: bool = cfg!(feature = "debug-lockdep");

static ORDERED: LockClassKey = LockClassKey::new("ordered")
    .wait(WaitType::Sleep, WaitType::Sleep)
    .wait_for(Mode::Shared, WaitType::Bounded, WaitType::Sleep)
    .order_by(by_address);
static TRIED: LockClassKey = LockClassKey::new("tried").no_blocking_writers();

const _: OrderFn = by_address;
fn by_address(held: OrderKey, wanted: OrderKey) -> std::cmp::Ordering {
    held.address.cmp(&wanted.address)
}

fn has_map(lock: &impl HasLockMap) {
    might_lock(lock, Mode::SharedRecursive);
}

#[test]
fn annotated_code_runs_either_way() {
    let _: (Attempt, fn(Policy)) = (Attempt::Block, lockdep::set_policy);
    let a: ZsLock<u32> = zslock::with_class(&ORDERED, 1);
    let b: ZsLock<u32> = zslock::with_class(&TRIED, 2);
    let c: ZsLock<u32> = zslock::with_class(lock_class_key!("third"), 3);
    let d = zslock::at_site(4);
    let e = zslock::gated_with_class(lock_class_key!("gated"), 5);
    let f = zslock::gated_at_site(6);
    let g = zslock::biased_with_class(lock_class_key!("biased"), 7);
    let h = zslock::biased_at_site(8);

    assert_none_held!();
    assert_not_held!(a);
    has_map(&a);
    let guard = a.read();
    assert_held!(a);
    let inner = nested(1, || b.read());
    assert_eq!(held().len(), if ON { 2 } else { 0 });
    drop(inner);
    detach(&a);
    let shared = std::sync::Arc::new(ZsLock::new(1));
    might_lock(&shared, Mode::Exclusive);
    detach(&shared);
    drop(guard);
    let guard = c.write();
    assert_held_exclusive!(c);
    drop(guard);
    might_sleep();
    assert_eq!(atomic(|| *d.read()), 4);
    assert_eq!(*e.read() + *f.read(), 11);
    has_map(&g);
    let guard = g.read();
    assert_held!(g);
    assert_eq!(*guard + *h.read(), 15);
    drop(guard);
    let _: Vec<HeldInfo> = held();
}

#[test]
fn an_inversion_is_reported_if_the_validator_is_there() {
    lockdep::on_report(|report: &Report| assert!(!report.detail.is_empty()));
    let (a, b) = (ZsLock::new(()), ZsLock::new(()));
    let ((), reports) = collect(|| {
        drop((a.read(), b.write()));
        drop((b.read(), a.write()));
    });
    assert_eq!(reports.len(), usize::from(ON));
    assert!(
        reports
            .iter()
            .all(|report| report.kind() == ReportKind::CircularDependency)
    );
    for report in &reports {
        let _: (&Option<Acquisition>, &Vec<Dependency>) = (&report.acquisition, &report.cycle);
        let _: (&SourceLocation, &String, bool) =
            (&report.location, &report.detail, report.recovers);
        let _: (&Option<String>, &Option<String>) = (&report.guard, &report.backtrace);
        assert!(report.to_json().contains("CircularDependency"));
        let here = file!().rsplit('/').next().unwrap();
        let splat = report.to_string();
        assert!(
            splat.matches(here).count() >= 4,
            "the user's lines: {splat}"
        );
        assert!(!splat.contains("zslock/src"), "our own lines: {splat}");
    }

    let stats: Stats = lockdep::stats();
    let graph: Graph = lockdep::graph();
    assert_eq!(stats.dependencies > 0, ON);
    assert_eq!(stats.classes > 0, ON);
    assert_eq!(
        !graph.classes.is_empty() && !graph.dependencies.is_empty(),
        ON
    );
    assert!(graph.to_dot().starts_with("digraph"));
    assert!(graph.to_json().contains("classes"));
    assert!(graph.to_svg().starts_with("<svg"));
    assert_eq!(!graph.unsafe_dependencies.is_empty(), ON);
    assert_eq!(stats.searches > 0, ON);
}

/// The validator is told of readers in slots as of all others.
#[test]
fn an_inversion_of_biased_locks_is_reported() {
    let (a, b) = (zslock::BiasedZsLock::new(()), zslock::BiasedZsLock::new(()));
    for lock in [&a, &b] {
        (0..1_000).for_each(|_| drop(lock.read()));
    }
    let ((), reports) = collect(|| {
        drop((a.read(), b.write()));
        (0..1_000).for_each(|_| drop(b.read()));
        drop((b.read(), a.write()));
    });
    assert_eq!(reports.len(), usize::from(ON));
    let sleeps = collect(|| drop((a.write(), might_sleep()))).1;
    assert_eq!(sleeps.len(), usize::from(ON));
}

/// Rule 2 of the contract, as far as only a validator can see it.
#[test]
fn a_plain_write_section_must_not_sleep() {
    let inner = ZsLock::new(());
    let plain = ZsLock::new(());
    let gated = zslock::GatedZsLock::new(());
    let kinds = |body: &dyn Fn()| {
        let reports = collect(body).1;
        reports.iter().map(Report::kind).collect::<Vec<_>>()
    };
    let sleeps = if ON {
        vec![ReportKind::InvalidWaitContext]
    } else {
        vec![]
    };

    assert_eq!(kinds(&|| drop((plain.write(), might_sleep()))), sleeps);
    assert_eq!(kinds(&|| drop((plain.write(), inner.write()))), sleeps);
    assert_eq!(kinds(&|| drop((plain.write(), inner.read()))), []);
    assert_eq!(kinds(&|| drop((plain.write(), inner.try_write()))), []);
    assert_eq!(kinds(&|| drop((plain.read(), might_sleep()))), []);
    assert_eq!(kinds(&|| drop((gated.write(), might_sleep()))), []);
    assert_eq!(kinds(&|| drop((gated.write(), inner.write()))), []);
}
