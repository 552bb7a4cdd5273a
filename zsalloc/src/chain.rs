//! How long the zspages of a class may be, and how few pages its objects need.
//!
//! zsmalloc fixes the length of a zspage by the size of its slots. Here a zspage is merely a run of
//! contiguous addresses, so zspages of one class may differ in length: long runs waste less at
//! their end, short ones cost less while a class has few objects.

use crate::config::ClassPolicy;
use crate::primitive::size::ADAPTIVE_CLASSES;
use crate::size_class::{self, MIN_SIZE};

/// In a pool of so many pages a class may grow by [`FACTOR`] times the objects that it has: then what one
/// class has too much is little beside the rest.
pub(crate) const LARGE: usize = 64;
const FACTOR: usize = 4;

/// One possible zspage of a class.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    pub(crate) pages: usize,
    pub(crate) slots: usize,
}

/// The lengths of a class's zspages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Chain {
    size: usize,
    page_size: usize,
    /// Ascending; each packs more slots into a page than any shorter one. Never empty.
    runs: Vec<Run>,
    /// Whether the last zspage may have any length that its objects need.
    any_tail: bool,
}

impl Chain {
    fn fixed(class: &size_class::SizeClass, page_size: usize) -> Self {
        Self {
            size: class.size(),
            page_size,
            runs: vec![Run {
                pages: class.pages_per_zspage(),
                slots: class.objects_per_zspage(),
            }],
            any_tail: false,
        }
    }

    fn adaptive(size: usize, page_size: usize, max_pages: usize) -> Self {
        let mut runs: Vec<Run> = Vec::new();
        for pages in 1..=max_pages {
            let slots = pages * page_size / size;
            // slots / pages > last.slots / last.pages, without fractions.
            if runs
                .last()
                .is_none_or(|last| slots * last.pages > last.slots * pages)
            {
                runs.push(Run { pages, slots });
            }
        }
        Self {
            size,
            page_size,
            runs,
            any_tail: true,
        }
    }

    /// The slot size in bytes.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// The longest run: the one that packs best.
    pub(crate) fn full(&self) -> Run {
        self.runs[self.runs.len() - 1]
    }

    /// What a class that has `objects` objects and no free slot may grow by, best first: the longest run
    /// of at most as many slots, then shorter ones in case the page source cannot serve it.
    ///
    /// In a pool of many pages, of at most four times as many slots. Slots are used in ascending order, so
    /// what such a run has too much was never touched and takes no memory, and short runs waste more. In a
    /// pool of few pages what counts is how few it holds.
    pub(crate) fn growth(
        &self,
        objects: usize,
        pool_pages: usize,
    ) -> impl Iterator<Item = Run> + '_ {
        let factor = if pool_pages < LARGE { 1 } else { FACTOR };
        let most = objects.saturating_mul(factor);
        let fitting = self.runs.partition_point(|run| run.slots <= most).max(1);
        self.runs[..fitting].iter().rev().copied()
    }

    /// The shortest run that holds `objects` objects; `objects` is in 1..=full().slots.
    pub(crate) fn tail(&self, objects: usize) -> Run {
        if !self.any_tail {
            return self.full();
        }
        let pages = self.pages_for(objects);
        Run {
            pages,
            slots: pages * self.page_size / self.size,
        }
    }

    /// The fewest pages that have `slots` slots. No slot is longer than a page, so a run that has just so
    /// many slots has just so many pages.
    pub(crate) fn pages_for(&self, slots: usize) -> usize {
        (slots * self.size).div_ceil(self.page_size)
    }

    /// T(n): the pages that `objects` objects need when packed into full runs and one tail. This
    /// is what [`freeable`](crate::Pool::freeable) promises and `compact` reaches.
    pub(crate) fn target_pages(&self, objects: usize) -> usize {
        let full = self.full();
        let rest = objects % full.slots;
        let tail = if rest == 0 { 0 } else { self.tail(rest).pages };
        objects / full.slots * full.pages + tail
    }
}

