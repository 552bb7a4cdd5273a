//! Memory that is no atomic, as a checker sees it: the twin of what compiles to nothing in a normal build.
//!
//! A location is named by the address at which a slot, header, segment or directory begins; every access to it counts as one
//! to all of it. Under loom each has a `loom::cell::UnsafeCell`, whose accesses must be ordered by happens-before; under
//! both checkers an access to a location that has ended fails. Memory of ended locations is kept until the next execution
//! (see [`bury`](crate::reclaim)), so a failing model touches no freed memory either.

use std::any::type_name;
use std::cell::RefCell;
use std::collections::BTreeMap;
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
    /// How it ended, if it has.
    ended: Option<&'static str>,
    accesses: Rc<Accesses>,
}

#[derive(Default)]
struct Memory {
    locations: BTreeMap<usize, Location>,
    /// Where the runs of pages begin, in the order in which they were taken.
    runs: Vec<(usize, usize)>,
    /// How many headers, segments and so on there were.
    things: usize,
}

impl Memory {
    fn name<T>(&mut self, address: usize) -> String {
        let runs = self
            .runs
            .iter()
            .rposition(|&(base, bytes)| (base..base + bytes).contains(&address));
        if let Some(run) = runs {
            return format!("pages {run} + {}", address - self.runs[run].0);
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
    if is_unwinding() {
        return;
    }
    #[cfg(zsalloc_shuttle)]
    super::execution::switch();
    let address = place.as_ptr().addr();
    let (name, accesses) = MEMORY.with_borrow_mut(|memory| {
        if !memory.locations.contains_key(&address) {
            let name = memory.name::<T>(address);
            let accesses = Rc::new(Accesses::new());
            memory.locations.insert(
                address,
                Location {
                    name,
                    ended: None,
                    accesses,
                },
            );
        }
        let location = memory.locations.get_mut(&address).expect("just inserted");
        location.ended = None;
        (location.name.clone(), Rc::clone(&location.accesses))
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
    MEMORY.with_borrow_mut(|memory| {
        memory
            .locations
            .retain(|at, _| !(address..address + bytes).contains(at));
        memory.runs.push((address, bytes));
    });
}

pub(crate) fn given_back(run: NonNull<u8>, bytes: usize) {
    let address = run.as_ptr().addr();
    let name = MEMORY.with_borrow_mut(|memory| memory.name::<u8>(address));
    step(format!("gives back {name}"));
    end(address..address + bytes, "given back");
}

fn end(range: std::ops::Range<usize>, how: &'static str) {
    if is_unwinding() {
        return;
    }
    #[cfg(zsalloc_shuttle)]
    super::execution::switch();
    let ended: Vec<_> = MEMORY.with_borrow_mut(|memory| {
        let locations = memory.locations.range_mut(range);
        let ended = locations.map(|(_, location)| {
            location.ended = Some(how);
            (location.name.clone(), Rc::clone(&location.accesses))
        });
        ended.collect()
    });
    for (name, accesses) in ended {
        if how == "freed" {
            step(format!("frees {name}"));
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
