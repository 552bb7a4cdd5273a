//! How long compaction holds its locks: what the report says, against what another thread saw.
//!
//! No test here asserts how long anything takes. Each makes a hold last until another thread has run
//! into it, and takes stamps that are certainly inside the hold: the report must cover them.

mod common;

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use common::locks::{Hooked, Hooks, LockCall};
use zsalloc::lock_api::RawRwLock;
use zsalloc::{Budget, ClassPolicy, CompactReport, Handle, Heap, Pool};

/// Where compaction is when a zspage lock calls back. It has the class locked each time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Moment {
    /// It plans: it looks whether a zspage is mapped.
    Planning,
    /// It has just locked a zspage exclusively.
    Locked,
    /// It is about to unlock that zspage.
    Unlocking,
}

type Hook = Box<dyn FnMut(Moment)>;

thread_local! {
    /// What the locks call on this thread.
    static HOOK: RefCell<Option<Hook>> = const { RefCell::new(None) };
}

fn call_back(moment: Moment) {
    HOOK.with_borrow_mut(|hook| hook.iter_mut().for_each(|hook| hook(moment)));
}

struct Watch;

type Watched = Hooked<Watch>;

impl Hooks for Watch {
    fn before(call: LockCall) {
        match call {
            LockCall::IsLocked => call_back(Moment::Planning),
            LockCall::UnlockExclusive => call_back(Moment::Unlocking),
            _ => {}
        }
    }

    fn after(call: LockCall) {
        if call == LockCall::TryLockExclusive {
            call_back(Moment::Locked);
        }
    }
}

/// Two zspages of sixteen slots: one almost full, and one with two objects, which are the result.
fn sparse() -> (Pool<Watched, Heap>, Vec<Handle>) {
    let policy = ClassPolicy::Zsmalloc { chain_size: 8 };
    let builder = Pool::builder().classes(policy).backend(Heap::new());
    let pool = builder.lock_with(|| Watched::INIT).build().unwrap();
    let mut handles: Vec<_> = (0..32).map(|_| pool.alloc(1280).unwrap()).collect();
    assert_eq!(pool.zspages().count(), 2);
    let mut last = handles.split_off(16);
    pool.free_many(handles.split_off(10));
    pool.free_many(last.split_off(2));
    (pool, last)
}

/// What was seen of one hold.
struct Seen {
    report: CompactReport,
    /// A part of the hold: from when the other thread was about to ask for the lock, to the end of
    /// the hold as far as the lock can tell.
    inside: Duration,
    /// How long the other thread took to get what it asked for.
    waited: Duration,
    whole_call: Duration,
}

/// Runs a compaction whose hold begins at `from`, and is inside still at `to`. In between another
/// thread does `outside`, which has to wait for the end of the hold.
fn watch(
    pool: &Pool<Watched, Heap>,
    compact: impl FnOnce() -> CompactReport,
    (from, to): (Moment, Moment),
    outside: impl FnOnce() + Send,
) -> Seen {
    let (go, gone) = channel();
    let (asks, asked) = channel();
    let (ended, end) = channel();
    let mut last_stamp = None;
    thread::scope(|scope| {
        let other = scope.spawn(move || {
            let () = gone.recv().expect("the hold has begun");
            let start = Instant::now();
            asks.send(start).unwrap();
            outside();
            start.elapsed()
        });
        let mut begun: Option<Instant> = None;
        HOOK.set(Some(Box::new(move |moment| {
            if moment == from && begun.is_none() {
                go.send(()).unwrap();
                begun = Some(asked.recv().unwrap());
                // Time for it to run into the lock. Should it not, the stamps are right all the same.
                thread::sleep(Duration::from_millis(20));
            }
            if moment == to {
                // The hold goes on until the very end of the unlocking.
                thread::sleep(Duration::from_millis(5));
                // Only the first counts: later ones may belong to other holds.
                let _ = begun.map(|begun| ended.send((begun, Instant::now())));
            }
        })));
        let start = Instant::now();
        let report = compact();
        let whole_call = start.elapsed();
        HOOK.set(None);
        last_stamp.replace((report, whole_call, first(&end), other.join().unwrap()))
    });
    let (report, whole_call, inside, waited) = last_stamp.unwrap();
    assert!(pool.freeable() == 0 && report.objects_moved == 2);
    println!(
        "waited {waited:?}, {inside:?} of it certainly in the hold; reported: class \
         {:?}, zspage {:?}; the whole call {whole_call:?}",
        report.longest_class_hold, report.longest_zspage_hold
    );
    Seen {
        report,
        inside,
        waited,
        whole_call,
    }
}

fn first(end: &Receiver<(Instant, Instant)>) -> Duration {
    let (begun, ended) = end.recv().expect("the hold was seen");
    ended - begun
}

impl Seen {
    fn check(&self, longest: Duration) {
        // The other thread did wait for the end of the hold.
        assert!(self.waited >= self.inside);
        // The report covers what was certainly a part of the hold, and no more than was possible.
        assert!(longest >= self.inside, "{longest:?} < {:?}", self.inside);
        assert!(self.report.longest_class_hold <= self.whole_call);
        // A zspage is locked exclusively only within a hold of the class.
        assert!(self.report.longest_zspage_hold <= self.report.longest_class_hold);
    }
}

