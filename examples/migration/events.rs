//! The record of a run: every thread writes down its own events, and nothing is shared while the
//! run lasts.
//!
//! The lock (`observed_lock`) is the only writer. The timeline, the close-ups, the picture and the
//! figures all read this one record.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use hdrhistogram::Histogram;

use crate::sample::Sample;

/// Events that one thread writes down at most, 40 bytes each. The figures stay exact beyond it.
const MAX_EVENTS: usize = 1 << 20;

/// Why a thread takes zspage locks exclusively.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Purpose {
    Migration,
    Compaction,
    /// Anything else, `free` above all.
    Other,
}

/// What happened between the two ends of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Kind {
    /// A read lock was held: an object was mapped.
    Held,
    /// A read lock was refused at first, and the thread waited until it had it.
    Waited,
    /// The write lock was held: the zspage moved, or objects moved in or out.
    Wrote(Purpose),
    /// The write lock was refused, because a map was held.
    Refused(Purpose),
}

/// One line of the record. Times are nanoseconds since the run began.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event {
    pub(crate) kind: Kind,
    /// The serial number of the zspage's lock.
    pub(crate) zspage: u32,
    pub(crate) start: u64,
    pub(crate) end: u64,
    /// When the unlock had returned. The lock was released between `end` and this; a thread that is
    /// preempted in between, perhaps by the very thread that it wakes, returns much later.
    pub(crate) released: u64,
}

impl Event {
    pub(crate) fn new(kind: Kind, zspage: u32, start: u64, end: u64) -> Self {
        Event {
            kind,
            zspage,
            start,
            end,
            released: end,
        }
    }

    pub(crate) fn length(&self) -> u64 {
        self.end - self.start
    }

    /// Whether it may have lasted at some moment of `start..=end`.
    pub(crate) fn overlaps(&self, start: u64, end: u64) -> bool {
        self.start <= end && start <= self.released
    }
}

/// What a thread of the run does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Reader,
    Sleeper,
    Churner,
    Migrator,
}

/// One thread's part of the record.
#[derive(Debug)]
pub(crate) struct Lane {
    pub(crate) name: String,
    pub(crate) role: Role,
    /// In the order in which they ended.
    pub(crate) events: Vec<Event>,
    /// Events beyond [`MAX_EVENTS`]: counted in the figures, missing in `events`.
    pub(crate) dropped: u64,
    pub(crate) held: u64,
    pub(crate) waits: Histogram<u64>,
    pub(crate) migrations: Histogram<u64>,
    pub(crate) refused_migrations: u64,
    pub(crate) refused_compactions: u64,
}

impl Lane {
    pub(crate) fn new(name: String, role: Role) -> Self {
        Lane {
            name,
            role,
            events: resident_buffer(role),
            dropped: 0,
            held: 0,
            waits: histogram(),
            migrations: histogram(),
            refused_migrations: 0,
            refused_compactions: 0,
        }
    }

    pub(crate) fn add(&mut self, event: Event) {
        match event.kind {
            Kind::Waited => self.waits.saturating_record(event.length()),
            Kind::Wrote(Purpose::Migration) => self.migrations.saturating_record(event.length()),
            Kind::Refused(Purpose::Migration) => self.refused_migrations += 1,
            Kind::Refused(Purpose::Compaction) => self.refused_compactions += 1,
            _ => {}
        }
        if self.events.len() < MAX_EVENTS {
            self.events.push(event);
        } else {
            self.dropped += 1;
        }
    }
}

/// Room for the events of about a usual run, resident already: otherwise the record would grow
/// while the pool shrinks, and the process's size would hide what the pool gave back.
fn resident_buffer(role: Role) -> Vec<Event> {
    let usual = if role == Role::Migrator {
        1 << 17
    } else {
        1 << 14
    };
    let unwritten = Event::new(Kind::Held, u32::MAX, u64::MAX, u64::MAX);
    let mut buffer = vec![unwritten; usual];
    buffer.clear();
    buffer
}

/// An empty histogram of nanoseconds: up to two minutes, with three digits of each value.
pub(crate) fn histogram() -> Histogram<u64> {
    Histogram::new_with_bounds(1, 120_000_000_000, 3).expect("the bounds are in order")
}

/// The whole run.
#[derive(Debug)]
pub(crate) struct Record {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) samples: Vec<Sample>,
    /// Nanoseconds from the first to the last moment.
    pub(crate) length: u64,
}

impl Record {
    /// Every event of one kind with the number of its lane.
    pub(crate) fn of_kind(&self, kind: Kind) -> impl Iterator<Item = (usize, &Event)> {
        self.lanes.iter().enumerate().flat_map(move |(i, lane)| {
            lane.events
                .iter()
                .filter(move |event| event.kind == kind)
                .map(move |event| (i, event))
        })
    }

    pub(crate) fn dropped(&self) -> u64 {
        self.lanes.iter().map(|lane| lane.dropped).sum()
    }
}

/// The pen of one thread.
#[derive(Debug)]
struct Pen {
    lane: Lane,
    began: Instant,
    purpose: Purpose,
}

thread_local! {
    static PEN: RefCell<Option<Pen>> = const { RefCell::new(None) };
}

