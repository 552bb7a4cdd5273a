//! Runs a model in every execution, and remembers what its threads did in the last one.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};

use loom::cell::UnsafeCell;

/// Who did what.
pub(crate) type Step = (&'static str, String);

/// The steps of the execution that is going on. (Not loom's mutex: it is about the exploration, not part of it.)
static STEPS: Mutex<Vec<Step>> = Mutex::new(Vec::new());
/// What loom said when it stopped.
static REASON: Mutex<String> = Mutex::new(String::new());
/// One exploration at a time.
static EXPLORING: Mutex<()> = Mutex::new(());

/// Notes a step of the present execution.
pub(crate) fn step(who: &'static str, what: impl Into<String>) {
    STEPS.lock().unwrap().push((who, what.into()));
}

/// How a model ends.
#[derive(Debug)]
pub(crate) enum Outcome {
    /// Every execution is free of races.
    Passes { executions: usize },
    /// One is not.
    Fails {
        executions: usize,
        reason: String,
        steps: Vec<Step>,
    },
}

/// Runs `model` in every execution, until one fails.
pub(crate) fn explore(model: fn()) -> Outcome {
    let _alone = EXPLORING
        .lock()
        .unwrap_or_else(|poison| poison.into_inner());
    let executions = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&executions);
    let hook = std::panic::take_hook();
    // Kept rather than printed: the failure is what we are after.
    std::panic::set_hook(Box::new(|info| {
        let mut reason = REASON.lock().unwrap();
        if reason.is_empty() {
            *reason = info.payload_as_str().unwrap_or("a panic").to_owned();
        }
    }));
    REASON.lock().unwrap().clear();
    let ended = catch_unwind(AssertUnwindSafe(|| {
        loom::model::Builder::new().check(move || {
            count.fetch_add(1, Relaxed);
            STEPS.lock().unwrap().clear();
            model();
        });
    }));
    std::panic::set_hook(hook);
    let executions = executions.load(Relaxed);
    match ended {
        Ok(()) => Outcome::Passes { executions },
        Err(_) => Outcome::Fails {
            executions,
            reason: std::mem::take(&mut REASON.lock().unwrap()),
            steps: std::mem::take(&mut STEPS.lock().unwrap()),
        },
    }
}

/// A compressed object: loom stops when it is read and written without an order between the two.
pub(crate) struct Object(UnsafeCell<u32>);

// SAFETY: whether accesses are ordered is the question that the models put, and loom answers it before they happen.
unsafe impl Sync for Object {}

impl Object {
    pub(crate) fn new() -> Self {
        Self(UnsafeCell::new(7))
    }

    pub(crate) fn read(&self) {
        step("reader", "reads the object");
        // SAFETY: loom has checked that no write is concurrent.
        self.0.with(|object| assert_eq!(unsafe { *object }, 7));
    }

    pub(crate) fn migrate(&self) {
        step("migrator", "moves the object to another page");
        // SAFETY: loom has checked that no access is concurrent.
        self.0.with_mut(|object| unsafe { *object = 7 });
    }
}
