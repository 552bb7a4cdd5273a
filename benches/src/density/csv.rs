//! Every sight of a run, one a line.

use std::fmt::Write;

use super::run::Sample;

/// The file. No field needs quotes: names have no commas.
#[must_use]
pub fn render(samples: &[Sample]) -> String {
    let mut file = String::from(
        "round,codec,contender,phase,objects,live_bytes,resident_bytes,ratio,operations,moves,rounding,tails,free_slots,\
         metadata,freeable,gaps\n",
    );
    for sample in samples {
        let answer = &sample.sight.answer;
        write!(
            file,
            "{},{},{},{},{},{},{},{:.5},{},{}",
            sample.round,
            sample.codec.name(),
            sample.contender.name(),
            answer.phase.word(),
            answer.objects,
            answer.live,
            sample.sight.grown,
            sample.ratio(),
            answer.operations,
            answer.moves,
        )
        .expect("writing to a string");
        for number in answer.breakdown.to_array() {
            write!(file, ",{number}").expect("writing to a string");
        }
        file.push('\n');
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::density::breakdown::Breakdown;
    use crate::density::contender::Contender;
    use crate::density::run::tests::sample;
    use crate::density::scenario::Phase;

    #[test]
    fn every_sight_is_a_line() {
        let breakdown = Breakdown::from_array([1, 2, 3, 4, 5, 6]);
        let (contender, phase) = (Contender::Adaptive, Phase::Churned);
        let file = render(&[sample(0, contender, phase, 1_234_000, breakdown)]);
        let (head, line) = file.trim_end().split_once('\n').unwrap();
        assert_eq!(
            line,
            "0,lz4,adaptive,churned,1000,1000000,1234000,1.23400,200,50,1,2,3,4,5,6"
        );
        assert_eq!(head.split(',').count(), line.split(',').count());
    }
}
