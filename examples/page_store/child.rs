//! The process that measures one store.

use std::time::{Duration, Instant};

use examples::corpus::{PAGE, Page, Pages};
use examples::memory::process_bytes;
use indicatif::{ProgressBar, ProgressStyle};

use crate::cli::{Kind, Options};
use crate::codec::{Codec, Compression, Packed};
use crate::error::Error;
use crate::measured::Measured;
use crate::store::{HeapStore, PageStore, Store};
use crate::workload::{Crew, Ledger, Tally};

/// Rounds of churn: how often as many pages are read and replaced as there are.
const ROUNDS: usize = 2;

/// Measures the store of this kind in this process.
pub(crate) fn measure(options: &Options, kind: Kind) -> Result<Measured, Error> {
    match kind {
        Kind::Pool => {
            let max_pages = (options.limit as usize) << 20 >> PAGE.trailing_zeros();
            run(options, kind, || PageStore::new(max_pages))
        }
        Kind::Heap => run(options, kind, HeapStore::new),
    }
}

fn run<S: Store>(
    options: &Options,
    kind: Kind,
    store: impl FnOnce() -> S,
) -> Result<Measured, Error> {
    let max_pages = pages_of(options);
    let mut pages = input(options)?;
    let compression = options.compression.unwrap_or(Compression::Lz4);
    // Everything that is not the store is there, and has been used, before the first look at the size.
    let mut ledger = Ledger::new(max_pages as usize);
    let mut codecs: Vec<Codec> = (0..options.threads)
        .map(|_| Codec::new(compression))
        .collect();
    codecs.iter_mut().for_each(warm_up);
    let bar = progress(kind, compression, max_pages);
    let before = process_bytes().unwrap_or(0);
    let growth = || process_bytes().unwrap_or(0).saturating_sub(before);

    let store = store();
    let mut crew = Crew {
        store: &store,
        codecs: &mut codecs,
        bar: &bar,
        seed: options.seed,
    };
    let mut figures = Measured::default();
    let began = Instant::now();
    let tally = crew.load(&mut pages, &mut ledger)?;
    figures.load_time = micros(began.elapsed());
    count(&mut figures, tally);
    let read = pages.summary();
    if read.bytes == 0 {
        return Err(Error::Input(examples::corpus::CorpusError::Empty));
    }
    let stats = store.stats();
    (figures.pages, figures.files) = (read.pages, read.files);
    (figures.stored, figures.bytes) = (stats.stored, stats.bytes);
    (figures.same_filled, figures.raw) = (stats.same_filled, stats.raw);
    figures.loaded = growth();

    let began = Instant::now();
    count(&mut figures, crew.churn(&ledger, ROUNDS)?);
    figures.churn_time = micros(began.elapsed());
    figures.churned = growth();

    let began = Instant::now();
    count(&mut figures, crew.remove(&ledger)?);
    figures.remove_time = micros(began.elapsed());
    figures.removed = growth();

    count(&mut figures, crew.verify(&ledger)?);
    bar.finish_and_clear();
    let stats = store.stats();
    (figures.left, figures.left_bytes) = (stats.stored, stats.bytes);
    (figures.pool_bytes, figures.metadata_bytes) = (stats.pool_bytes, stats.metadata_bytes);
    (figures.compactions, figures.pages_gained) = (stats.compactions, stats.pages_gained);
    Ok(figures)
}

/// The most pages that may be read.
pub(crate) fn pages_of(options: &Options) -> u64 {
    (u64::from(options.amount) << 20) / PAGE as u64
}

pub(crate) fn input(options: &Options) -> Result<Pages, Error> {
    let max_pages = pages_of(options);
    Ok(match options.input.as_slice() {
        [] => Pages::of_the_system(max_pages),
        inputs => Pages::of_the_user(inputs, max_pages)?,
    })
}

/// Makes a codec allocate all that it ever will.
fn warm_up(codec: &mut Codec) {
    let page: Page = std::array::from_fn(|i| ((i * i) >> 5) as u8);
    if let Packed::Bytes(bytes) = codec.pack(&page) {
        let bytes = bytes.to_vec();
        codec.unpack(Packed::Bytes(&bytes), &mut [0; PAGE]);
    }
}

/// A bar on stderr if that is a terminal, and none otherwise.
fn progress(kind: Kind, compression: Compression, pages: u64) -> ProgressBar {
    // A put in the first phase; two gets and about a put in a round of the second; then two more looks.
    let bar = ProgressBar::new(pages * (1 + 3 * ROUNDS as u64 + 2));
    let style = ProgressStyle::with_template("{msg:16} {wide_bar} {percent:>3} %");
    bar.set_style(style.expect("the template is well formed"));
    bar.set_message(format!("{kind:?}, {compression:?}").to_lowercase());
    bar
}

fn count(figures: &mut Measured, tally: Tally) {
    figures.puts += tally.puts;
    figures.gets += tally.gets;
    figures.removes += tally.removes;
    figures.wrong += tally.wrong;
    figures.refused += tally.refused;
}

fn micros(time: Duration) -> u64 {
    time.as_micros() as u64
}
