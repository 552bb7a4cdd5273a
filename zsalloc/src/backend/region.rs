//! A region: a span of addresses that is mapped as a whole and handed out in runs of pages.

use super::SOURCE_PAGE;

/// Pages per region: 4 MiB. Large, so that a pool makes few mappings (a process may have only some
/// 65,000) and few system calls; small, so that the last run of a region is not long in coming.
pub(crate) const REGION_PAGES: usize = 1024;
/// The size of a region, and what its address is a multiple of.
pub(crate) const REGION_BYTES: usize = REGION_PAGES * SOURCE_PAGE;
const WORDS: usize = REGION_PAGES / 64;

/// One bit for each page of a region; the first page is the lowest bit of the first word.
type Bits = [u64; WORDS];

/// Which pages of a region are handed out.
#[derive(Debug)]
pub(crate) struct PageMap {
    used: Bits,
    count: usize,
    /// No free run is longer.
    longest: usize,
}

impl PageMap {
    pub(crate) const fn new() -> Self {
        Self {
            used: [0; WORDS],
            count: 0,
            longest: REGION_PAGES,
        }
    }

    /// The number of pages handed out.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// No free run is longer than this. It may be an overestimate, until a search in vain.
    pub(crate) fn longest(&self) -> usize {
        self.longest
    }

    /// Takes the first free run of `pages` pages; returns its first page. `pages` is not 0.
    pub(crate) fn take(&mut self, pages: usize) -> Option<usize> {
        let starts = self.starts(pages);
        let Some(word) = starts.iter().position(|&starts| starts != 0) else {
            self.longest = self.longest.min(pages - 1);
            return None;
        };
        let start = word * 64 + starts[word].trailing_zeros() as usize;
        self.flip(start, pages);
        self.count += pages;
        Some(start)
    }

    /// Makes a run free again.
    pub(crate) fn put(&mut self, start: usize, pages: usize) {
        self.flip(start, pages);
        self.count -= pages;
        // It joins its free neighbours.
        let joined = self.free_after(start + pages) - self.free_before(start);
        self.longest = self.longest.max(joined);
    }

    /// The pages at which a free run of at least `pages` pages begins. A run of `a + b` pages begins
    /// where one of `a` does and one of `b` does `a` pages further on, so doubling takes few steps.
    fn starts(&self, pages: usize) -> Bits {
        let mut starts = self.used.map(|used| !used);
        let mut length = 1;
        while length < pages {
            let more = length.min(pages - length);
            let further_on = shifted_down(&starts, more);
            for (starts, further_on) in starts.iter_mut().zip(further_on) {
                *starts &= further_on;
            }
            length += more;
        }
        starts
    }

    /// The first page of the free run that ends before `page`; `page` itself if there is none.
    fn free_before(&self, page: usize) -> usize {
        let mut used = match page % 64 {
            0 => 0,
            bit => self.used[page / 64] << (64 - bit) >> (64 - bit),
        };
        let mut word = page / 64;
        while used == 0 && word > 0 {
            word -= 1;
            used = self.used[word];
        }
        // 0 if no page below is in use.
        word * 64 + (u64::BITS - used.leading_zeros()) as usize
    }

    /// The end of the free run that begins at `page`; `page` itself if there is none.
    fn free_after(&self, page: usize) -> usize {
        let Some(&used) = self.used.get(page / 64) else {
            return page;
        };
        let mut used = used >> (page % 64) << (page % 64);
        let mut word = page / 64;
        while used == 0 && word + 1 < WORDS {
            word += 1;
            used = self.used[word];
        }
        // The region's end if no page above is in use.
        word * 64 + used.trailing_zeros() as usize
    }

    /// Makes pages that are all free used, or the other way round.
    fn flip(&mut self, start: usize, pages: usize) {
        let (mut page, end) = (start, start + pages);
        let was_used = self.used[start / 64] >> (start % 64) & 1;
        while page < end {
            let word = page / 64;
            let next = end.min((word + 1) * 64);
            let mask = u64::MAX >> (64 - (next - page)) << (page % 64);
            debug_assert_eq!(self.used[word] & mask, mask * was_used);
            self.used[word] ^= mask;
            page = next;
        }
    }
}

/// Bit `i` of the result is bit `i + by` of `bits`, or 0 beyond the end.
fn shifted_down(bits: &Bits, by: usize) -> Bits {
    let (words, by) = (by / 64, by % 64);
    let word = |index: usize| bits.get(index).copied().unwrap_or(0);
    std::array::from_fn(|index| {
        let (low, high) = (word(index + words), word(index + words + 1));
        // In two steps, as a shift by 64 would be one too far.
        low >> by | high << (63 - by) << 1
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_first_fit_and_do_not_overlap() {
        let mut map = PageMap::new();
        assert_eq!(map.take(3), Some(0));
        assert_eq!(map.take(100), Some(3));
        assert_eq!(map.take(1), Some(103));
        map.put(3, 100);
        assert_eq!(map.count(), 4);
        assert_eq!(map.take(101), Some(104));
        assert_eq!(map.take(60), Some(3));
        assert_eq!(map.take(40), Some(63));
        assert_eq!(map.take(REGION_PAGES), None);
    }

    #[test]
    fn a_vain_search_is_remembered_until_a_longer_run_is_free() {
        let mut map = PageMap::new();
        assert_eq!(map.take(REGION_PAGES), Some(0));
        assert_eq!(map.take(2), None);
        assert_eq!(map.longest(), 1);
        map.put(200, 10);
        assert_eq!(map.longest(), 10);
        // Joined from both sides, and to the ends.
        map.put(0, 200);
        map.put(211, REGION_PAGES - 211);
        map.put(210, 1);
        assert_eq!((map.longest(), map.count()), (REGION_PAGES, 0));
    }

    /// The same, page by page.
    struct Model(Vec<bool>);

    impl Model {
        fn first(&self, pages: usize) -> Option<usize> {
            self.0
                .windows(pages)
                .position(|run| run.iter().all(|used| !used))
        }

        fn longest(&self) -> usize {
            let runs = self.0.split(|&used| used);
            runs.map(<[bool]>::len).max().unwrap_or(0)
        }
    }

    #[test]
    fn runs_of_any_length_are_found_as_page_by_page() {
        let mut random = 1_u64;
        let mut below = |end: usize| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            (random % end as u64) as usize
        };
        let (mut map, mut model) = (PageMap::new(), Model(vec![false; REGION_PAGES]));
        let mut runs = Vec::new();
        for round in 0..6000 {
            if below(100) < 45 && !runs.is_empty() {
                let (start, pages): (usize, usize) = runs.swap_remove(below(runs.len()));
                map.put(start, pages);
                model.0[start..start + pages].fill(false);
            } else {
                let pages = [1, 2, 5, 16, 63, 64, 65, 256][below(if round < 3000 { 4 } else { 8 })];
                let start = model.first(pages);
                assert_eq!(map.take(pages), start, "{pages} pages");
                if let Some(start) = start {
                    model.0[start..start + pages].fill(true);
                    runs.push((start, pages));
                }
            }
            assert!(map.longest() >= model.longest());
            assert_eq!(map.count(), runs.iter().map(|run| run.1).sum::<usize>());
        }
    }
}
