//! The regions of a source, and in which of them there is room.

use std::collections::BTreeMap;
use std::ops::Range;
use std::ptr::NonNull;

use super::region::{PageMap, REGION_BYTES, REGION_PAGES};
use super::{SOURCE_PAGE, overlaps};

/// A mapping of `REGION_BYTES` at a multiple of it.
pub(super) struct Region {
    base: NonNull<u8>,
    pages: PageMap,
}

// SAFETY: the pointer is to a mapping of the process; no thread is tied to it.
unsafe impl Send for Region {}

impl Region {
    /// A region without runs.
    pub(super) fn new(base: NonNull<u8>) -> Self {
        Self {
            base,
            pages: PageMap::new(),
        }
    }

    pub(super) fn base(&self) -> NonNull<u8> {
        self.base
    }

    pub(super) fn addresses(&self) -> Range<usize> {
        let base = self.base.addr().get();
        base..base + REGION_BYTES
    }

    fn is_empty(&self) -> bool {
        self.pages.count() == 0
    }
}

/// Regions have places, and the lowest place with room serves, so that the regions at the higher
/// ones get a chance to become empty. A new region takes the lowest vacant place.
#[derive(Default)]
pub(super) struct Regions {
    places: Vec<Option<Box<Region>>>,
    by_base: BTreeMap<usize, usize>,
    room: Room,
    /// Regions without runs.
    empty: usize,
}

impl Regions {
    pub(super) fn iter(&self) -> impl Iterator<Item = &Region> {
        self.places.iter().flatten().map(|region| &**region)
    }

    /// Pages handed out.
    pub(super) fn pages(&self) -> usize {
        self.iter().map(|region| region.pages.count()).sum()
    }

    /// A run of a region that has one and does not overlap what is excluded.
    pub(super) fn take(&mut self, pages: usize, excluded: &[Range<usize>]) -> Option<NonNull<u8>> {
        loop {
            let place = match excluded {
                [] => self.room.first(pages)?,
                _ => self.first_outside(pages, excluded)?,
            };
            let region = self.places[place].as_mut()?;
            let was_empty = region.is_empty();
            let start = region.pages.take(pages);
            let run = start.map(|start| {
                // SAFETY: `start` is within the region.
                unsafe { region.base.add(start * SOURCE_PAGE) }
            });
            // There may be no such run after all; then this has become known just now.
            self.room.set(place, region.pages.longest());
            if run.is_some() {
                self.empty -= usize::from(was_empty);
                return run;
            }
        }
    }

    /// Like `Room::first`. Looks at every region: only while something is excluded.
    fn first_outside(&self, pages: usize, excluded: &[Range<usize>]) -> Option<usize> {
        let mut places = self.places.iter().enumerate();
        let fits = |(place, region): (usize, &Option<Box<Region>>)| {
            let region = region.as_ref()?;
            let outside = !overlaps(&region.addresses(), excluded);
            (outside && self.room.of(place) >= pages).then_some(place)
        };
        places.find_map(fits)
    }

    /// Adds a region without runs.
    pub(super) fn add(&mut self, region: Region) {
        let vacant = self.places.iter().position(Option::is_none);
        let place = vacant.unwrap_or_else(|| {
            self.places.push(None);
            self.places.len() - 1
        });
        self.by_base.insert(region.base.addr().get(), place);
        self.places[place] = Some(Box::new(region));
        self.room.set(place, REGION_PAGES);
        self.empty += 1;
    }

    /// Makes a run free again. Returns its region, taken out, if no run is left in it and another
    /// empty one is at hand.
    pub(super) fn put(&mut self, run: NonNull<u8>, pages: usize) -> Option<Region> {
        let address = run.addr().get();
        let place = *self.by_base.get(&(address - address % REGION_BYTES))?;
        let region = self.places[place].as_mut()?;
        region
            .pages
            .put(address % REGION_BYTES / SOURCE_PAGE, pages);
        self.room.set(place, region.pages.longest());
        if !region.is_empty() {
            return None;
        }
        self.empty += 1;
        let spare = self.empty > 1;
        spare.then(|| self.remove(place)).flatten()
    }

