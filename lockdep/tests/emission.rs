//! How reports leave the validator: panic, event, handler, `collect`.

mod support;

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, Once};

use lockdep::Mode::{Exclusive, Upgradable};
use lockdep::ReportKind::{self, CircularDependency};
use lockdep::{Attempt, LockClassKey, Report, collect};
use serde_json::Value;
use support::{Lock, NONE, kinds, nest, reports};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt};

/// Sets a subscriber for the whole process, before the first report. Without one, a thread that registers the event's
/// callsite while another thread is setting its own subscriber may record for good that nobody listens.
fn everybody_listens() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        tracing::subscriber::set_global_default(tracing_subscriber::registry()).unwrap();
    });
}

/// Two locks of which the order first, second is known.
fn ordered() -> (Lock, Lock) {
    everybody_listens();
    let (a, b) = (Lock::instance(), Lock::instance());
    nest(&[&a, &b]);
    (a, b)
}

#[test]
fn by_default_the_acquisition_panics_with_the_splat_and_nothing_is_held() {
    let (a, b) = ordered();
    let held = b.lock();
    let panic = catch_unwind(AssertUnwindSafe(|| a.lock())).unwrap_err();
    let message = panic.downcast_ref::<String>().expect("a message");
    assert!(message.contains("WARNING: possible deadlock: circular lock dependency"));
    assert!(message.contains("*** DEADLOCK ***"));
    assert_eq!(lockdep::held().len(), 1, "only B");
    b.unlock(held);
    assert_eq!(lockdep::held(), []);
}

#[test]
fn while_the_thread_unwinds_a_report_does_not_panic_again() {
    struct Inverts<'a>(&'a Lock, &'a Lock);
    impl Drop for Inverts<'_> {
        fn drop(&mut self) {
            nest(&[self.1, self.0]);
        }
    }
    let (a, b) = ordered();
    let (events, subscriber) = recorder();
    tracing::subscriber::with_default(subscriber, || {
        let panic = catch_unwind(AssertUnwindSafe(|| {
            let _inverts = Inverts(&a, &b);
            panic!("the first");
        }));
        assert_eq!(
            *panic.unwrap_err().downcast_ref::<&str>().unwrap(),
            "the first"
        );
    });
    assert_eq!(events.lock().unwrap().len(), 1, "but it is logged");
}

#[test]
fn collect_keeps_the_reports_of_its_own_scope_and_thread() {
    let [(a, b), (c, d), (e, f)] = [(); 3].map(|()| ordered());
    let ((inner, elsewhere), outer) = collect(|| {
        nest(&[&b, &a]);
        let inner = kinds(|| nest(&[&d, &c]));
        let elsewhere = std::thread::scope(|scope| {
            let other = scope.spawn(|| catch_unwind(AssertUnwindSafe(|| nest(&[&f, &e]))).is_err());
            other.join().unwrap()
        });
        (inner, elsewhere)
    });
    assert_eq!(inner, [CircularDependency]);
    assert!(elsewhere, "the policy holds on other threads");
    let outer: Vec<_> = outer.iter().map(Report::kind).collect();
    assert_eq!(outer, [CircularDependency]);
}

#[test]
fn collect_ends_when_its_closure_panics() {
    let (a, b) = ordered();
    let unwound = catch_unwind(|| collect(|| panic!("out")));
    assert!(unwound.is_err());
    let reported = catch_unwind(AssertUnwindSafe(|| nest(&[&b, &a])));
    assert!(reported.is_err(), "the policy is in force again");
}

/// Events of target `lockdep`, each as its level and fields.
type Events = Arc<Mutex<Vec<(tracing::Level, Vec<(String, String)>)>>>;

struct Recorder {
    events: Events,
    /// Two tracked locks, taken in both orders while an event is recorded.
    locks: [lockdep::Mutex<()>; 2],
}

impl<S: tracing::Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        struct Fields(Vec<(String, String)>);
        impl tracing::field::Visit for Fields {
            fn record_debug(&mut self, field: &tracing::field::Field, value: &dyn std::fmt::Debug) {
                self.0.push((field.name().to_owned(), format!("{value:?}")));
            }
        }
        if event.metadata().target() != "lockdep" {
            return;
        }
        drop((self.locks[0].lock(), self.locks[1].lock()));
        drop((self.locks[1].lock(), self.locks[0].lock()));
        let mut fields = Fields(Vec::new());
        event.record(&mut fields);
        let entry = (*event.metadata().level(), fields.0);
        self.events.lock().unwrap().push(entry);
    }
}

