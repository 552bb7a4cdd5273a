//! Every window of a run, disturbed or not, and every other figure, one a line.

use std::fmt::Write;

use super::instructions::Count;
use super::run::Samples;

/// The file. No field needs quotes: names have no commas.
#[must_use]
pub fn render(samples: &Samples, counts: &[Count]) -> String {
    let mut file = String::from("round,measured,contender,figure,unit,foreign_share,dropped\n");
    let mut line = |text: String| writeln!(file, "{text}").expect("writing to a string");
    for sample in &samples.windows {
        line(format!(
            "{},{},{},{:.3},ns,{:.4},{}",
            sample.round,
            sample.workload.word(),
            sample.contender.name(),
            sample.window.nanoseconds(),
            sample.window.foreign(),
            sample.window.is_disturbed(),
        ));
    }
    for sample in &samples.fresh {
        let figures = [
            ("median", sample.cost.median),
            ("p99", sample.cost.percentile_99),
            ("worst", sample.cost.worst),
        ];
        for (which, nanoseconds) in figures {
            line(format!(
                "{},new-{}-{which},{},{nanoseconds},ns,,",
                sample.round,
                sample.case.word(),
                sample.contender.name(),
            ));
        }
    }
    for sample in &samples.memory {
        line(format!(
            ",memory-{},{},{:.3},bytes,,",
            sample.kept.word(),
            sample.contender.name(),
            sample.bytes,
        ));
    }
    for count in counts {
        line(format!(
            ",{},{},{:.2},instructions,,",
            count.workload.word(),
            count.contender.name(),
            count.instructions,
        ));
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validator::contender::Contender;
    use crate::validator::ratio::tests::sample;
    use crate::validator::workload::Workload;

    #[test]
    fn every_line_has_every_field() {
        let timed = (Workload::OneClass, Contender::Lockdep);
        let samples = Samples {
            windows: vec![sample(3, timed, 12, 0.25)],
            ..Samples::default()
        };
        let counts = [Count {
            workload: Workload::Single,
            contender: Contender::LockdepOff,
            instructions: 25.0,
        }];
        let file = render(&samples, &counts);
        let lines: Vec<&str> = file.lines().collect();
        assert_eq!(lines[1], "3,one-class,lockdep,12.000,ns,0.2500,true");
        assert_eq!(lines[2], ",single,lockdep off,25.00,instructions,,");
        assert!(lines.iter().all(|line| line.split(',').count() == 7));
    }
}