    /// Takes out the empty regions in a span of addresses.
    pub(super) fn take_empty(&mut self, span: &Range<usize>) -> Vec<Region> {
        let places = self.places_in(span);
        let places = places.into_iter().filter(|&place| {
            let region = self.places[place].as_ref();
            region.is_some_and(|region| region.is_empty())
        });
        let places: Vec<_> = places.collect();
        let regions = places.into_iter().filter_map(|place| self.remove(place));
        regions.collect()
    }

    /// Whether a region lies, at least partly, in a span of addresses.
    pub(super) fn has_any_in(&self, span: &Range<usize>) -> bool {
        !self.places_in(span).is_empty()
    }

    fn places_in(&self, span: &Range<usize>) -> Vec<usize> {
        let first = span.start - span.start % REGION_BYTES;
        let bases = self.by_base.range(first..span.end.max(first));
        bases.map(|(_, &place)| place).collect()
    }

    fn remove(&mut self, place: usize) -> Option<Region> {
        let region = self.places[place].take()?;
        self.by_base.remove(&region.base.addr().get());
        self.room.set(place, 0);
        self.empty -= 1;
        while self.places.pop_if(|region| region.is_none()).is_some() {}
        self.room.shrink(self.places.len());
        Some(*region)
    }
}

/// For each place the longest free run that it may have (0: none), and a tree of maxima above: the
/// first place with enough is found in as many steps as the tree is high.
///
/// The node at 1 is the root, the children of `n` are `2 n` and `2 n + 1`, the leaves are the second
/// half. Empty, or a power of two long.
#[derive(Default)]
struct Room(Vec<u16>);

impl Room {
    fn leaves(&self) -> usize {
        self.0.len() / 2
    }

    fn of(&self, place: usize) -> usize {
        self.0[self.leaves() + place].into()
    }

    fn first(&self, pages: usize) -> Option<usize> {
        let has = |node: usize| usize::from(self.0[node]) >= pages;
        if self.0.is_empty() || !has(1) {
            return None;
        }
        let mut node = 1;
        while node < self.leaves() {
            node *= 2;
            if !has(node) {
                node += 1;
            }
        }
        Some(node - self.leaves())
    }

    /// `longest` is at most `REGION_PAGES`.
    fn set(&mut self, place: usize, longest: usize) {
        if place >= self.leaves() {
            self.rebuild((place + 1).next_power_of_two());
        }
        let mut node = self.leaves() + place;
        self.0[node] = longest as u16;
        while node > 1 {
            node /= 2;
            let max = self.0[2 * node].max(self.0[2 * node + 1]);
            if self.0[node] == max {
                return;
            }
            self.0[node] = max;
        }
    }

    /// Only the first `places` are still in use.
    fn shrink(&mut self, places: usize) {
        if places < self.leaves() / 4 {
            self.rebuild((places * 2).next_power_of_two());
        }
    }

    fn rebuild(&mut self, leaves: usize) {
        let old = std::mem::take(&mut self.0);
        self.0 = vec![0; 2 * leaves];
        for (place, &longest) in old[old.len() / 2..].iter().take(leaves).enumerate() {
            self.set(place, longest.into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_place_with_room_is_found_while_places_come_and_go() {
        let mut room = Room::default();
        assert_eq!(room.first(1), None);
        let longest = |place: usize| place * 37 % 101;
        for place in 0..100 {
            room.set(place, longest(place));
        }
        for places in [100, 20, 3, 0] {
            for place in places..room.leaves() {
                room.set(place, 0);
            }
            room.shrink(places);
            assert!(room.leaves() <= 128.min(places * 4).max(1));
            for pages in 1..=101 {
                let expected = (0..places).find(|&place| longest(place) >= pages);
                assert_eq!(room.first(pages), expected);
            }
        }
    }
}
