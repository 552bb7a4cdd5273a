//! Memory that is no atomic, as a checker sees it: the twin of what compiles to nothing in a normal build.
//!
//! A location is named by the address at which a slot, header, segment or directory begins; every access to it counts as one
//! to all of it. Under loom each has a `loom::cell::UnsafeCell`, whose accesses must be ordered by happens-before; under
//! both checkers an access to a location that has ended fails. Memory of ended locations is kept until the next execution
//! (see [`bury`](crate::reclaim)), so a failing model touches no freed memory either.

use std::any::type_name;
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::NonNull;
use std::rc::Rc;

use super::execution::step;

/// What loom knows of a location.
#[cfg(zslock_loom)]
struct Accesses(loom::cell::UnsafeCell<()>);

#[cfg(zslock_loom)]
impl Accesses {
    fn new() -> Self {
        Self(loom::cell::UnsafeCell::new(()))
    }
    fn read(&self) {
        self.0.with(|_| ());
    }
    fn write(&self) {
        self.0.with_mut(|_| ());
    }
}

/// shuttle is sequentially consistent: whatever it runs is ordered.
#[cfg(not(zslock_loom))]
struct Accesses;

#[cfg(not(zslock_loom))]
impl Accesses {
    fn new() -> Self {
        Self
    }
    fn read(&self) {}
    fn write(&self) {}
}

struct Location {
    name: String,
    bytes: usize,
    /// How it ended, if it has.
    ended: Option<&'static str>,
    accesses: Rc<Accesses>,
}

struct Run {
    addresses: Range<usize>,
    given_back: bool,
}

#[derive(Default)]
struct Memory {
    locations: BTreeMap<usize, Location>,
    /// The runs of pages, in the order in which they were taken.
    runs: Vec<Run>,
    /// How many headers, segments and so on there were.
    things: usize,
}

impl Memory {
    fn run(&mut self, address: usize) -> Option<(usize, &mut Run)> {
        let runs = self.runs.iter_mut().enumerate().rev();
        let mut runs = runs.filter(|(_, run)| run.addresses.contains(&address));
        runs.next()
    }

    fn name<T>(&mut self, address: usize) -> String {
        if let Some((number, run)) = self.run(address) {
            return format!("pages {number} + {}", address - run.addresses.start);
        }
        self.things += 1;
        let path = type_name::<T>();
        let path = path.split('<').next().unwrap_or(path);
        let kind = path.rsplit("::").next().unwrap_or(path).to_lowercase();
        format!("{kind} {}", self.things)
    }
}

thread_local! {
    static MEMORY: RefCell<Memory> = RefCell::default();
}

pub(crate) fn begin() {
    MEMORY.take();
}

/// While a failed model unwinds, its destructors must not fail again.
fn is_unwinding() -> bool {
    std::thread::panicking()
}

pub(crate) fn read<T>(place: NonNull<T>) {
    if let Some(accesses) = existing(place, "reads") {
        accesses.read();
    }
}

pub(crate) fn changed<T>(place: NonNull<T>) {
    if let Some(accesses) = existing(place, "writes") {
        accesses.write();
    }
}

/// Notes what is done to a location, and fails if it has ended.
fn existing<T>(place: NonNull<T>, does: &str) -> Option<Rc<Accesses>> {
    if is_unwinding() {
        return None;
    }
    #[cfg(zsalloc_shuttle)]
    super::execution::switch();
    let address = place.as_ptr().addr();
    let found = MEMORY.with_borrow(|memory| {
        let location = memory.locations.get(&address)?;
        let accesses = Rc::clone(&location.accesses);
        Some((location.name.clone(), location.ended, accesses))
    });
    let Some((name, ended, accesses)) = found else {
        panic!("use of memory that holds nothing");
    };
    if let Some(how) = ended {
        step(format!("{does} {name}, which was {how}"));
        panic!("use after end: {name}, which was {how}");
    }
    note::<T>(|| format!("{does} {name}"));
    Some(accesses)
}

