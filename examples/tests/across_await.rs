//! Holds that a task keeps across `.await`. A hold belongs to the thread that took it, but a task that
//! waits goes on with any worker of the runtime: such a hold is detached.
#![allow(
    clippy::await_holding_lock,
    reason = "the guards are detached, which is what is shown here"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use lockdep::{ReportKind, assert_held, collect, detach, held, on_report};
use tokio::runtime::Builder;
use tokio::task::{JoinSet, yield_now};
use zsalloc::{Handle, Pool};
use zslock::ZsLock;

const TASKS: usize = 32;
const ROUNDS: usize = 50;
const WORKER: &str = "across-await";

/// Maps two objects one inside the other, puts objects into the pool, and reads `lock`, all with awaits in
/// between. Returns how many rounds ended on another worker than they began on.
async fn work(
    pool: Arc<Pool>,
    handles: Arc<Vec<Handle>>,
    lock: &'static ZsLock<u64>,
    task: usize,
) -> usize {
    let here = || std::thread::current().id();
    let handle = |index: usize| Shared(Arc::clone(&handles), index % handles.len());
    let mut moved = 0;
    for round in 0..ROUNDS {
        let began = here();
        let outer = Pool::read_owned(Arc::clone(&pool), handle(task + round));
        yield_now().await;
        let inner = Pool::read_owned(Arc::clone(&pool), handle(task + 2 * round + 1));
        let guard = lock.read();
        detach(lock);
        yield_now().await;
        // The pool's own locks, inside all that.
        let own = pool.insert(&[task as u8; 100]).unwrap();
        assert_eq!(pool.read(&own)[..], [task as u8; 100]);
        pool.free(own);
        yield_now().await;
        assert_held!(lock);
        assert_eq!(outer.len() + inner.len(), 2000);
        drop(outer);
        yield_now().await;
        drop((inner, guard));
        moved += usize::from(here() != began);
    }
    moved
}

/// One of many handles.
struct Shared(Arc<Vec<Handle>>, usize);

impl std::borrow::Borrow<Handle> for Shared {
    fn borrow(&self) -> &Handle {
        &self.0[self.1]
    }
}

#[test]
fn maps_and_detached_guards_across_await_are_silent_on_many_workers() {
    static REPORTS: AtomicUsize = AtomicUsize::new(0);
    static LOCK: ZsLock<u64> = ZsLock::new(0);
    on_report(|report| {
        // The handler is the process's, and the other test reports on purpose.
        REPORTS.fetch_add(usize::from(report.thread == WORKER), Ordering::SeqCst);
    });
    let pool = Arc::new(Pool::new());
    let object = |_| pool.insert(&[7; 1000]).unwrap();
    let handles: Arc<Vec<Handle>> = Arc::new((0..16).map(object).collect());
    let runtime = Builder::new_multi_thread()
        .worker_threads(4)
        .thread_name(WORKER)
        .build()
        .unwrap();
    let moved = runtime.block_on(async {
        let mut tasks = JoinSet::new();
        for task in 0..TASKS {
            tasks.spawn(work(Arc::clone(&pool), Arc::clone(&handles), &LOCK, task));
        }
        // A report is a panic, and a panic is a join error.
        tasks.join_all().await.into_iter().sum::<usize>()
    });
    drop(runtime);
    assert_eq!(REPORTS.load(Ordering::SeqCst), 0);
    assert!(
        !lockdep::graph().dependencies.is_empty(),
        "the validator is on"
    );
    assert!(held().is_empty());
    assert!(LOCK.try_write().is_some());
    println!(
        "{moved} of {} rounds ended on another worker",
        TASKS * ROUNDS
    );
    for handle in Arc::into_inner(handles).unwrap() {
        pool.free(handle);
    }
}

/// A guard across `.await`, another task of the same worker that locks a mutex, and the other order. With
/// one worker this can deadlock indeed: who waits for the mutex keeps the guard's task from going on.
/// With several it need not, and whoever detaches the hold says so.
fn reports_of_a_guard_across_await(detached: bool) -> Vec<ReportKind> {
    let table: &'static ZsLock<u64> = Box::leak(Box::new(ZsLock::new(0)));
    let journal = Arc::new(lockdep::Mutex::new(0));
    let runtime = Builder::new_current_thread().build().unwrap();
    let ((), reports) = collect(|| {
        runtime.block_on(async {
            let mut tasks = JoinSet::new();
            tasks.spawn(async move {
                let guard = table.read();
                if detached {
                    detach(table);
                }
                yield_now().await;
                drop(guard);
            });
            let also = Arc::clone(&journal);
            tasks.spawn(async move { *also.lock() += 1 });
            tasks.join_all().await;
        });
        let mut journal = journal.lock();
        *journal += *table.write();
    });
    reports.iter().map(lockdep::Report::kind).collect()
}

#[test]
fn a_guard_that_is_not_detached_belongs_to_its_worker() {
    assert_eq!(reports_of_a_guard_across_await(true), []);
    assert_eq!(
        reports_of_a_guard_across_await(false),
        [ReportKind::CircularDependency]
    );
}
