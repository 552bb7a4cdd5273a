//! The page sources against a model: runs do not overlap, are zeroed and keep their bytes, excluded
//! addresses stay out, regions go back.

mod common;

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::ptr::NonNull;
use std::sync::Arc;

use common::Random;
use zsalloc::{Failing, Heap, Mmap, PageSource};

const PAGE: usize = 4096;
const REGION: usize = 4 << 20;

fn is_zero(pages: &[u8]) -> bool {
    pages.chunks_exact(PAGE).all(|page| page == [0; PAGE])
}

/// What a source handed out: address to length in pages and a stamp that every page bears.
struct Model<S> {
    source: S,
    runs: BTreeMap<usize, (NonNull<u8>, usize, u64)>,
    random: Random,
}

impl<S: PageSource> Model<S> {
    fn new(source: S, seed: u64) -> Self {
        Self {
            source,
            runs: BTreeMap::new(),
            random: Random::new(seed),
        }
    }

    fn alloc(&mut self, pages: usize, excluded: &[Range<usize>]) {
        let run = match excluded {
            [] => self.source.alloc(pages),
            _ => self.source.alloc_outside(pages, excluded),
        };
        let run = run.unwrap();
        let (start, end) = (run.addr().get(), run.addr().get() + pages * PAGE);
        assert_eq!(start % PAGE, 0);
        let below = self.runs.range(..end).next_back();
        assert!(
            below.is_none_or(|(address, run)| address + run.1 * PAGE <= start),
            "overlapping runs"
        );
        assert!(
            excluded
                .iter()
                .all(|span| end <= span.start || span.end <= start),
            "a run in an excluded span"
        );
        // SAFETY: the run is ours alone.
        let bytes = unsafe { std::slice::from_raw_parts_mut(run.as_ptr(), pages * PAGE) };
        assert!(is_zero(bytes), "not zeroed");
        let stamp = self.random.next() | 1;
        for page in bytes.chunks_exact_mut(PAGE) {
            page[..8].copy_from_slice(&stamp.to_le_bytes());
            page[PAGE - 8..].copy_from_slice(&stamp.to_le_bytes());
        }
        self.runs.insert(start, (run, pages, stamp));
    }

    fn release_any(&mut self) {
        let place = self.random.below(self.runs.len().max(1));
        let Some(&address) = self.runs.keys().nth(place) else {
            return;
        };
        self.check(address);
        let (run, pages, _) = self.runs.remove(&address).unwrap();
        // SAFETY: handed out for as many pages, and no longer used.
        unsafe { self.source.release(run, pages) };
    }

    /// Some pages of a run lose their bytes and get them again; the others keep theirs.
    fn discard_any(&mut self) {
        let place = self.random.below(self.runs.len().max(1));
        let Some((_, &(run, pages, stamp))) = self.runs.iter().nth(place) else {
            return;
        };
        let first = self.random.below(pages);
        let count = 1 + self.random.below(pages - first);
        // SAFETY: within the run, which only we use.
        unsafe {
            let start = run.add(first * PAGE);
            self.source.discard(start, count);
            let bytes = std::slice::from_raw_parts_mut(start.as_ptr(), count * PAGE);
            assert!(is_zero(bytes), "not discarded");
            for page in bytes.chunks_exact_mut(PAGE) {
                page[..8].copy_from_slice(&stamp.to_le_bytes());
                page[PAGE - 8..].copy_from_slice(&stamp.to_le_bytes());
            }
        }
    }

    fn check(&self, address: usize) {
        let (run, pages, stamp) = self.runs[&address];
        // SAFETY: the run is ours alone.
        let bytes = unsafe { std::slice::from_raw_parts(run.as_ptr(), pages * PAGE) };
        for page in bytes.chunks_exact(PAGE) {
            assert_eq!(page[..8], stamp.to_le_bytes());
            assert_eq!(page[PAGE - 8..], stamp.to_le_bytes());
        }
    }

    /// The regions that runs lie in.
    fn regions(&self) -> BTreeSet<usize> {
        self.runs.keys().map(|address| address / REGION).collect()
    }

    fn some_regions(&mut self) -> Vec<Range<usize>> {
        let regions = self.regions().into_iter();
        let spans = regions.map(|region| region * REGION..(region + 1) * REGION);
        let spans: Vec<_> = spans.collect();
        let some = spans.into_iter().filter(|_| self.random.below(2) == 0);
        some.collect()
    }
}

impl<S> Drop for Model<S> {
    fn drop(&mut self) {
        // `Mmap` and its runs end together; runs of `Heap` were released by the test.
        assert!(std::thread::panicking() || self.runs.is_empty());
    }
}

/// The regions and pages that `Mmap` says it has.
fn counts(source: &Mmap) -> (usize, usize) {
    let text = format!("{source:?}");
    let numbers = text.split(|c: char| !c.is_ascii_digit());
    let numbers: Vec<usize> = numbers.filter_map(|number| number.parse().ok()).collect();
    let [regions, pages] = numbers[..] else {
        panic!("{text}");
    };
    (regions, pages)
}

