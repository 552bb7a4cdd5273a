//! What each thread of the run does until the time is up.

use std::collections::VecDeque;
use std::ops::Range;
use std::time::Duration;

use zsalloc::{MigrateError, ZspageId};

use crate::events::{Purpose, with_purpose};
use crate::store::{Object, ZspageLock};
use crate::workload::{RunError, Stage, Tally};
use examples::rng::Rng;

/// How long a sleeper sleeps while it holds a map, and about how long it then rests without one.
const SLEEP_MS: Range<u64> = 5..60;
/// The churner works in small bursts: a few operations, then a short rest.
const BURST: usize = 8;
const REST: Duration = Duration::from_millis(1);
/// Objects that get three quarters of the readers' maps.
const HOT_OBJECTS: usize = 32;
/// Zspages that the migrator takes for hot at a time.
const HOT_ZSPAGES: usize = 32;
/// Zspages of the sweep between two visits to the hot ones.
const STRIDE: usize = 16;

/// Maps one object after the other and checks it. Three maps of four are of a few hot objects.
pub(crate) fn read<L: ZspageLock>(stage: Stage<'_, L>, objects: &[Object], rng: &mut Rng) -> Tally {
    let mut tally = Tally::default();
    let hot = HOT_OBJECTS.min(objects.len());
    while stage.goes_on() {
        let among = if rng.below(4) == 0 {
            objects.len()
        } else {
            hot
        };
        tally
            .checks
            .note(objects[rng.index(among)].check(stage.pool));
    }
    tally
}

/// Maps an object, sleeps, and only then looks at it: the bytes must be where the map found them.
pub(crate) fn sleep<L: ZspageLock>(
    stage: Stage<'_, L>,
    objects: &[Object],
    rng: &mut Rng,
) -> Tally {
    let mut tally = Tally::default();
    while stage.goes_on() {
        let object = &objects[rng.index(objects.len())];
        let (nap, rest) = (some_time(rng), some_time(rng) / 2);
        tally
            .checks
            .note(object.restore(stage.pool, |_| stage.sleep(nap)));
        stage.sleep(rest);
    }
    tally
}

fn some_time(rng: &mut Rng) -> Duration {
    Duration::from_millis(SLEEP_MS.start + rng.below(SLEEP_MS.end - SLEEP_MS.start))
}

/// Frees a half of its own objects bit by bit, inserts as many again, and so on: the load of a pool
/// comes and goes.
pub(crate) fn churn<L: ZspageLock>(
    stage: Stage<'_, L>,
    objects: &[Object],
    own: &mut Vec<Object>,
    rng: &mut Rng,
) -> Result<Tally, RunError> {
    let mut tally = Tally::default();
    let (most, least) = (own.len().max(1), own.len() / 2);
    let mut growing = false;
    while stage.goes_on() {
        for _ in 0..BURST {
            growing = if growing {
                own.len() < most
            } else {
                own.len() <= least
            };
            if growing {
                let model = &objects[rng.index(objects.len())];
                let mut bytes = Vec::new();
                let matches = model.restore(stage.pool, |object| bytes.extend_from_slice(object));
                tally.checks.note(matches);
                own.push(
                    model
                        .duplicate(stage.pool, &bytes)
                        .map_err(RunError::Alloc)?,
                );
                tally.inserted += 1;
            } else {
                let object = own.swap_remove(rng.index(own.len()));
                tally.checks.note(object.restore(stage.pool, |_| ()));
                stage.pool.free(object.handle);
                tally.freed += 1;
            }
        }
        stage.sleep(REST);
    }
    Ok(tally)
}

/// Sweeps over all zspages and moves each to other pages, coming back to the hot ones in between;
/// compacts after every sweep. A zspage with a map is left alone: nothing waits here.
pub(crate) fn migrate<L: ZspageLock>(stage: Stage<'_, L>) -> Result<Tally, RunError> {
    let mut tally = Tally::default();
    let mut hot = Hot::default();
    let mut swept = 0;
    while stage.goes_on() {
        let zspages: Vec<_> = stage.pool.zspages().collect();
        zspages
            .iter()
            .filter(|zspage| zspage.mapped)
            .for_each(|zspage| hot.note(zspage.id));
        let next = zspages
            .iter()
            .skip(swept)
            .take(STRIDE)
            .map(|zspage| zspage.id);
        for id in next.chain(hot.recent.iter().copied()) {
            match with_purpose(Purpose::Migration, || stage.pool.migrate(id)) {
                Ok(()) => tally.moved += 1,
                Err(MigrateError::Busy) => tally.refused += 1,
                // Emptied and given back since it was listed.
                Err(MigrateError::Gone) => {}
                Err(error) => return Err(RunError::Migrate(error)),
            }
        }
        swept += STRIDE;
        if swept >= zspages.len() {
            let report = with_purpose(Purpose::Compaction, || stage.pool.compact());
            tally.compactions += 1;
            tally.pages_freed += report.pages_freed as u64;
            tally.objects_moved += report.objects_moved as u64;
            swept = 0;
        }
    }
    Ok(tally)
}

/// The zspages that were found mapped lately, at most [`HOT_ZSPAGES`] of them. Looking now and then
/// whether something is in use is how tiering finds hot memory too (the kernel's DAMON samples
/// accessed bits), and it moves the hot parts most.
#[derive(Debug, Default)]
struct Hot {
    recent: VecDeque<ZspageId>,
}

impl Hot {
    fn note(&mut self, id: ZspageId) {
        if !self.recent.contains(&id) {
            self.recent.push_back(id);
            if self.recent.len() > HOT_ZSPAGES {
                self.recent.pop_front();
            }
        }
    }
}
