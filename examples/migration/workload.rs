//! The threads of the run: readers, sleepers, a churner and the migrator, all on one pool.

use std::thread;
use std::time::{Duration, Instant};

use zsalloc::{AllocError, MigrateError, Pool};

use crate::events::{Lane, Record, Role, recording};
use crate::roles;
use crate::sample::Sample;
use crate::store::{Checks, Object, ZspageLock};
use examples::rng::Rng;

/// How often the size of pool and process is noted.
const SAMPLE_EVERY: Duration = Duration::from_millis(10);
/// Who takes part, and for how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Crew {
    pub(crate) readers: u32,
    pub(crate) sleepers: u32,
    pub(crate) duration: Duration,
    pub(crate) seed: u64,
}

/// What a thread did, or all of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) checks: Checks,
    /// By the churner.
    pub(crate) freed: u64,
    pub(crate) inserted: u64,
    /// By the migrator.
    pub(crate) moved: u64,
    pub(crate) refused: u64,
    pub(crate) compactions: u64,
    pub(crate) pages_freed: u64,
    pub(crate) objects_moved: u64,
}

impl Tally {
    fn add(&mut self, other: Tally) {
        self.checks.maps += other.checks.maps;
        self.checks.mismatches += other.checks.mismatches;
        self.freed += other.freed;
        self.inserted += other.inserted;
        self.moved += other.moved;
        self.refused += other.refused;
        self.compactions += other.compactions;
        self.pages_freed += other.pages_freed;
        self.objects_moved += other.objects_moved;
    }
}

/// The run, told.
#[derive(Debug)]
pub(crate) struct Outcome {
    pub(crate) record: Record,
    pub(crate) tally: Tally,
}

/// What stops a run early.
#[derive(Debug)]
pub(crate) enum RunError {
    Alloc(AllocError),
    Migrate(MigrateError),
    /// A thread of this name panicked.
    Panicked(String),
}

impl Crew {
    /// An empty lane for every thread, readers first and the migrator last.
    pub(crate) fn lanes(&self) -> Vec<Lane> {
        let numbered =
            |name, count, role| (0..count).map(move |i| Lane::new(format!("{name} {i}"), role));
        let mut lanes: Vec<Lane> = numbered("reader", self.readers, Role::Reader).collect();
        lanes.extend(numbered("sleeper", self.sleepers, Role::Sleeper));
        lanes.push(Lane::new("churner".to_owned(), Role::Churner));
        lanes.push(Lane::new("migrator".to_owned(), Role::Migrator));
        lanes
    }
}

/// Lets everybody work on `pool` for the crew's duration. The churner owns a quarter of `objects`,
/// which come and go; all threads share the others.
pub(crate) fn run<L: ZspageLock>(
    pool: &Pool<L>,
    objects: &mut Vec<Object>,
    crew: Crew,
    lanes: Vec<Lane>,
) -> Result<Outcome, RunError> {
    let stage = Stage {
        pool,
        began: Instant::now(),
        crew,
    };
    let mut churned = objects.split_off(objects.len() - objects.len() / 4);
    let shared = objects.as_slice();
    let mut churner = Some(&mut churned);
    let outcome = thread::scope(|scope| {
        let mut threads = Vec::new();
        for (seat, lane) in lanes.into_iter().enumerate() {
            let work: Work<'_> = match lane.role {
                Role::Reader => Box::new(move |rng| Ok(roles::read(stage, shared, rng))),
                Role::Sleeper => Box::new(move |rng| Ok(roles::sleep(stage, shared, rng))),
                Role::Churner => {
                    let own = churner.take().expect("there is one churner");
                    Box::new(move |rng| roles::churn(stage, shared, own, rng))
                }
                Role::Migrator => Box::new(move |_| roles::migrate(stage)),
            };
            let name = lane.name.clone();
            let mut rng = Rng::for_lane(crew.seed, seat);
            threads.push((
                name,
                scope.spawn(move || recording(lane, stage.began, || work(&mut rng))),
            ));
        }
        let samples = sample_sizes(stage);
        let mut record = Record {
            lanes: Vec::new(),
            samples,
            length: 0,
        };
        let mut tally = Tally::default();
        for (name, thread) in threads {
            let (lane, done) = thread.join().map_err(|_| RunError::Panicked(name))?;
            record.lanes.push(lane);
            tally.add(done?);
        }
        record.length = stage.began.elapsed().as_nanos() as u64;
        Ok(Outcome { record, tally })
    });
    objects.append(&mut churned);
    outcome
}

/// The work of one thread.
type Work<'a> = Box<dyn FnOnce(&mut Rng) -> Result<Tally, RunError> + Send + 'a>;

/// What every thread of the run knows.
#[derive(Debug)]
pub(crate) struct Stage<'a, L: ZspageLock> {
    pub(crate) pool: &'a Pool<L>,
    began: Instant,
    crew: Crew,
}

// Derived implementations would ask for `L: Copy`.
impl<L: ZspageLock> Clone for Stage<'_, L> {
    fn clone(&self) -> Self {
        *self
    }
}
impl<L: ZspageLock> Copy for Stage<'_, L> {}

impl<L: ZspageLock> Stage<'_, L> {
    fn time_left(&self) -> Option<Duration> {
        self.crew
            .duration
            .checked_sub(self.began.elapsed())
            .filter(|left| !left.is_zero())
    }

    pub(crate) fn goes_on(&self) -> bool {
        self.time_left().is_some()
    }

    /// Sleeps, but not beyond the end of the run.
    pub(crate) fn sleep(&self, time: Duration) {
        thread::sleep(time.min(self.time_left().unwrap_or_default()));
    }
}

/// Notes the sizes until the time is up.
fn sample_sizes<L: ZspageLock>(stage: Stage<'_, L>) -> Vec<Sample> {
    let mut samples = Vec::new();
    loop {
        samples.push(Sample::of(
            stage.pool,
            stage.began.elapsed().as_nanos() as u64,
        ));
        if !stage.goes_on() {
            return samples;
        }
        stage.sleep(SAMPLE_EVERY);
    }
}