fn recorder() -> (Events, impl tracing::Subscriber + Send + Sync) {
    let events = Events::default();
    let recorder = Recorder {
        events: Arc::clone(&events),
        locks: [lockdep::Mutex::new(()), lockdep::Mutex::new(())],
    };
    (events, tracing_subscriber::registry().with(recorder))
}

#[test]
fn each_report_is_one_error_event_and_the_subscriber_may_lock() {
    let (a, b) = ordered();
    let (events, subscriber) = recorder();
    let found = tracing::subscriber::with_default(subscriber, || kinds(|| nest(&[&b, &a])));
    assert_eq!(found, [CircularDependency]);
    let events = events.lock().unwrap();
    assert_eq!(events.len(), 1);
    let (level, fields) = &events[0];
    assert_eq!(*level, tracing::Level::ERROR);
    let field = |name: &str| {
        let mut named = fields.iter().filter(|(field, _)| field == name);
        named
            .next()
            .map(|(_, value)| value.as_str())
            .unwrap_or_default()
    };
    assert_eq!(field("kind"), "\"CircularDependency\"");
    assert_eq!(
        field("message"),
        "possible deadlock: circular lock dependency"
    );
    for name in ["acquiring", "holding", "cycle", "held", "location"] {
        assert!(
            field(name).contains("emission.rs:"),
            "{name}: {}",
            field(name)
        );
    }
    assert_eq!(field("cycle").matches(" -> ").count(), 2);
}

#[test]
fn a_handler_gets_each_report_and_may_lock_and_even_panic_in_a_drop() {
    static KINDS: Mutex<Vec<ReportKind>> = Mutex::new(Vec::new());
    const ME: &str = "a_handler_gets_each_report_and_may_lock_and_even_panic_in_a_drop";
    let (first, second) = (lockdep::Mutex::new(()), lockdep::Mutex::new(()));
    lockdep::on_report(move |report| {
        // The handler is the process's; other tests run at the same time.
        if report.thread == ME {
            drop((first.lock(), second.lock()));
            drop((second.lock(), first.lock()));
            assert_eq!(lockdep::held(), [], "this thread is not followed here");
            KINDS.lock().unwrap().push(report.kind());
        }
        assert_ne!(
            report.kind(),
            ReportKind::BadUnlock,
            "panics in the handler"
        );
    });
    let (a, b) = ordered();
    assert_eq!(kinds(|| nest(&[&b, &a])), [CircularDependency]);
    assert_eq!(*KINDS.lock().unwrap(), [CircularDependency]);
    // A release does not unwind, whatever the handler does.
    let held = a.lock();
    assert_eq!(kinds(|| b.unlock(held)), [ReportKind::BadUnlock]);
    assert_eq!(KINDS.lock().unwrap().len(), 2);
    // The thread is followed again.
    let held = a.try_in(Exclusive);
    assert_eq!(lockdep::held().len(), 1);
    a.unlock(held);
    assert_eq!(kinds(|| nest(&[&a, &b])), NONE);
}

const OUTER: &str = "outer \"<&>\"";
const MAP: &str = "map\n\t\\";
const INDEX: &str = "index \u{1}é";

/// A report with everything that a report can have but a backtrace: a guard, an
/// upgrade, a timeout, and names that need escapes.
fn full_report() -> Report {
    everybody_listens();
    // Classes of its own for each call: a cycle is reported once.
    let lock = |name| Lock::of(Box::leak(Box::new(LockClassKey::new(name))));
    let (outer, map, index) = (lock(OUTER), lock(MAP), lock(INDEX));
    let guard = outer.lock();
    let held = map.read();
    let inner = index.0.acquire(Exclusive, Attempt::Timed);
    index.unlock(inner);
    map.unlock(held);
    let mut held = map.wait(Upgradable);
    let inner = index.lock();
    let mut reports = reports(|| map.0.upgrade(&mut held, Attempt::Block));
    index.unlock(inner);
    map.unlock(held);
    outer.unlock(guard);
    assert_eq!(reports.len(), 1);
    let report = reports.remove(0);
    assert!(report.guard.is_some() && report.recovers && report.cycle[0].upgrade);
    report
}

