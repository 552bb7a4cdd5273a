//! The parking table's twin for loom: one mutex for all queues, one condition variable a waiter.
//!
//! It keeps the five promises of [the interface](super). Its one mutex orders more than parking_lot_core's buckets do,
//! which hides edges of the hand-over; what is proved and what is not is said in the crate's documentation.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Instant;

use ::loom::sync::{Condvar, Mutex};

use super::{Parked, Unparked, Waiter, Wake};
use crate::mutation::is_broken;

/// When to give up; `None` is never. loom has no clock: any `Some` may pass at any moment.
pub(crate) type Deadline = Option<Instant>;

struct Entry {
    key: usize,
    waiter: Waiter,
    ticket: usize,
    condvar: Arc<Condvar>,
}

#[derive(Default)]
struct Table {
    queue: VecDeque<Entry>,
    woken: Vec<(usize, Wake)>,
    next_ticket: usize,
}

impl Table {
    fn enqueue(&mut self, key: usize, waiter: Waiter) -> (usize, Arc<Condvar>) {
        let ticket = self.next_ticket;
        self.next_ticket += 1;
        let condvar = Arc::new(Condvar::new());
        self.queue.push_back(Entry {
            key,
            waiter,
            ticket,
            condvar: Arc::clone(&condvar),
        });
        (ticket, condvar)
    }

    fn take_first(&mut self, key: usize) -> Option<Entry> {
        let at = self.queue.iter().position(|entry| entry.key == key)?;
        self.queue.remove(at)
    }

    fn has(&self, key: usize) -> bool {
        self.queue.iter().any(|entry| entry.key == key)
    }

    fn wake(&mut self, entry: &Entry, wake: Wake) {
        if is_broken("wake omitted") {
            return;
        }
        self.woken.push((entry.ticket, wake));
        entry.condvar.notify_one();
    }

    fn take_wake(&mut self, ticket: usize) -> Option<Wake> {
        let at = self.woken.iter().position(|woken| woken.0 == ticket)?;
        Some(self.woken.swap_remove(at).1)
    }
}

::loom::lazy_static! {
    static ref TABLE: Mutex<Table> = Mutex::new(Table::default());
}

pub(crate) fn park(
    key: usize,
    waiter: Waiter,
    validate: impl FnOnce() -> bool,
    timed_out: impl FnOnce(bool),
    deadline: Deadline,
) -> Parked {
    let mut table = TABLE.lock().unwrap();
    let validation_omitted =
        is_broken("park validation omitted") || is_broken("parked bit not set");
    if !validate() && !validation_omitted {
        return Parked::Invalid;
    }
    let (ticket, condvar) = table.enqueue(key, waiter);
    if deadline.is_some() {
        // Whoever runs between here and the next lock races with the time-out.
        drop(table);
        table = TABLE.lock().unwrap();
        if let Some(at) = table.queue.iter().position(|entry| entry.ticket == ticket) {
            table.queue.remove(at);
            timed_out(!table.has(key));
            return Parked::TimedOut;
        }
    }
    loop {
        if let Some(wake) = table.take_wake(ticket) {
            return Parked::Woken(wake);
        }
        table = condvar.wait(table).unwrap();
    }
}

pub(crate) fn unpark_one(key: usize, decide: impl FnOnce(Unparked) -> Wake) {
    let mut table = TABLE.lock().unwrap();
    let first = table.take_first(key);
    let wake = decide(Unparked {
        any: first.is_some(),
        more: table.has(key),
    });
    if let Some(entry) = first {
        table.wake(&entry, wake);
    }
}

pub(crate) fn unpark_all(key: usize, decide: impl FnOnce(u32) -> Wake) {
    let mut table = TABLE.lock().unwrap();
    let mut all = Vec::new();
    while let Some(entry) = table.take_first(key) {
        all.push(entry);
    }
    let readers = all.iter().filter(|entry| entry.waiter == Waiter::Reader);
    let wake = decide(u32::try_from(readers.count()).expect("a model has few threads"));
    for entry in &all {
        table.wake(entry, wake);
    }
}

/// Whether some thread of the model is in a queue.
#[must_use]
pub fn is_anyone_parked() -> bool {
    !TABLE.lock().unwrap().queue.is_empty()
}