fn operate<S: PageSource>(model: &mut Model<S>, grow: bool) {
    let lengths = [1, 1, 2, 3, 4, 7, 16, 64, 256, 1024];
    let pages = lengths[model.random.below(if grow { 10 } else { 7 })];
    match model.random.below(20) {
        0..9 => {
            if grow || model.random.below(2) == 0 {
                model.alloc(pages, &[]);
            }
        }
        9 => {
            let excluded = model.some_regions();
            model.alloc(pages, &excluded);
        }
        10 => model.discard_any(),
        _ => (0..if grow { 1 } else { 2 }).for_each(|_| model.release_any()),
    }
}

#[test]
fn mmap_does_what_a_model_does() {
    for seed in 0..3 {
        let mut model = Model::new(Mmap::new(), seed);
        for round in 0..4000 {
            operate(&mut model, round % 1000 < 500);
            let pages: usize = model.runs.values().map(|run| run.1).sum();
            let regions = model.regions();
            let (have, handed_out) = counts(&model.source);
            assert_eq!(handed_out, pages);
            // No run straddles a border, so each region has its runs, and one may be spare.
            assert!((regions.len()..=regions.len() + 1).contains(&have));
            if round % 50 == 0 {
                let occupied = regions.first().map(|region| region * REGION);
                if let Some(start) = occupied {
                    assert!(!model.source.trim(start..start + REGION), "there are runs");
                }
                assert_eq!(model.source.trim(0..usize::MAX), regions.is_empty());
                assert_eq!(counts(&model.source), (regions.len(), pages));
            }
        }
        while !model.runs.is_empty() {
            model.release_any();
        }
        assert_eq!(counts(&model.source), (1, 0));
        assert!(model.source.trim(0..usize::MAX));
        assert_eq!(counts(&model.source), (0, 0));
    }
}

/// The default `alloc_outside` is behind this one; and what wraps a source forwards all of it.
#[test]
fn the_heap_does_what_a_model_does() {
    let mut model = Model::new(Arc::new(Failing::new(Heap::new())), 5);
    for round in 0..1500 {
        operate(&mut model, round % 500 < 200);
    }
    while !model.runs.is_empty() {
        model.release_any();
    }
    assert!(!model.source.trim(0..usize::MAX), "it cannot tell");
    let mut model = Model::new(Arc::new(Failing::new(Mmap::new())), 6);
    model.alloc(1, &[]);
    assert!(!model.source.trim(0..usize::MAX));
    model.release_any();
    assert!(model.source.trim(0..usize::MAX));
}

#[test]
fn threads_share_a_source() {
    let source = Arc::new(Mmap::new());
    std::thread::scope(|scope| {
        for seed in 0..4 {
            let source = Arc::clone(&source);
            scope.spawn(move || {
                let mut model = Model::new(source, 10 + seed);
                for round in 0..1500 {
                    operate(&mut model, round % 500 < 250);
                    if model.random.below(30) == 0 {
                        model.source.trim(0..usize::MAX);
                    }
                }
                while !model.runs.is_empty() {
                    model.release_any();
                }
            });
        }
    });
    let (regions, pages) = counts(&source);
    assert!(regions <= 1, "{regions} regions are left");
    assert_eq!(pages, 0);
}

/// Where a region was unmapped is where the system likes to put the next one.
#[test]
fn excluded_addresses_stay_out_when_they_are_free() {
    for _ in 0..20 {
        let source = Mmap::new();
        let run = source.alloc(1).unwrap();
        let start = run.addr().get() / REGION * REGION;
        // SAFETY: from `alloc(1)`, and unused.
        unsafe { source.release(run, 1) };
        assert!(source.trim(0..usize::MAX));
        let excluded = start..start + REGION;
        let other = source
            .alloc_outside(1, std::slice::from_ref(&excluded))
            .unwrap();
        assert!(!excluded.contains(&other.addr().get()));
        assert_eq!(counts(&source), (1, 1));
    }
}

/// Of several threads that find no region with room, and make one each, one adds it.
#[test]
fn threads_that_grow_a_source_at_once_make_one_region() {
    const THREADS: usize = 4;
    for _ in 0..100 {
        let source = Mmap::new();
        let barrier = std::sync::Barrier::new(THREADS);
        std::thread::scope(|scope| {
            for _ in 0..THREADS {
                scope.spawn(|| {
                    barrier.wait();
                    source.alloc(7).unwrap();
                });
            }
        });
        assert_eq!(counts(&source), (1, 7 * THREADS));
    }
}

/// The system refuses to take back memory that is locked; it is zeroed all the same.
#[test]
fn locked_memory_is_zeroed_when_it_cannot_go_back() {
    let mut model = Model::new(Mmap::new(), 7);
    model.alloc(2, &[]);
    let (&address, &(run, pages, _)) = model.runs.first_key_value().unwrap();
    let start = run.as_ptr().cast();
    // SAFETY: the pages are ours.
    unsafe { rustix::mm::mlock(start, pages * PAGE) }.expect("a process may lock two pages");
    let advice = rustix::mm::Advice::LinuxDontNeed;
    // SAFETY: the contents do not matter, and do not go.
    unsafe { rustix::mm::madvise(start, pages * PAGE, advice) }.unwrap_err();
    model.check(address);
    model.discard_any();
    model.check(address);
    model.release_any();
    // The same pages.
    model.alloc(2, &[]);
    assert!(model.runs.contains_key(&address));
    model.release_any();
}
