//! Every window of a run, disturbed or not, and every count, one a line.

use std::fmt::Write;

use super::instructions::Count;
use super::run::Sample;

/// The file. No field needs quotes: names have no commas.
#[must_use]
pub fn render(samples: &[Sample], counts: &[Count]) -> String {
    let mut file = String::from("round,row,contender,figure,unit,foreign_share,dropped\n");
    for sample in samples {
        writeln!(
            file,
            "{},{},{},{:.3},ns,{:.4},{}",
            sample.round,
            sample.row.word(),
            sample.contender.name(),
            sample.window.nanoseconds(),
            sample.window.foreign(),
            sample.window.is_disturbed(),
        )
        .expect("writing to a string");
    }
    for count in counts {
        writeln!(
            file,
            ",{},{},{:.2},instructions,,",
            count.row.word(),
            count.contender.name(),
            count.instructions,
        )
        .expect("writing to a string");
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::allocator::contender::Contender;
    use crate::allocator::ratio::tests::sample;
    use crate::allocator::row::Row;

    #[test]
    fn every_line_has_every_field() {
        let samples = [sample(3, (Row::FreeAll, Contender::Retaining), 12, 0.25)];
        let counts = [Count {
            row: Row::Hot,
            contender: Contender::Pair,
            instructions: 4.0,
        }];
        let file = render(&samples, &counts);
        let lines: Vec<&str> = file.lines().collect();
        assert_eq!(
            lines[1],
            "3,free-all,retaining 32 MiB,12.000,ns,0.2500,true"
        );
        assert_eq!(lines[2], ",hot,atomic pair,4.00,instructions,,");
        assert!(lines.iter().all(|line| line.split(',').count() == 7));
    }
}
