//! Rounds of windows: every contender once a cell and round, in an order that is shuffled anew each time.
//!
//! The windows that a ratio compares are therefore neighbours in time, and no contender always runs first.

use std::time::{Duration, Instant};

use crate::cell::Cell;
use crate::contender::Contender;
use crate::floor::BareAtomics;
use crate::peers::{Gated, ParkingLot, ParkingLot012, Plain, Sharded, Spin, Std, Usync};
use crate::window::{self, Window};
use crate::work::{Dice, Work};

/// A contender without its type.
#[derive(Clone, Copy, Debug)]
pub struct Peer {
    /// [`Contender::NAME`].
    pub name: &'static str,
    /// [`Contender::BYTES`].
    pub bytes: usize,
    excludes: bool,
    measure: fn(Cell, Duration, Work, u64) -> Window,
    time: fn(Cell, u64, Work) -> Duration,
}

impl Peer {
    /// All, in the order of the report.
    pub const ALL: [Self; 9] = [
        Self::of::<Plain>(),
        Self::of::<Gated>(),
        Self::of::<ParkingLot>(),
        Self::of::<ParkingLot012>(),
        Self::of::<Std>(),
        Self::of::<Spin>(),
        Self::of::<Usync>(),
        Self::of::<Sharded>(),
        Self::of::<BareAtomics>(),
    ];

    const fn of<C: Contender>() -> Self {
        Self {
            name: C::NAME,
            bytes: C::BYTES,
            excludes: C::EXCLUDES,
            measure: window::measure::<C>,
            time: window::time::<C>,
        }
    }

    /// Whether the cell makes sense for it.
    #[must_use]
    pub const fn takes_part_in(&self, cell: Cell) -> bool {
        self.excludes || !cell.needs_exclusion()
    }

    /// How long `operations` of `cell` take, see [`window::time`].
    #[must_use]
    pub fn time(&self, cell: Cell, operations: u64, work: Work) -> Duration {
        (self.time)(cell, operations, work)
    }
}

/// How much to measure.
#[derive(Clone, Debug)]
pub struct Plan {
    /// The rows.
    pub cells: Vec<Cell>,
    /// How often each is measured with each contender.
    pub rounds: u32,
    /// How long one uncontended window takes; others take a multiple.
    pub window: Duration,
}

impl Plan {
    /// A third of the rounds is enough for the longest wait, whose windows are long.
    fn is_due(cell: Cell, round: u32) -> bool {
        cell != Cell::LongestWait || round.is_multiple_of(3)
    }

    /// Eight threads need long windows: a turn of the scheduler takes milliseconds, and a tick of `/proc/stat` ten.
    #[must_use]
    pub fn length(&self, cell: Cell) -> Duration {
        self.window
            * match cell {
                Cell::LongestWait => 10,
                Cell::Oversubscribed => 4,
                _ => 1,
            }
    }

    /// What is left to do from `round` on.
    fn duration_from(&self, round: u32) -> Duration {
        (round..self.rounds)
            .flat_map(|round| {
                self.cells
                    .iter()
                    .filter(move |cell| Self::is_due(**cell, round))
            })
            .map(|&cell| {
                let peers = Peer::ALL.iter().filter(|peer| peer.takes_part_in(cell));
                self.length(cell) * peers.count() as u32
            })
            .sum()
    }
}

/// One window of a run.
#[derive(Clone, Copy, Debug)]
pub struct Sample {
    /// In which round.
    pub round: u32,
    /// What was timed.
    pub cell: Cell,
    /// [`Peer::name`].
    pub peer: &'static str,
    /// What it showed.
    pub window: Window,
}

/// Measures all that `plan` asks for. `progress` is told before each round: its number and what is left.
pub fn run(plan: &Plan, mut progress: impl FnMut(u32, Duration)) -> Vec<Sample> {
    let work = Work::lasting(Duration::from_micros(1));
    let mut dice = Dice::new(2025);
    let mut samples = Vec::new();
    let started = Instant::now();
    for round in 0..plan.rounds {
        // The plan's durations, stretched by what the rounds so far have taken over theirs.
        let left = plan.duration_from(round);
        let planned = plan.duration_from(0) - left;
        let stretch = if planned.is_zero() {
            1.0
        } else {
            started.elapsed().as_secs_f64() / planned.as_secs_f64()
        };
        progress(round, left.mul_f64(stretch));
        for &cell in plan.cells.iter().filter(|cell| Plan::is_due(**cell, round)) {
            let mut peers = Peer::ALL;
            dice.shuffle(&mut peers);
            for peer in peers.iter().filter(|peer| peer.takes_part_in(cell)) {
                let seed = dice.roll(1 << 32);
                samples.push(Sample {
                    round,
                    cell,
                    peer: peer.name,
                    window: (peer.measure)(cell, plan.length(cell), work, seed),
                });
            }
        }
    }
    samples
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_peer_has_one_window_a_round_of_each_cell_that_it_can_do() {
        let plan = Plan {
            cells: vec![Cell::Read, Cell::Mixed],
            rounds: 2,
            window: Duration::from_millis(1),
        };
        let mut told = Vec::new();
        let samples = run(&plan, |round, left| told.push((round, left)));
        assert_eq!(told.len(), 2);
        assert!(told[0].1 == Duration::from_millis(2 * (9 + 8)), "{told:?}");
        for peer in Peer::ALL {
            for cell in [Cell::Read, Cell::Mixed] {
                let windows = samples
                    .iter()
                    .filter(|sample| sample.peer == peer.name && sample.cell == cell);
                let expected = if peer.takes_part_in(cell) { 2 } else { 0 };
                assert_eq!(windows.count(), expected, "{} in {cell:?}", peer.name);
            }
        }
        let order = |round| -> Vec<&str> {
            let of_round = samples
                .iter()
                .filter(|sample| sample.round == round && sample.cell == Cell::Read);
            of_round.map(|sample| sample.peer).collect()
        };
        assert_ne!(order(0), order(1), "the order changes from round to round");
    }
}
