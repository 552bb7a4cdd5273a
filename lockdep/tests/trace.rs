//! `LOCKDEP=trace`: the events of acquisitions, in order, with their fields. The
//! variable belongs to the process, so each case runs in a process of its own:
//! this test binary, started again.

#[path = "support/cases.rs"]
mod cases;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex as StdMutex};
use std::thread;
use std::time::{Duration, Instant};

use cases::Case;
use lock_api::{RawMutex as _, RawRwLock as _, RwLockWriteGuard};
use lockdep::{
    Attempt, LockClassKey, LockMap, Mode, Mutex, RwLock, RwLockUpgradableReadGuard, Tracked,
};
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Subscriber};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

static MUTEX: LockClassKey = LockClassKey::new("mutex");
static RWLOCK: LockClassKey = LockClassKey::new("rwlock");

fn mutex() -> Mutex<u32> {
    Mutex::from_raw(Tracked::with_class(parking_lot::RawMutex::INIT, &MUTEX), 0)
}

fn rwlock() -> RwLock<u32> {
    let raw = Tracked::with_class(parking_lot::RawRwLock::INIT, &RWLOCK);
    RwLock::from_raw(raw, 0)
}

/// One event: its name and its fields as text.
#[derive(Clone, Debug, Default)]
struct Seen {
    name: &'static str,
    thread: Option<thread::ThreadId>,
    fields: BTreeMap<&'static str, String>,
}

impl Seen {
    fn field(&self, name: &str) -> &str {
        let value = self.fields.get(name);
        value.unwrap_or_else(|| panic!("no field {name} in {self:?}"))
    }

    fn number(&self, name: &str) -> u64 {
        self.field(name).parse().unwrap()
    }

    fn step(&self) -> [&str; 3] {
        [self.name, self.field("class"), self.field("mode")]
    }
}

impl Visit for Seen {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.fields.insert(field.name(), format!("{value:?}"));
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.fields.insert(field.name(), value.to_owned());
    }
}

/// Keeps the events of target `lockdep`.
#[derive(Clone, Default)]
struct Recorder(Arc<StdMutex<Vec<Seen>>>);

impl<S: Subscriber> Layer<S> for Recorder {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if metadata.target() != "lockdep" {
            return;
        }
        assert_eq!(*metadata.level(), Level::TRACE);
        let mut seen = Seen {
            name: metadata.name(),
            thread: Some(thread::current().id()),
            ..Seen::default()
        };
        event.record(&mut seen);
        self.0.lock().unwrap().push(seen);
    }
}

impl Recorder {
    /// Records what the process does from now on.
    fn install() -> Recorder {
        let recorder = Recorder::default();
        listen(recorder.clone());
        recorder
    }

    fn take(&self) -> Vec<Seen> {
        std::mem::take(&mut self.0.lock().unwrap())
    }

    /// Comes back when there was such an event. Ends a process in which there
    /// is none, where it would wait forever.
    fn until(&self, name: &str) {
        let start = Instant::now();
        while !self.0.lock().unwrap().iter().any(|seen| seen.name == name) {
            if start.elapsed() > Duration::from_secs(60) {
                eprintln!("no event {name}");
                std::process::exit(1);
            }
            thread::yield_now();
        }
    }
}

/// Makes `layer` the subscriber of the whole process. One that is set for a thread alone may miss events: whoever
/// registers their callsite while another thread is setting its own may record for good that nobody listens.
fn listen(layer: impl Layer<Registry> + Send + Sync) {
    tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer)).unwrap();
}

fn steps(seen: &[Seen]) -> Vec<[&str; 3]> {
    seen.iter().map(Seen::step).collect()
}

/// Takes a tracked lock in every event.
struct Locking(RwLock<u32>);

thread_local! {
    static EVENTS: Cell<u32> = const { Cell::new(0) };
}

impl<S: Subscriber> Layer<S> for Locking {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        *self.0.write() += 1;
        EVENTS.set(EVENTS.get() + 1);
        assert!(
            EVENTS.get() < 100,
            "the event of an event's lock is an event"
        );
    }
}

/// Panics at every event.
struct Panicking;

impl<S: Subscriber> Layer<S> for Panicking {
    fn on_event(&self, _: &Event<'_>, _: Context<'_, S>) {
        panic!("no subscriber may do this");
    }
}

