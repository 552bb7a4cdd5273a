//! The report of growth in Markdown, and its samples as CSV.

use std::fmt::Write;

use super::growth::{CONTENDERS, Load, Sample, of};
use crate::machine::Machine;
use crate::table::Table;

/// The report.
#[must_use]
pub fn render(samples: &[Sample], rounds: u32, corpus: &str, machine: &Machine) -> String {
    let mut table = Table::new([
        "load",
        "allocator",
        "objects",
        "mean bytes",
        "resident / live",
        "overhead, bytes",
        "store, ns",
        "read, ns",
        "free, ns",
        "left, bytes",
    ]);
    for load in Load::ALL {
        for contender in CONTENDERS {
            let figure = |decimals: usize, figure: fn(&Sample) -> f64| {
                let median = of(samples, load, contender, figure);
                median.map_or_else(String::new, |median| format!("{median:.decimals$}"))
            };
            table.row(vec![
                load.title.to_owned(),
                contender.name().to_owned(),
                load.objects.to_string(),
                figure(0, |one| each(one, one.told.live as f64)),
                figure(3, |one| one.grown as f64 / one.told.live as f64),
                figure(1, |one| each(one, one.grown as f64 - one.told.live as f64)),
                figure(0, |one| one.told.put),
                figure(0, |one| one.told.get),
                figure(0, |one| one.told.del),
                figure(2, |one| each(one, one.left as f64)),
            ]);
        }
    }
    format!(
        "# From few objects to many\n\n{WHAT}\n\n{table}\n## How\n\n{}\n\n## Machine\n\n{machine}",
        how(rounds, corpus)
    )
}

fn each(sample: &Sample, of_all: f64) -> f64 {
    of_all / sample.load.objects as f64
}

fn how(rounds: u32, corpus: &str) -> String {
    format!(
        "{corpus}. Larger loads store the same pages again and again; the small objects are pieces of them. Each figure is the \
         median of {rounds} rounds; each allocator and load has a process of its own, whose memory is read from outside as \
         for `zsalloc-density.md`. All is of one object. Overhead: what is resident beyond the object's bytes. Times are of the \
         thread's processor time, the system's work for it included; objects are read (every 64th byte) and freed in random \
         order, so that time grows with what the processor's caches and its table of addresses (TLB) miss. Left: what is \
         resident when all objects are freed, without a call that gives memory back. \
         What does not stay flat: a pool has some tables whatever its size, and each of its hundred classes a last zspage that is \
         not full, which weighs less the more objects there are."
    )
}

const WHAT: &str = "What an object takes should not depend on how many there are. Written by `cargo run --release -p benches \
    --features allocators --bin density -- growth`.";

/// Every sample, one a line.
#[must_use]
pub fn csv(samples: &[Sample]) -> String {
    let mut file = String::from(
        "round,load,contender,objects,live_bytes,resident_bytes,left_bytes,store_ns,read_ns,free_ns\n",
    );
    for sample in samples {
        writeln!(
            file,
            "{},{},{},{},{},{},{},{:.1},{:.1},{:.1}",
            sample.round,
            sample.load.word,
            sample.contender.name(),
            sample.load.objects,
            sample.told.live,
            sample.grown,
            sample.left,
            sample.told.put,
            sample.told.get,
            sample.told.del,
        )
        .expect("writing to a string");
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::density::contender::Contender;
    use crate::density::growth::Told;

    #[test]
    fn figures_are_of_one_object() {
        let sample = Sample {
            round: 0,
            contender: Contender::Adaptive,
            load: Load::ALL[0],
            told: Told {
                live: 4_096_000,
                put: 101.0,
                get: 102.0,
                del: 103.0,
            },
            grown: 4_505_600,
            left: 8192,
        };
        let report = render(&[sample], 1, "Few", &Machine::here());
        let line = report.lines().find(|line| line.contains("adaptive"));
        let cells: Vec<&str> = line.unwrap().split('|').map(str::trim).collect();
        let expected = [
            "4096", "1000", "1.100", "100.0", "101", "102", "103", "2.00",
        ];
        assert_eq!(cells[3..11], expected);
        let file = csv(&[sample]);
        let (head, line) = file.trim_end().split_once('\n').unwrap();
        assert_eq!(head.split(',').count(), line.split(',').count());
    }
}
