//! Every window of a run, disturbed or not, every count, and what the system takes, one a line.

use std::fmt::Write;

use super::bound::Floor;
use super::instructions::Count;
use super::run::Sample;
use super::system::Pages;

/// The file. No field needs quotes: names have no commas.
#[must_use]
pub fn render(samples: &[Sample], counts: &[Count], pages: &[Pages], floor: &Floor) -> String {
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
    let figure = |what: &str, how: &str, figure: f64, unit: &str| {
        format!(",{what},{how},{figure:.3},{unit},,\n")
    };
    for page in pages {
        let run = page.run;
        file += &figure("page-fault", &format!("{run} a call"), page.fault, "ns");
        file += &figure("page-back", &format!("{run} a call"), page.back, "ns");
        if let Some(ahead) = page.ahead {
            file += &figure("page-ahead", &format!("{run} a call"), ahead, "ns");
        }
    }
    for (what, how, value, unit) in [
        ("object", "pages", floor.pages, "pages"),
        ("object", "zspages", floor.zspages, "zspages"),
        ("object-fault", "all", floor.fault, "ns"),
        ("object-back", "1 zspage a call", floor.one, "ns"),
        ("object-back", "64 zspages a call", floor.many, "ns"),
        ("object-back", "1024 pages a call", floor.all, "ns"),
        ("gained-page", "copy", floor.copy, "ns"),
        ("gained-page", "back", floor.gained, "ns"),
    ] {
        file += &figure(what, how, value, unit);
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
        let pages = [Pages {
            run: 16,
            fault: 1100.0,
            ahead: Some(1000.0),
            back: 300.5,
        }];
        let floor = Floor {
            pages: 0.5,
            zspages: 0.25,
            fault: 600.0,
            one: 300.0,
            many: 100.0,
            all: 80.0,
            beyond: 0.2,
            copy: 400.0,
            gained: 300.0,
        };
        let file = render(&samples, &counts, &pages, &floor);
        let lines: Vec<&str> = file.lines().collect();
        assert_eq!(
            lines[1],
            "3,free-all,retaining 32 MiB,12.000,ns,0.2500,true"
        );
        assert_eq!(lines[2], ",hot,atomic pair,4.00,instructions,,");
        assert!(lines.contains(&",page-back,16 a call,300.500,ns,,"));
        assert!(lines.contains(&",object-back,64 zspages a call,100.000,ns,,"));
        assert!(lines.iter().all(|line| line.split(',').count() == 7));
    }
}
