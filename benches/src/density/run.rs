//! Rounds: in each, every contender goes through every scenario once, in an order that is shuffled anew.

use std::path::Path;

use super::blobs::{Blobs, Codec};
use super::contender::Contender;
use super::launch::{self, Sight};
use super::scenario::{Phase, Scenario};
use crate::stats::median;
use crate::work::Dice;

/// One sight of a run.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// In which round.
    pub round: u32,
    /// Of whom.
    pub contender: Contender,
    /// How the pages were compressed.
    pub codec: Codec,
    /// What was seen.
    pub sight: Sight,
}

impl Sample {
    /// Resident bytes per live byte.
    #[must_use]
    pub fn ratio(&self) -> f64 {
        self.sight.grown as f64 / self.sight.answer.live as f64
    }
}

/// Runs `rounds` rounds with `program`, which is this program. `progress` is told what comes, as parts of all: done, all.
///
/// # Errors
///
/// As for [`launch::observe`].
pub fn run(
    program: &Path,
    rounds: u32,
    corpora: &[(Codec, Blobs)],
    mut progress: impl FnMut(usize, usize, &str),
) -> Result<Vec<Sample>, String> {
    let mut tasks = Vec::new();
    for &contender in Contender::ALL {
        for scenario in Scenario::ALL {
            // Where only the lock differs one scenario shows it.
            if scenario == Scenario::Random || !contender.differs_in_lock_only() {
                tasks.extend((0..corpora.len()).map(|corpus| (contender, scenario, corpus)));
            }
        }
    }
    let all = tasks.len() * rounds as usize;
    let mut samples = Vec::new();
    for round in 0..rounds {
        let mut dice = Dice::new(u64::from(round));
        dice.shuffle(&mut tasks);
        for (&(contender, scenario, corpus), done) in
            tasks.iter().zip(tasks.len() * round as usize..)
        {
            let (codec, blobs) = &corpora[corpus];
            let name = contender.name();
            progress(
                done,
                all,
                &format!("{name}, {}, {}", scenario.word(), codec.name()),
            );
            let sights = launch::observe(program, contender, scenario, u64::from(round), blobs)?;
            samples.extend(sights.into_iter().map(|sight| Sample {
                round,
                contender,
                codec: *codec,
                sight,
            }));
        }
    }
    Ok(samples)
}

/// The samples of a run, asked about.
#[derive(Clone, Copy, Debug)]
pub struct Sights<'a>(pub &'a [Sample]);

impl Sights<'_> {
    /// The median over rounds of what `figure` makes of a sample.
    #[must_use]
    pub fn median(
        &self,
        contender: Contender,
        codec: Codec,
        phase: Phase,
        figure: impl Fn(&Sample) -> f64,
    ) -> Option<f64> {
        let samples = self.0.iter().filter(|sample| {
            (sample.contender, sample.codec, sample.sight.answer.phase) == (contender, codec, phase)
        });
        median(samples.map(figure).collect())
    }

    /// Resident bytes per live byte.
    #[must_use]
    pub fn ratio(&self, contender: Contender, codec: Codec, phase: Phase) -> Option<f64> {
        self.median(contender, codec, phase, Sample::ratio)
    }

    /// Objects that a pool moved since the phase before, per replacement.
    #[must_use]
    pub fn moves(&self, contender: Contender, codec: Codec, phase: Phase) -> Option<f64> {
        self.median(contender, codec, phase, |sample| {
            let answer = &sample.sight.answer;
            answer.moves as f64 / answer.operations as f64
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::density::breakdown::Breakdown;
    use crate::density::child::Answer;

    /// A store of a million bytes that takes `grown`.
    pub(crate) fn sample(
        round: u32,
        contender: Contender,
        phase: Phase,
        grown: u64,
        breakdown: Breakdown,
    ) -> Sample {
        Sample {
            round,
            contender,
            codec: Codec::Lz4,
            sight: Sight {
                answer: Answer {
                    phase,
                    objects: 1000,
                    live: 1_000_000,
                    operations: 200,
                    moves: 50,
                    breakdown,
                },
                grown,
            },
        }
    }

    #[test]
    fn the_median_is_of_the_rounds_of_one_contender_and_phase() {
        let none = Breakdown::default();
        let samples: Vec<Sample> = [1_300_000, 1_100_000, 1_200_000]
            .into_iter()
            .zip(0..)
            .flat_map(|(grown, round)| {
                [
                    sample(round, Contender::Adaptive, Phase::Stored, grown, none),
                    sample(round, Contender::Glibc, Phase::Stored, 9_000_000, none),
                    sample(round, Contender::Adaptive, Phase::Churned, 9_000_000, none),
                ]
            })
            .collect();
        let sights = Sights(&samples);
        let ratio = sights.ratio(Contender::Adaptive, Codec::Lz4, Phase::Stored);
        assert!((ratio.unwrap() - 1.2).abs() < 1e-9);
        let moves = sights.moves(Contender::Adaptive, Codec::Lz4, Phase::Churned);
        assert!((moves.unwrap() - 0.25).abs() < 1e-9);
        let other = sights.ratio(Contender::Automatic, Codec::Lz4, Phase::Stored);
        assert_eq!(other, None);
    }
}
