//! The same figures with few objects and with many: what an object takes, of memory and of time, should not depend on how
//! many there are.

use std::path::Path;

use rustix::time::{ClockId, clock_gettime};

use super::blobs::Blobs;
use super::breakdown::Explained;
use super::contender::Contender;
use super::launch::Child;
use super::shelf::Shelf;
use crate::stats::median;
use crate::work::Dice;

/// Who grows.
pub const CONTENDERS: [Contender; 3] =
    [Contender::Glibc, Contender::Adaptive, Contender::Automatic];

/// So many objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Load {
    /// For arguments and files.
    pub word: &'static str,
    /// For tables.
    pub title: &'static str,
    /// Objects.
    pub objects: usize,
    /// Whether they are small, or compressed pages.
    pub small: bool,
}

impl Load {
    /// From few to many.
    pub const ALL: [Self; 4] = [
        Self::of_pages("16-mib", "16 MiB of pages", 16),
        Self::of_pages("128-mib", "128 MiB of pages", 128),
        Self::of_pages("2-gib", "2 GiB of pages", 2048),
        Self {
            word: "small",
            title: "10 million objects of 16 to 128 bytes",
            objects: 10_000_000,
            small: true,
        },
    ];

    const fn of_pages(word: &'static str, title: &'static str, mib: usize) -> Self {
        Self {
            word,
            title,
            objects: mib * 256,
            small: false,
        }
    }

    /// The load of that word.
    #[must_use]
    pub fn of_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.word == word)
    }
}

/// What a child says of itself.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Told {
    /// The bytes of the objects.
    pub live: u64,
    /// Nanoseconds of its thread for each object: to store it,
    pub put: f64,
    /// to read it, in random order,
    pub get: f64,
    /// and to free it, in random order.
    pub del: f64,
}

impl Told {
    fn line(&self) -> String {
        format!("grown {} {} {} {}", self.live, self.put, self.get, self.del)
    }

    fn parse(line: &str) -> Option<Self> {
        let words: Vec<&str> = line.split_whitespace().collect();
        let ["grown", live, times @ ..] = &words[..] else {
            return None;
        };
        let times: Result<Vec<f64>, _> = times.iter().map(|word| word.parse()).collect();
        let [put, get, del] = times.ok()?.try_into().ok()?;
        Some(Self {
            live: live.parse().ok()?,
            put,
            get,
            del,
        })
    }
}

/// What a child does: stores, reads and frees. `tell` says a line and waits until somebody has looked.
///
/// # Errors
///
/// Those of `tell`, and if an object changed.
pub fn perform<S>(
    load: Load,
    blobs: &Blobs,
    new: impl FnOnce() -> S,
    mut tell: impl FnMut(&str) -> Result<(), String>,
) -> Result<(), String>
where
    S: Explained + Sync,
    S::Key: Send,
{
    let mut shelf = Shelf::with_places(blobs, load.objects, 1);
    tell(&Told::default().line())?;
    let store = new();
    let each = |nanoseconds: u64| nanoseconds as f64 / load.objects as f64;
    let mut told = Told {
        put: each(timed(|| shelf.fill(&store))),
        get: each(timed(|| shelf.read(&store))),
        ..Told::default()
    };
    shelf.verify(&store)?;
    told.live = shelf.live().1;
    tell(&told.line())?;
    told.del = each(timed(|| shelf.empty(&store, (0, 4))));
    tell(&told.line())
}

/// The nanoseconds that this thread ran: others on the same processor do not count.
fn timed(work: impl FnOnce()) -> u64 {
    let now = || {
        let now = clock_gettime(ClockId::ThreadCPUTime);
        now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
    };
    let start = now();
    work();
    now() - start
}

/// One child, seen.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// In which round.
    pub round: u32,
    /// Who.
    pub contender: Contender,
    /// How many objects.
    pub load: Load,
    /// What it said.
    pub told: Told,
    /// Its memory with all objects beyond that before the store existed, in bytes.
    pub grown: u64,
    /// And after all were freed.
    pub left: u64,
}

/// Runs `rounds` rounds with `program`, which is this program; every child in an order that is shuffled anew.
///
/// # Errors
///
/// In words, if a child does not do what it should.
pub fn run(
    program: &Path,
    rounds: u32,
    blobs: &Blobs,
    mut progress: impl FnMut(usize, usize, &str),
) -> Result<Vec<Sample>, String> {
    let small = blobs.cut(16..=128);
    let loads = Load::ALL.into_iter();
    let mut tasks: Vec<_> = loads
        .flat_map(|load| CONTENDERS.map(|contender| (contender, load)))
        .collect();
    let all = tasks.len() * rounds as usize;
    let mut samples = Vec::new();
    for round in 0..rounds {
        Dice::new(u64::from(round)).shuffle(&mut tasks);
        for &(contender, load) in &tasks {
            let name = contender.name();
            progress(samples.len(), all, &format!("{name}, {}", load.title));
            let blobs = if load.small { &small } else { blobs };
            let sample = observe(program, contender, load, blobs)
                .map_err(|error| format!("{name}, {}: {error}", load.word))?;
            samples.push(Sample { round, ..sample });
        }
    }
    Ok(samples)
}

fn observe(
    program: &Path,
    contender: Contender,
    load: Load,
    blobs: &Blobs,
) -> Result<Sample, String> {
    let mut child = Child::start(program, &["grow", contender.name(), load.word], blobs)?;
    let (_, before) = child.look()?;
    let (_, grown) = child.look()?;
    let (line, left) = child.look()?;
    let told = Told::parse(&line).filter(|told| told.live > 0);
    Ok(Sample {
        round: 0,
        contender,
        load,
        told: told.ok_or_else(|| format!("it said {line:?}"))?,
        grown: grown.saturating_sub(before),
        left: left.saturating_sub(before),
    })
}

/// The median over rounds of what `figure` makes of a sample.
#[must_use]
pub fn of(
    samples: &[Sample],
    load: Load,
    contender: Contender,
    figure: impl Fn(&Sample) -> f64,
) -> Option<f64> {
    let those = |sample: &&Sample| (sample.load, sample.contender) == (load, contender);
    median(samples.iter().filter(those).map(figure).collect())
}

#[cfg(test)]
mod tests {
    use zsalloc::Pool;

    use super::*;
    use crate::density::blobs::tests::blobs;

    #[test]
    fn loads_have_words() {
        for load in Load::ALL {
            assert_eq!(Load::of_word(load.word), Some(load));
        }
    }

    #[test]
    fn a_child_stores_reads_and_frees() {
        let load = Load {
            objects: 1000,
            ..Load::ALL[0]
        };
        let mut lines = Vec::new();
        let tell = |line: &str| {
            lines.push(Told::parse(line).unwrap());
            Ok(())
        };
        perform(load, &blobs(100, 30), Pool::new, tell).unwrap();
        assert_eq!(lines[0], Told::default());
        assert_eq!((lines[1].live, lines[2].live), (100_000, 100_000));
        assert!(lines[1].put > 0.0 && lines[1].get > 0.0);
        assert!(lines[1].del == 0.0 && lines[2].del > 0.0);
        assert_eq!(Told::parse("grown 1 2 3"), None);
    }
}