/// Runs `work` and returns what its thread wrote down meanwhile; times count from `began`.
pub(crate) fn recording<T>(lane: Lane, began: Instant, work: impl FnOnce() -> T) -> (Lane, T) {
    PEN.set(Some(Pen {
        lane,
        began,
        purpose: Purpose::Other,
    }));
    let result = work();
    let pen = PEN.take().expect("only this function takes the pen away");
    (pen.lane, result)
}

/// Tells the record why the calling thread takes zspage locks exclusively while `work` runs.
pub(crate) fn with_purpose<T>(purpose: Purpose, work: impl FnOnce() -> T) -> T {
    let set = |purpose| {
        with_pen(|pen| pen.purpose = purpose);
    };
    set(purpose);
    let result = work();
    set(Purpose::Other);
    result
}

/// Whether the calling thread is migrating a zspage right now.
pub(crate) fn is_migrating() -> bool {
    let mut migrating = false;
    with_pen(|pen| migrating = pen.purpose == Purpose::Migration);
    migrating
}

/// A write section: `start` before the lock was tried, `end` just before it was unlocked,
/// `released` just after.
pub(crate) fn wrote(zspage: u32, start: Instant, end: Instant, released: Instant) {
    with_pen(|pen| {
        let kind = Kind::Wrote(pen.purpose);
        let released = pen.since(released);
        pen.write(Event {
            released,
            ..pen.event(kind, zspage, start, end)
        });
    });
}

/// A write lock that was not to be had.
pub(crate) fn refused(zspage: u32, start: Instant, end: Instant) {
    with_pen(|pen| pen.write(pen.event(Kind::Refused(pen.purpose), zspage, start, end)));
}

pub(crate) fn waited(zspage: u32, start: Instant, end: Instant) {
    with_pen(|pen| pen.write(pen.event(Kind::Waited, zspage, start, end)));
}

/// A released read lock. Only those `worth_telling` become events; there are hundreds of thousands
/// a second.
pub(crate) fn held(zspage: u32, start: Instant, worth_telling: impl FnOnce(Duration) -> bool) {
    with_pen(|pen| {
        pen.lane.held += 1;
        let end = Instant::now();
        if worth_telling(end.duration_since(start)) {
            pen.write(pen.event(Kind::Held, zspage, start, end));
        }
    });
}

impl Pen {
    fn since(&self, at: Instant) -> u64 {
        at.saturating_duration_since(self.began).as_nanos() as u64
    }

    fn event(&self, kind: Kind, zspage: u32, start: Instant, end: Instant) -> Event {
        Event::new(kind, zspage, self.since(start), self.since(end))
    }

    fn write(&mut self, event: Event) {
        self.lane.add(event);
    }
}

/// Threads outside the run (loading, verifying) have no pen and write nothing.
fn with_pen(write: impl FnOnce(&mut Pen)) {
    // A guard may be dropped by a thread whose thread-locals are gone already; there is nothing to
    // record then.
    let _ = PEN.try_with(|pen| {
        if let Some(pen) = pen.borrow_mut().as_mut() {
            write(pen);
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn purposes_end_and_times_count_from_the_beginning() {
        let began = Instant::now();
        let at = |ns| began + Duration::from_nanos(ns);
        let (lane, result) = recording(Lane::new("m".into(), Role::Migrator), began, || {
            with_purpose(Purpose::Migration, || {
                wrote(3, at(100), at(250), at(260));
                refused(4, at(300), at(310));
            });
            wrote(5, at(400), at(401), at(401));
            "done"
        });
        assert_eq!(result, "done");
        let kinds: Vec<_> = lane
            .events
            .iter()
            .map(|e| (e.kind, e.zspage, e.start, e.end))
            .collect();
        assert_eq!(
            kinds,
            [
                (Kind::Wrote(Purpose::Migration), 3, 100, 250),
                (Kind::Refused(Purpose::Migration), 4, 300, 310),
                (Kind::Wrote(Purpose::Other), 5, 400, 401),
            ]
        );
        assert_eq!((lane.refused_migrations, lane.migrations.len()), (1, 1));
    }

    #[test]
    fn a_write_section_may_last_until_its_unlock_has_returned() {
        let event = Event {
            released: 25,
            ..Event::new(Kind::Wrote(Purpose::Other), 1, 10, 20)
        };
        assert_eq!(event.length(), 10);
        assert!(event.overlaps(0, 10) && event.overlaps(25, 30));
        assert!(!event.overlaps(0, 9) && !event.overlaps(26, 30));
    }

    #[test]
    fn a_thread_without_a_pen_writes_nothing() {
        let now = Instant::now();
        waited(1, now, now);
        let (lane, ()) = recording(Lane::new("r".into(), Role::Reader), now, || ());
        assert!(lane.events.is_empty());
    }

    #[test]
    fn figures_stay_exact_beyond_the_bound() {
        let mut lane = Lane::new("r".into(), Role::Reader);
        let event = Event::new(Kind::Waited, 0, 0, 10);
        for _ in 0..MAX_EVENTS + 5 {
            lane.add(event);
        }
        assert_eq!((lane.events.len(), lane.dropped), (MAX_EVENTS, 5));
        assert_eq!(lane.waits.len(), MAX_EVENTS as u64 + 5);
    }
}