#[test]
fn the_longest_zspage_hold_covers_the_wait_of_a_reader() {
    let (pool, handles) = sparse();
    let (from, to) = (Moment::Locked, Moment::Unlocking);
    let seen = watch(
        &pool,
        || pool.compact(),
        (from, to),
        || {
            assert_eq!(pool.read(&handles[0])[..], [0; 1280]);
        },
    );
    seen.check(seen.report.longest_zspage_hold);
}

#[test]
fn the_longest_class_hold_covers_the_wait_of_an_insertion() {
    let (pool, _handles) = sparse();
    let (from, to) = (Moment::Locked, Moment::Unlocking);
    let seen = watch(
        &pool,
        || pool.compact(),
        (from, to),
        || {
            let _kept = pool.alloc(1280).unwrap();
        },
    );
    seen.check(seen.report.longest_class_hold);
}

/// Both kinds of planning: of a class as a whole, and of what a small budget buys.
#[test]
fn the_longest_class_hold_covers_planning() {
    for budget in [None, Some(Budget::Pages(5))] {
        let (pool, _handles) = sparse();
        let compact = || match budget {
            None => pool.compact(),
            Some(budget) => pool.compact_budget(budget),
        };
        let seen = watch(&pool, compact, (Moment::Planning, Moment::Planning), || {
            let _kept = pool.alloc(1280).unwrap();
        });
        seen.check(seen.report.longest_class_hold);
    }
}

/// How many zspages compaction asks whether they are mapped. Returns the pages freed, too.
fn looks(compact: impl FnOnce() -> CompactReport) -> (usize, usize) {
    let looks = Rc::new(Cell::new(0));
    let counter = Rc::clone(&looks);
    HOOK.set(Some(Box::new(move |moment| {
        counter.set(counter.get() + usize::from(moment == Moment::Planning));
    })));
    let freed = compact().pages_freed;
    HOOK.set(None);
    (freed, looks.get())
}

/// What one page costs does not depend on the size of the class, also if some of its sparsest zspages
/// are mapped.
#[test]
fn a_small_budget_looks_at_few_zspages() {
    let policy = ClassPolicy::Zsmalloc { chain_size: 8 };
    let builder = Pool::builder().classes(policy).backend(Heap::new());
    let pool = builder.lock_with(|| Watched::INIT).build().unwrap();
    let handles: Vec<_> = (0..2000).map(|_| pool.alloc(2048).unwrap()).collect();
    let (kept, freed): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 2 == 0);
    pool.free_many(freed.into_iter().map(|(_, handle)| handle));
    let (freed, looked) = looks(|| pool.compact_budget(Budget::Pages(1)));
    assert!(freed == 1 && looked < 30, "{looked} zspages looked at");
    // All zspages are equally sparse, and the oldest come first.
    let maps: Vec<_> = kept[1..101].iter().map(|(_, h)| pool.read(h)).collect();
    let (freed, looked) = looks(|| pool.compact_budget(Budget::Pages(1)));
    assert!(freed == 1, "{freed}");
    assert!((100..130).contains(&looked), "{looked} zspages looked at");
    drop(maps);
    let (freed, looked) = looks(|| pool.compact());
    assert!(freed == 498 && looked >= 998, "{looked} zspages looked at");
}

#[test]
fn nothing_locked_is_no_time() {
    let pool = Pool::new();
    let handle = pool.alloc(100).unwrap();
    assert_eq!(pool.compact().longest_zspage_hold, Duration::ZERO);
    pool.free(handle);
}

/// A class with very many zspages: every one keeps one object of two, and a tenth of them is mapped.
/// Prints the holds; run it with `--release -- --ignored --nocapture`.
#[test]
#[ignore = "takes 400 MB, and measures"]
fn a_class_of_a_hundred_thousand_zspages() {
    let pool = Pool::new();
    let handles: Vec<_> = (0..200_000).map(|_| pool.alloc(2048).unwrap()).collect();
    assert_eq!(pool.zspages().count(), 100_000);
    let (kept, freed): (Vec<_>, Vec<_>) = handles
        .into_iter()
        .enumerate()
        .partition(|(i, _)| i % 2 == 0);
    pool.free_many(freed.into_iter().map(|(_, handle)| handle));
    let kept: Vec<Handle> = kept.into_iter().map(|(_, handle)| handle).collect();
    let maps: Vec<_> = kept.iter().step_by(10).map(|h| pool.read(h)).collect();
    let budgeted = pool.compact_budget(Budget::Pages(1));
    let freeable = pool.freeable();
    let start = Instant::now();
    let report = pool.compact();
    println!("{:?} for {} pages", start.elapsed(), report.pages_freed);
    println!(
        "longest holds: class {:?}, zspage {:?}; with a budget of one page {:?}, {:?}",
        report.longest_class_hold,
        report.longest_zspage_hold,
        budgeted.longest_class_hold,
        budgeted.longest_zspage_hold,
    );
    assert_eq!((budgeted.pages_freed, report.pages_freed), (1, freeable));
    drop(maps);
}