/// The cases, each in a process of its own.
const CASES: [Case; 7] = [
    ("a lock that is free", || {
        let recorder = Recorder::install();
        let lock = mutex();
        let line = line!() + 1;
        let held = lock.lock();
        thread::sleep(Duration::from_millis(2));
        drop(held);
        let seen = recorder.take();
        let exclusive = |name| [name, "mutex", "exclusive"];
        let names = ["lock_acquire", "lock_acquired", "lock_release"];
        assert_eq!(steps(&seen), names.map(exclusive));
        assert_eq!(seen[0].field("attempt"), "block");
        assert_eq!(seen[1].number("wait_ns"), 0);
        assert!(seen[2].number("hold_ns") >= 2_000_000, "{:?}", seen[2]);
        for seen in &seen[..2] {
            let place = seen.field("location");
            assert!(
                place.starts_with(&format!("{}:{line}:", file!())),
                "{place}"
            );
        }
        for step in &seen {
            assert_eq!(step.field("message"), step.name);
            assert_eq!(step.field("lock"), seen[0].field("lock"));
        }
    }),
    ("a lock that is taken", || {
        let recorder = Recorder::install();
        let lock = mutex();
        let held = lock.lock();
        let other = thread::scope(|scope| {
            let waiter = scope.spawn(|| {
                drop(lock.lock());
                thread::current().id()
            });
            recorder.until("lock_contended");
            thread::sleep(Duration::from_millis(2));
            drop(held);
            waiter.join().unwrap()
        });
        let seen = recorder.take();
        let seen: Vec<Seen> = seen
            .into_iter()
            .filter(|seen| seen.thread == Some(other))
            .collect();
        let exclusive = |name| [name, "mutex", "exclusive"];
        let names = [
            "lock_acquire",
            "lock_contended",
            "lock_acquired",
            "lock_release",
        ];
        assert_eq!(steps(&seen), names.map(exclusive));
        assert!(seen[2].number("wait_ns") >= 2_000_000, "{:?}", seen[2]);
    }),
    ("tries and timeouts", || {
        let recorder = Recorder::install();
        let lock = mutex();
        let held = lock.try_lock().unwrap();
        assert_eq!(recorder.take()[0].field("attempt"), "try");
        thread::scope(|scope| {
            scope.spawn(|| assert!(lock.try_lock_for(Duration::from_millis(2)).is_none()));
        });
        let seen = recorder.take();
        let exclusive = |name| [name, "mutex", "exclusive"];
        let names = ["lock_acquire", "lock_contended", "lock_release"];
        assert_eq!(steps(&seen), names.map(exclusive));
        assert_eq!(seen[0].field("attempt"), "timed");
        assert_eq!(seen[2].number("hold_ns"), 0, "it was never held");
        drop(held);
    }),
    ("modes", || {
        let recorder = Recorder::install();
        let lock = rwlock();
        let upgradable = lock.upgradable_read();
        let writer = RwLockUpgradableReadGuard::upgrade(upgradable);
        let reader = RwLockWriteGuard::downgrade(writer);
        drop(reader);
        let seen = recorder.take();
        let expected = [
            ["lock_acquire", "rwlock", "upgradable"],
            ["lock_acquired", "rwlock", "upgradable"],
            ["lock_acquire", "rwlock", "exclusive"],
            ["lock_acquired", "rwlock", "exclusive"],
            ["lock_downgrade", "rwlock", "shared"],
            ["lock_release", "rwlock", "shared"],
        ];
        assert_eq!(steps(&seen), expected);
        assert_eq!(seen[2].field("attempt"), "upgrade");
    }),
    ("two locks", || {
        let recorder = Recorder::install();
        let (a, b) = (LockMap::instance(), LockMap::instance());
        let outer = a.acquire(Mode::Exclusive, Attempt::Block);
        let inner = b.acquire(Mode::SharedRecursive, Attempt::Block);
        b.acquired(&inner);
        a.release(outer);
        b.release(inner);
        let seen = recorder.take();
        let [lock_a, lock_b] = [0, 1].map(|i| seen[i].field("lock").to_owned());
        assert_ne!(lock_a, lock_b);
        let order: Vec<_> = seen.iter().map(|s| (s.name, s.field("lock"))).collect();
        let expected = [
            ("lock_acquire", &*lock_a),
            ("lock_acquire", &*lock_b),
            ("lock_acquired", &*lock_b),
            ("lock_release", &*lock_a),
            ("lock_release", &*lock_b),
        ];
        assert_eq!(order, expected);
        assert_eq!(seen[1].field("class"), format!("lock #{lock_b}"));
        assert_eq!(seen[1].field("mode"), "shared-recursive");
    }),
    ("a subscriber that locks", || {
        listen(Locking(rwlock()));
        drop(mutex().lock());
        assert_eq!(EVENTS.get(), 3);
    }),
    ("a subscriber that panics", || {
        listen(Panicking);
        let lock = mutex();
        *lock.lock() += 1;
        assert_eq!(*lock.try_lock().unwrap(), 1);
        assert!(lockdep::held().is_empty());
    }),
];

/// What the child process does; does nothing in the parent.
#[test]
fn child() {
    cases::run_asked_for(&CASES);
}

#[test]
fn the_events_tell_each_step() {
    cases::run_all(&CASES, "trace");
}

#[test]
fn the_events_are_the_same_with_counts() {
    cases::run_all(&CASES, "stat,trace");
}

#[test]
fn there_are_no_events_unless_asked_for() {
    let asked = std::env::var("LOCKDEP").is_ok_and(|words| words.contains("trace"));
    if asked || std::env::var_os(cases::CASE).is_some() {
        return;
    }
    let recorder = Recorder::install();
    drop(mutex().lock());
    assert!(recorder.take().is_empty());
}
