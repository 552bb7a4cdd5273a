//! One thread: `cargo bench -p benches --bench uncontended -- read/` compares one row.

use benches::cell::Cell;
use criterion::{criterion_group, criterion_main};

mod common;

criterion_group! {
    name = uncontended;
    config = common::short();
    targets = rows
}
criterion_main!(uncontended);

fn rows(criterion: &mut criterion::Criterion) {
    for cell in [
        Cell::Read,
        Cell::Write,
        Cell::TryWrite,
        Cell::FailingTryWrite,
    ] {
        common::group(criterion, cell);
    }
}