/// All classes of a pool.
#[derive(Debug)]
pub(crate) struct ClassTable {
    min: usize,
    /// The binary logarithm of the step between raw classes.
    step: u32,
    max: usize,
    /// Raw class to index into `chains`.
    serves: Box<[u16]>,
    /// Distinct classes, ascending by size.
    chains: Box<[Chain]>,
}

impl ClassTable {
    /// The caller has checked the ranges of both arguments.
    pub(crate) fn new(policy: ClassPolicy, page_size: usize) -> Self {
        let (min, step, raw) = match policy {
            ClassPolicy::Zsmalloc { chain_size } => (
                MIN_SIZE,
                size_class::step(page_size),
                size_class::table(page_size, chain_size)
                    .iter()
                    .map(|class| Chain::fixed(class, page_size))
                    .collect::<Vec<_>>(),
            ),
            ClassPolicy::Adaptive { max_pages } => {
                // 32 bytes with 4 KiB pages, and as many classes with larger ones.
                let step = page_size / ADAPTIVE_CLASSES;
                let chains = (step..=page_size)
                    .step_by(step)
                    .map(|size| Chain::adaptive(size, page_size, max_pages))
                    .collect();
                (step, step, chains)
            }
        };
        debug_assert!(step.is_power_of_two(), "as the page size is");
        let (serves, chains) = merge(raw);
        Self {
            min,
            step: step.ilog2(),
            max: page_size,
            serves,
            chains,
        }
    }

    /// The longest object, in bytes.
    pub(crate) fn max(&self) -> usize {
        self.max
    }

    /// The class of an object of `len` bytes; `len` is in 1..=max().
    #[inline]
    pub(crate) fn index_of(&self, len: usize) -> usize {
        let raw = (len.saturating_sub(self.min) + (1 << self.step) - 1) >> self.step;
        self.serves[raw] as usize
    }

    pub(crate) fn bytes(&self) -> usize {
        let runs: usize = self.chains.iter().map(|chain| chain.runs.capacity()).sum();
        size_of_val(&*self.serves) + size_of_val(&*self.chains) + runs * size_of::<Run>()
    }

    pub(crate) fn chains(&self) -> &[Chain] {
        &self.chains
    }

    /// The number of the class of `size` bytes before equal ones are merged.
    pub(crate) fn raw_index(&self, size: usize) -> usize {
        (size - self.min) >> self.step
    }

    pub(crate) fn chain(&self, class: usize) -> &Chain {
        &self.chains[class]
    }
}

/// Lets the largest of the neighbours that have the same zspages serve them all.
fn merge(raw: Vec<Chain>) -> (Box<[u16]>, Box<[Chain]>) {
    let mut serves = vec![0u16; raw.len()];
    let mut chains: Vec<Chain> = Vec::new();
    for (index, chain) in raw.into_iter().enumerate().rev() {
        if chains.last().is_none_or(|last| last.runs != chain.runs) {
            chains.push(chain);
        }
        serves[index] = (chains.len() - 1) as u16;
    }
    chains.reverse();
    let last = (chains.len() - 1) as u16;
    for class in &mut serves {
        *class = last - *class;
    }
    (serves.into(), chains.into())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The longest run that is not too long comes first; an empty class begins with the shortest; shorter ones
    /// follow, down to the shortest.
    #[test]
    fn a_class_at_most_doubles_and_in_a_large_pool_grows_fourfold() {
        let table = ClassTable::new(ClassPolicy::default(), 4096);
        for (pool_pages, factor) in [(0, 1), (LARGE - 1, 1), (LARGE, 4), (usize::MAX, 4)] {
            let mut longest = 0;
            for chain in table.chains() {
                let first = chain.runs[0];
                for objects in 0..300 {
                    let growth: Vec<Run> = chain.growth(objects, pool_pages).collect();
                    let fits = |run: &&Run| run.slots <= factor * objects || **run == first;
                    let expected = chain.runs.iter().rev().filter(fits).copied();
                    assert!(growth.iter().copied().eq(expected), "{objects} {chain:?}");
                    longest = longest.max(growth[0].pages);
                }
            }
            assert_eq!(longest, 16);
        }
    }
}
