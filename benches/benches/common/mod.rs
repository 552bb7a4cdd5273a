//! A criterion group a row, with the same benchmark names in each: `read/zslock`, `read/parking_lot 0.13`.

use std::time::Duration;

use benches::cell::Cell;
use benches::run::Peer;
use benches::work::Work;
use criterion::{Criterion, Throughput};

/// Short enough that all rows of all locks take a few minutes.
pub(crate) fn short() -> Criterion {
    Criterion::default()
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1))
        .sample_size(20)
}

pub(crate) fn group(criterion: &mut Criterion, cell: Cell) {
    let work = Work::lasting(Duration::from_micros(1));
    let mut group = criterion.benchmark_group(cell.name());
    group.throughput(Throughput::Elements(1));
    for peer in Peer::ALL
        .into_iter()
        .filter(|peer| peer.takes_part_in(cell))
    {
        group.bench_function(peer.name, |bencher| {
            bencher.iter_custom(|operations| peer.time(cell, operations, work));
        });
    }
    group.finish();
}
