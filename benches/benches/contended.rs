//! Several threads on one lock. The time is of all threads together: its inverse is their throughput.

use benches::cell::Cell;
use criterion::{criterion_group, criterion_main};

mod common;

criterion_group! {
    name = contended;
    config = common::short();
    targets = rows
}
criterion_main!(contended);

fn rows(criterion: &mut criterion::Criterion) {
    for cell in [Cell::TwoReaders, Cell::Mixed, Cell::Oversubscribed] {
        common::group(criterion, cell);
    }
}