pub(crate) fn written<T>(place: NonNull<T>) {
    // Not all its bytes: headers, which come and go by themselves, lie in segments.
    begins(place, 1);
}

pub(crate) fn stored(slot: NonNull<u8>, bytes: usize) {
    begins(slot, bytes);
}

fn begins<T>(place: NonNull<T>, bytes: usize) {
    if is_unwinding() {
        return;
    }
    #[cfg(zsalloc_shuttle)]
    super::execution::switch();
    let address = place.as_ptr().addr();
    let (name, accesses) = MEMORY.with_borrow_mut(|memory| {
        let known = memory.locations.remove(&address);
        let location = known.unwrap_or_else(|| Location {
            name: memory.name::<T>(address),
            bytes,
            ended: None,
            accesses: Rc::new(Accesses::new()),
        });
        let (name, accesses) = (location.name.clone(), Rc::clone(&location.accesses));
        let location = Location {
            bytes,
            ended: None,
            ..location
        };
        memory.locations.insert(address, location);
        (name, accesses)
    });
    note::<T>(|| format!("writes {name}"));
    accesses.write();
}

pub(crate) fn freed<T>(place: NonNull<T>) {
    let address = place.as_ptr().addr();
    end(address..address + 1, "freed");
}

pub(crate) fn taken(run: NonNull<u8>, bytes: usize) {
    let address = run.as_ptr().addr();
    let addresses = address..address + bytes;
    MEMORY.with_borrow_mut(|memory| {
        memory.locations.retain(|at, _| !addresses.contains(at));
        memory.runs.push(Run {
            addresses,
            given_back: false,
        });
    });
}

pub(crate) fn given_back(run: NonNull<u8>, bytes: usize) {
    end_of_pages(run, bytes, "gives back");
    let address = run.as_ptr().addr();
    MEMORY.with_borrow_mut(|memory| {
        if let Some((_, run)) = memory.run(address) {
            run.given_back = true;
        }
    });
}

pub(crate) fn discarded(part: NonNull<u8>, bytes: usize) {
    end_of_pages(part, bytes, "discards");
}

fn end_of_pages(start: NonNull<u8>, bytes: usize, does: &str) {
    if is_unwinding() {
        return;
    }
    let start = start.as_ptr().addr();
    let (name, given_back) = MEMORY.with_borrow_mut(|memory| {
        let given_back = memory.run(start).is_none_or(|(_, run)| run.given_back);
        (memory.name::<u8>(start), given_back)
    });
    step(format!("{does} {name}"));
    assert!(!given_back, "use after end: {name}, which was given back");
    end(start..start + bytes, "given back");
}

/// Ends all locations that begin or lie in a span of addresses. Those in pages that go back have ended before.
fn end(span: Range<usize>, how: &'static str) {
    if is_unwinding() {
        return;
    }
    #[cfg(zsalloc_shuttle)]
    super::execution::switch();
    let ended: Vec<_> = MEMORY.with_borrow_mut(|memory| {
        let before = memory.locations.range_mut(..span.end);
        let touched = before.filter(|(at, location)| *at + location.bytes > span.start);
        let ended = touched.map(|(_, location)| {
            let alive = location.ended.replace(how).is_none();
            (location.name.clone(), alive, Rc::clone(&location.accesses))
        });
        ended.collect()
    });
    for (name, alive, accesses) in ended {
        if how == "freed" {
            step(format!("frees {name}"));
        } else {
            assert!(
                !alive,
                "use after end: {name} is in use, and was given back"
            );
        }
        // All that was ever done there must be ordered before.
        accesses.write();
    }
}

/// Only accesses to objects are worth telling.
fn note<T>(what: impl FnOnce() -> String) {
    if type_name::<T>() == type_name::<u8>() {
        step(what());
    }
}