/// The places in a text, each once, in order.
fn places(text: &str) -> BTreeSet<String> {
    let ends = |c: char| !(c.is_ascii_digit() || c == ':');
    let after = text.split("emission.rs:").skip(1);
    let places = after.filter_map(|rest| rest.split(ends).next());
    places
        .map(|place| place.trim_end_matches(':').to_owned())
        .collect()
}

#[test]
fn the_text_the_event_and_the_json_of_a_report_name_the_same_places() {
    let (events, subscriber) = recorder();
    let report = tracing::subscriber::with_default(subscriber, full_report);
    let splat = places(&report.to_string());
    let traces = report.cycle.iter().map(|edge| &edge.backtrace);
    let traces: Vec<_> = traces.chain([&report.backtrace]).flatten().collect();
    println!("{} backtraces", traces.len());
    assert!(splat.len() == 6 || !traces.is_empty(), "{report}");
    let events = events.lock().unwrap();
    let [(_, fields)] = &events[..] else {
        panic!("one report is one event: {events:?}");
    };
    let fields: Vec<_> = fields.iter().map(|(_, value)| value.as_str()).collect();
    assert_eq!(places(&fields.join(" ")), splat);
    assert_eq!(places(&report.to_json()), splat);
    for value in ["outer", "true", "upgrade to exclusive", "with a timeout"] {
        assert!(fields.iter().any(|field| field.contains(value)), "{value}");
    }
    for trace in traces {
        let trace = format!("{trace:?}");
        let trace = trace.trim_matches('"');
        assert!(fields.iter().any(|field| field.contains(trace)), "{trace}");
    }
}

/// The environment is read once, so this is a process of its own.
#[test]
fn backtraces_are_in_the_text_the_event_and_the_json_too() {
    let test = "the_text_the_event_and_the_json_of_a_report_name_the_same_places";
    let mut child = std::process::Command::new(std::env::current_exe().unwrap());
    child.args([test, "--exact", "--nocapture"]);
    let output = child.env("LOCKDEP_BACKTRACE", "1").output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
    assert!(text.contains("3 backtraces"), "{text}");
}

#[test]
fn the_json_of_a_report_has_its_fields() {
    let report = full_report();
    let json: Value = serde_json::from_str(&report.to_json()).expect("JSON");
    assert_eq!(json["kind"], "CircularDependency");
    assert_eq!(json["thread"], *report.thread);
    assert_eq!(json["location"], report.location.to_string());
    assert_eq!(json["detail"], *report.detail);
    assert_eq!(json["recovers"], true);
    assert_eq!(json["guard"], OUTER);
    assert_eq!(json["backtrace"], Value::Null);
    let acquisition = report.acquisition.as_ref().unwrap();
    assert_eq!(json["acquisition"]["class"], MAP);
    assert_eq!(json["acquisition"]["mode"], "exclusive");
    assert_eq!(json["acquisition"]["upgrade"], true);
    assert_eq!(json["acquisition"]["attempt"], "block");
    assert_eq!(json["acquisition"]["address"], acquisition.address);
    assert_eq!(json["conflict"]["class"], INDEX);
    assert_eq!(json["held"].as_array().unwrap().len(), report.held.len());
    for (edge, known) in json["cycle"].as_array().unwrap().iter().zip(&report.cycle) {
        assert_eq!(edge["held"], *known.held);
        assert_eq!(edge["held_mode"], known.held_mode.to_string());
        assert_eq!(edge["held_at"], known.held_at.to_string());
        assert_eq!(edge["wanted"], *known.wanted);
        assert_eq!(edge["wanted_mode"], known.wanted_mode.to_string());
        assert_eq!(edge["wanted_at"], known.wanted_at.to_string());
        assert_eq!(edge["upgrade"], known.upgrade);
        assert_eq!(edge["timed"], known.timed);
        assert_eq!(edge["thread"], *known.thread);
    }
}

#[cfg(feature = "serde")]
#[test]
fn serde_writes_what_to_json_writes() {
    let report = full_report();
    assert_eq!(serde_json::to_string(&report).unwrap(), report.to_json());
    let graph = lockdep::graph();
    assert!(graph.dependencies.len() >= 2 && !graph.unsafe_dependencies.is_empty());
    assert_eq!(serde_json::to_string(&graph).unwrap(), graph.to_json());
}
