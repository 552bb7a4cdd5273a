//! A store that is too small: it refuses with a clear error, and keeps what it has.

use examples::corpus::{PAGE, Page};
use examples::units;

use crate::child;
use crate::cli::Options;
use crate::codec::{self, Codec, Compression};
use crate::error::Error;
use crate::store::{PageStore, Store, StoreError};

/// The pages of memory that the small store may take: so many, or an eighth of the input's if that is less.
const MAX_PAGES: usize = 128;

/// What happened.
#[derive(Debug)]
pub(crate) struct Shown {
    pub(crate) text: String,
    pub(crate) as_it_should: bool,
}

/// Fills a store until it refuses, and makes room again.
pub(crate) fn shown(options: &Options) -> Result<Shown, Error> {
    let mut codec = Codec::new(options.compression.unwrap_or(Compression::Lz4));
    // Enough to fill the store, unless all pages compress to an eighth.
    let pages: Result<Vec<Page>, _> = child::input(options)?.take(MAX_PAGES * 8).collect();
    let pages = pages?;
    let max_pages = MAX_PAGES.min(pages.len() / 8).max(1);
    let store = PageStore::new(max_pages);

    let mut refusal = None;
    let mut taken = 0;
    while taken < pages.len() && refusal.is_none() {
        match store.put(&mut codec, taken as u64, &pages[taken]) {
            Ok(()) => taken += 1,
            Err(error) => refusal = Some(error),
        }
    }
    let taken_pages = units::counted(taken as u64, "page");
    let Some(error @ StoreError::Full { .. }) = refusal else {
        // Few pages, or all of them same-filled.
        let limit = units::counted(max_pages as u64, "page");
        return Ok(Shown {
            text: format!("limit       {taken_pages} did not fill {limit}"),
            as_it_should: true,
        });
    };
    let Relief { again, wrong } = relieved(&store, &mut codec, &pages, taken)?;
    let text = format!(
        "limit       {} KiB took {taken_pages}, then refused one:\n              {error}\n            \
         half of them removed, {} more fitted; {} of the others damaged",
        max_pages * PAGE / 1024,
        units::count(again),
        if wrong == 0 {
            "none".to_owned()
        } else {
            units::count(wrong)
        },
    );
    Ok(Shown {
        text,
        as_it_should: wrong == 0 && again > 0,
    })
}

/// What became of a full store when pages were removed.
struct Relief {
    /// Pages that fitted afterwards.
    again: u64,
    /// Pages that were missing or damaged.
    wrong: u64,
}

/// Every second of the `taken` pages goes; then more fit again, and the others are what they were.
fn relieved(
    store: &PageStore,
    codec: &mut Codec,
    pages: &[Page],
    taken: usize,
) -> Result<Relief, StoreError> {
    let mut wrong = 0;
    for number in (0..taken).step_by(2) {
        wrong += u64::from(!store.remove(number as u64));
    }
    let mut fits = |number: usize| {
        let stored = store.put(codec, number as u64, &pages[number % taken]);
        stored.is_ok()
    };
    let again = (0..taken).take_while(|n| fits(2 * n)).count() as u64;
    let mut page = [0; PAGE];
    for number in (1..taken).step_by(2) {
        let found = store.get(codec, number as u64, &mut page)?;
        wrong += u64::from(!found || codec::checksum(&page) != codec::checksum(&pages[number]));
    }
    Ok(Relief { again, wrong })
}
