//! A region: a span of addresses that is mapped as a whole and handed out in runs of pages.

/// Pages per region: 4 MiB. Large, so that a pool makes few mappings (a process may have only some
/// 65,000) and few system calls; small, so that the last run of a region is not long in coming.
pub(crate) const REGION_PAGES: usize = 1024;
const WORDS: usize = REGION_PAGES / 64;

/// Which pages of a region are handed out.
#[derive(Debug)]
pub(crate) struct PageMap {
    used: [u64; WORDS],
    count: usize,
    /// No page below is free.
    first_free: usize,
    /// No free run is longer.
    longest: usize,
}

impl PageMap {
    pub(crate) const fn new() -> Self {
        Self {
            used: [0; WORDS],
            count: 0,
            first_free: 0,
            longest: REGION_PAGES,
        }
    }

    /// The number of pages handed out.
    pub(crate) fn count(&self) -> usize {
        self.count
    }

    /// False if there is certainly no free run of `pages` pages.
    pub(crate) fn may_have(&self, pages: usize) -> bool {
        pages <= self.longest
    }

    /// Takes the first free run of `pages` pages that begins at a multiple of `align`; returns its
    /// first page.
    pub(crate) fn take(&mut self, pages: usize, align: usize) -> Option<usize> {
        let mut start = self.first_free.next_multiple_of(align);
        while start + pages <= REGION_PAGES {
            match self.last_used(start, start + pages) {
                None => {
                    self.set(start, pages, true);
                    self.count += pages;
                    if start == self.first_free {
                        self.first_free += pages;
                    }
                    return Some(start);
                }
                Some(used) => start = (used + 1).next_multiple_of(align),
            }
        }
        // With `align > 1` a longer run may exist, but only runs that are multiples of it are asked
        // for, and begin at multiples of it.
        self.longest = self.longest.min(pages - 1);
        None
    }

    /// Makes a run free again.
    pub(crate) fn put(&mut self, start: usize, pages: usize) {
        self.set(start, pages, false);
        self.count -= pages;
        self.first_free = self.first_free.min(start);
        // It may have joined its neighbours; the next search in vain finds out.
        self.longest = REGION_PAGES;
    }

    fn is_used(&self, page: usize) -> bool {
        self.used[page / 64] & 1 << (page % 64) != 0
    }

    fn last_used(&self, start: usize, end: usize) -> Option<usize> {
        (start..end).rev().find(|&page| self.is_used(page))
    }

    fn set(&mut self, start: usize, pages: usize, used: bool) {
        for page in start..start + pages {
            debug_assert_ne!(self.is_used(page), used);
            self.used[page / 64] ^= 1 << (page % 64);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_first_fit_and_do_not_overlap() {
        let mut map = PageMap::new();
        assert_eq!(map.take(3, 1), Some(0));
        assert_eq!(map.take(100, 1), Some(3));
        assert_eq!(map.take(1, 1), Some(103));
        map.put(3, 100);
        assert_eq!(map.count(), 4);
        assert_eq!(map.take(101, 1), Some(104));
        assert_eq!(map.take(60, 1), Some(3));
        assert_eq!(map.take(40, 1), Some(63));
        assert_eq!(map.take(REGION_PAGES, 1), None);
    }

    #[test]
    fn a_vain_search_is_remembered_until_a_run_returns() {
        let mut map = PageMap::new();
        assert_eq!(map.take(REGION_PAGES, 1), Some(0));
        assert_eq!(map.take(2, 1), None);
        assert!(!map.may_have(2));
        assert!(map.may_have(1));
        map.put(0, REGION_PAGES);
        assert!(map.may_have(2));
        assert_eq!(map.count(), 0);
    }

    #[test]
    fn alignment_is_kept() {
        let mut map = PageMap::new();
        assert_eq!(map.take(4, 4), Some(0));
        map.put(0, 4);
        assert_eq!(map.take(1, 1), Some(0));
        assert_eq!(map.take(4, 4), Some(4));
        assert_eq!(map.take(4, 4), Some(8));
    }
}
