//! Every window of a run, disturbed or not, one a line.

use std::fmt::Write;

use crate::run::Sample;

/// The file. No field needs quotes: names have no commas.
#[must_use]
pub fn render(samples: &[Sample]) -> String {
    let mut file = String::from(
        "round,row,lock,operations,elapsed_ns,longest_wait_ns,foreign_share,dropped\n",
    );
    for sample in samples {
        let window = &sample.window;
        writeln!(
            file,
            "{},{},{},{},{},{},{:.4},{}",
            sample.round,
            sample.cell.name(),
            sample.peer,
            window.operations,
            window.elapsed.as_nanos(),
            window.longest_wait.as_nanos(),
            window.foreign,
            window.is_disturbed(),
        )
        .expect("writing to a string");
    }
    file
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cell::Cell;
    use crate::run::Peer;
    use crate::stats::tests::sample;

    #[test]
    fn every_window_is_a_line() {
        let samples = [
            sample(0, Cell::Read, "zslock", 4.0, 0.0),
            sample(1, Cell::Read, "zslock", 5.0, 0.25),
        ];
        let file = render(&samples);
        let lines: Vec<&str> = file.lines().collect();
        assert_eq!(lines.len(), 3);
        assert_eq!(
            lines[1],
            "0,read,zslock,1000000,4000000,4000000,0.0000,false"
        );
        assert_eq!(
            lines[2],
            "1,read,zslock,1000000,5000000,5000000,0.2500,true"
        );
    }

    #[test]
    fn no_name_needs_quotes() {
        for peer in Peer::ALL {
            assert!(!peer.name.contains([',', '"', '\n']), "{}", peer.name);
        }
    }
}
