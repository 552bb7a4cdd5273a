//! The free runs that a pool retains, and where it may not.

use std::collections::VecDeque;
use std::ops::Range;
use std::ptr::NonNull;

use crate::backend::{addresses, overlaps};

/// A free run that was not returned to the source.
struct Run {
    base: NonNull<u8>,
    /// Its place in the order in which runs were retained.
    stamp: u64,
}

// SAFETY: the run belongs to whoever has the value; no thread is tied to it.
unsafe impl Send for Run {}

/// Free runs that were not returned to the source.
///
/// Invariant: none of them overlaps an excluded span, except those of an evacuation that panics.
#[derive(Default)]
pub(crate) struct Retained {
    /// By length: the runs of `n` pages at `n`, the oldest first. Zspages have few lengths.
    by_length: Vec<VecDeque<Run>>,
    /// Of all of them.
    pages: usize,
    next_stamp: u64,
    /// The addresses that are being evacuated: no run comes from there or is kept there.
    excluded: Vec<Range<usize>>,
}

impl Retained {
    /// The pages of all runs.
    pub(crate) fn pages(&self) -> usize {
        self.pages
    }

    /// The address and the pages of every run.
    pub(crate) fn runs(&self) -> Vec<(usize, usize)> {
        let by_length = self.by_length.iter().enumerate();
        let address = |pages| move |run: &Run| (run.base.addr().get(), pages);
        by_length
            .flat_map(|(pages, runs)| runs.iter().map(address(pages)))
            .collect()
    }

    pub(crate) fn excluded(&self) -> &[Range<usize>] {
        &self.excluded
    }

    /// May be called for the same span several times.
    pub(crate) fn exclude(&mut self, span: Range<usize>) {
        self.excluded.push(span);
    }

    /// Ends one exclusion of the span.
    pub(crate) fn end_exclusion(&mut self, span: &Range<usize>) {
        if let Some(place) = self.excluded.iter().position(|other| other == span) {
            self.excluded.swap_remove(place);
        }
    }

    pub(crate) fn put(&mut self, base: NonNull<u8>, pages: usize) {
        if self.by_length.len() <= pages {
            self.by_length.resize_with(pages + 1, VecDeque::new);
        }
        let stamp = self.next_stamp;
        self.next_stamp += 1;
        self.by_length[pages].push_back(Run { base, stamp });
        self.pages += pages;
    }

    /// The newest run of this length: the one most likely to be in a cache.
    pub(crate) fn newest(&mut self, pages: usize) -> Option<NonNull<u8>> {
        let run = self.by_length.get_mut(pages)?.pop_back()?;
        self.pages -= pages;
        Some(run.base)
    }

    /// Takes out all runs that overlap a span of addresses, with their lengths.
    pub(crate) fn take_inside(
        &mut self,
        span: &Range<usize>,
        page_size: usize,
    ) -> Vec<(NonNull<u8>, usize)> {
        let span = std::slice::from_ref(span);
        let mut inside = Vec::new();
        for (pages, runs) in self.by_length.iter_mut().enumerate() {
            let before = inside.len();
            runs.retain(|run| {
                let stays = !overlaps(&addresses(run.base, pages * page_size), span);
                if !stays {
                    inside.push((run.base, pages));
                }
                stays
            });
            self.pages -= pages * (inside.len() - before);
        }
        inside
    }

    /// The oldest run of any length, and its length.
    pub(crate) fn oldest(&mut self) -> Option<(NonNull<u8>, usize)> {
        let fronts = self.by_length.iter().enumerate();
        let fronts = fronts.filter_map(|(pages, runs)| Some((runs.front()?.stamp, pages)));
        let (_, pages) = fronts.min()?;
        let run = self.by_length[pages].pop_front()?;
        self.pages -= pages;
        Some((run.base, pages))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_of_a_length_serves_and_the_oldest_of_all_goes() {
        let run = |address: usize| NonNull::without_provenance(address.try_into().unwrap());
        let mut retained = Retained::default();
        for (address, pages) in [(1, 4), (2, 1), (3, 4), (4, 1), (5, 4)] {
            retained.put(run(address), pages);
        }
        assert_eq!(retained.pages, 14);
        assert_eq!(retained.newest(2), None);
        assert_eq!(retained.newest(4), Some(run(5)));
        assert_eq!(retained.oldest(), Some((run(1), 4)));
        assert_eq!(retained.oldest(), Some((run(2), 1)));
        assert_eq!(retained.oldest(), Some((run(3), 4)));
        assert_eq!(retained.pages, 1);
        assert_eq!(retained.newest(4), None);
        assert_eq!(retained.oldest(), Some((run(4), 1)));
        assert_eq!((retained.oldest(), retained.pages), (None, 0));
    }

    #[test]
    fn runs_that_touch_a_span_are_taken_out() {
        let run = |page: usize| NonNull::without_provenance((page * 4096).try_into().unwrap());
        let mut retained = Retained::default();
        for (page, pages) in [(1, 4), (5, 1), (6, 1), (8, 3), (11, 1), (12, 4)] {
            retained.put(run(page), pages);
        }
        // Pages 4..12: the first and the last run straddle the borders or lie behind them.
        let inside = retained.take_inside(&(4 * 4096..12 * 4096), 4096);
        let expected = [(5, 1), (6, 1), (11, 1), (8, 3), (1, 4)];
        assert_eq!(inside, expected.map(|(page, pages)| (run(page), pages)));
        assert_eq!(retained.oldest(), Some((run(12), 4)));
        assert_eq!((retained.oldest(), retained.pages), (None, 0));
    }
}
