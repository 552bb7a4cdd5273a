//! Runs one uncontended operation of one lock so many times and does nothing else: for `ci/instructions.sh`, which counts
//! the instructions of two runs and takes the difference.

use std::process::ExitCode;

use benches::cell::{Cell, Worker};
use benches::contender::Contender;
use benches::floor::{HandWritten, Unlocked};
use benches::peers::{Gated, ParkingLot, Plain};
use benches::work::Work;

const USAGE: &str = "usage: instructions read|write|try_write|failing_try_write \
    nothing|hand-written|zslock|gated|parking_lot COUNT";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let Some((cell, run, count)) = parse(&arguments) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    run(cell, count);
    ExitCode::SUCCESS
}

type Run = fn(Cell, u64);

fn parse(arguments: &[String]) -> Option<(Cell, Run, u64)> {
    let [operation, lock, count] = arguments else {
        return None;
    };
    let cell = Cell::ALL
        .into_iter()
        .find(|cell| cell.threads() == 1 && cell.name() == operation)?;
    let run: Run = match lock.as_str() {
        // An empty loop, too, has to be one whose tries fail.
        "nothing" if cell == Cell::FailingTryWrite => run::<Unlocked<false>>,
        "nothing" => run::<Unlocked<true>>,
        "hand-written" => run::<HandWritten>,
        "zslock" => run::<Plain>,
        "gated" => run::<Gated>,
        "parking_lot" => run::<ParkingLot>,
        _ => return None,
    };
    Some((cell, run, count.parse().ok()?))
}

fn run<C: Contender>(cell: Cell, count: u64) {
    // Of fixed length, though these cells do no work: measuring one would not take the same instructions twice.
    let mut worker = Worker::new(0, Work::of_steps(1));
    cell.run(&C::new(), &mut worker, count);
}
