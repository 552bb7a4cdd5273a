//! Chain ids: a name for "these classes are held, in these modes, in this
//! order", so that a known situation is recognised without the graph.
//!
//! A thread maps (parent chain, class, subclass, mode, checked or not) to a
//! child chain. Ids are never reused, so two equal ids mean equal situations:
//! no hash is trusted, unlike the 64-bit chain keys of the kernel's
//! `lookup_chain_cache`. The link to a child that is *checked* exists only after
//! all edges of that acquisition are in the graph.

use crate::class::NodeKey;
use crate::mode::Mode;

/// Names a held stack of one thread. Bit 63 set: a single lock, spelled out in
/// the id itself, so that taking a first lock needs no look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChainId(u64);

impl ChainId {
    /// No chain: the table's empty places have it as their child.
    const NONE: ChainId = ChainId(0);

    /// The chain of one held lock. Nothing has to be checked for it.
    #[inline]
    pub(crate) const fn single(node: NodeKey, mode: Mode) -> ChainId {
        Self::first(node.class, (node.subclass as u32) << 3 | mode as u32)
    }

    /// The same, with mode and subclass as a [`Call`](crate::acquire::Call) has them.
    #[inline]
    pub(crate) const fn first(class: u64, step: u32) -> ChainId {
        ChainId(1 << 63 | class << 6 | step as u64)
    }
}

/// What is acquired on top of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    parent: ChainId,
    /// Class (bits 7 and up), subclass (4-6), mode or upgrade (1-3), unchecked (0).
    what: u64,
}

impl Link {
    /// An acquisition as its [`Call`](crate::acquire::Call) has it: one that waits
    /// is checked.
    #[inline]
    pub(crate) const fn acquire(parent: ChainId, class: u64, step: u32, tries: bool) -> Link {
        Link {
            parent,
            what: class << 7 | (step << 1 | tries as u32) as u64,
        }
    }

    /// The request waits: it has to be validated once.
    #[inline]
    pub(crate) const fn checked(parent: ChainId, node: NodeKey, mode: Mode) -> Link {
        Link::step(parent, node, mode as u8, false)
    }

    /// Nothing was validated for this link: the lock was only tried, or the
    /// chain below it changed after the lock was taken.
    #[inline]
    pub(crate) const fn unchecked(parent: ChainId, node: NodeKey, mode: Mode) -> Link {
        Link::step(parent, node, mode as u8, true)
    }

    /// An upgrade that waits while the parent chain is held.
    pub(crate) const fn upgrade(parent: ChainId, node: NodeKey) -> Link {
        Link::step(parent, node, Mode::ALL.len() as u8, false)
    }

    const fn step(parent: ChainId, node: NodeKey, step: u8, unchecked: bool) -> Link {
        let step = (node.subclass as u32) << 3 | step as u32;
        Link::acquire(parent, node.class, step, unchecked)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Child {
    pub(crate) chain: ChainId,
    /// A lock of the same class is held: the pair has to be compared each time.
    pub(crate) nests: bool,
}

/// A link and where it leads: the child's id, and in the lowest bit whether it
/// nests. Three words, so that the 20,000 links of a large program stay in a
/// processor's own cache; a general map takes five and two look-ups.
#[derive(Clone, Copy, Debug)]
struct Entry {
    link: Link,
    child: u64,
}

impl Entry {
    const EMPTY: Entry = Entry {
        link: Link {
            parent: ChainId::NONE,
            what: 0,
        },
        child: ChainId::NONE.0,
    };

    #[inline]
    const fn is_empty(&self) -> bool {
        self.child == ChainId::NONE.0
    }
}

/// One thread's links. Forgetting them costs time only.
///
/// An open-addressed table with linear probing. Invariants: its length is a power
/// of two; at least half of it is empty, so that every probe ends; no entry
/// has an empty place between its home and itself (nothing is ever removed alone).
#[derive(Debug)]
pub(crate) struct ChainCache {
    entries: Box<[Entry]>,
    used: usize,
    next: u64,
}

impl ChainCache {
    /// Links are forgotten when so many are known: 3 MiB at most. Classes that
    /// come and go would otherwise add links for ever.
    const CAPACITY: usize = 1 << 16;
    const FIRST: usize = 64;

    pub(crate) fn new() -> ChainCache {
        ChainCache {
            entries: Box::new([Entry::EMPTY; Self::FIRST]),
            used: 0,
            next: 1,
        }
    }

    /// Where the link's probe begins.
    #[inline]
    fn home(&self, link: &Link) -> usize {
        // Fibonacci hashing; the upper half of the product is the well mixed one.
        const PHI: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (link.parent.0 ^ link.what.rotate_left(32)).wrapping_mul(PHI);
        (mixed >> 32) as usize & (self.entries.len() - 1)
    }

    /// The place of the link, or the empty one where it belongs.
    fn find(&self, link: &Link) -> usize {
        let mut at = self.home(link);
        loop {
            let entry = &self.entries[at];
            if entry.link == *link || entry.is_empty() {
                return at;
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    #[inline]
    pub(crate) fn get(&self, link: &Link) -> Option<Child> {
        let entry = &self.entries[self.find(link)];
        (!entry.is_empty()).then_some(Child {
            chain: ChainId(entry.child >> 1),
            nests: entry.child & 1 != 0,
        })
    }

    #[inline(never)]
    fn probe(&self, link: &Link) -> &Entry {
        &self.entries[self.find(link)]
    }

    /// The child, if it is known and does not nest.
    #[inline]
    pub(crate) fn get_simple(&self, link: &Link) -> Option<ChainId> {
        let mut entry = &self.entries[self.home(link)];
        if entry.link != *link {
            entry = self.probe(link);
        }
        let child = entry.child;
        // Nests, or is no child at all: the empty place's is 0.
        if child & 1 != 0 || child == ChainId::NONE.0 {
            return None;
        }
        Some(ChainId(child >> 1))
    }

    /// Adds a link that is not there.
    pub(crate) fn insert(&mut self, link: Link, nests: bool) -> ChainId {
        if self.used >= Self::CAPACITY {
            self.entries.fill(Entry::EMPTY);
            self.used = 0;
        } else if self.used >= self.entries.len() / 2 {
            self.grow();
        }
        let chain = ChainId(self.next);
        self.next += 1;
        self.used += 1;
        let at = self.find(&link);
        self.entries[at] = Entry {
            link,
            child: chain.0 << 1 | u64::from(nests),
        };
        chain
    }

    fn grow(&mut self) {
        let doubled = vec![Entry::EMPTY; self.entries.len() * 2].into_boxed_slice();
        let entries = std::mem::replace(&mut self.entries, doubled);
        for entry in entries.iter().filter(|entry| !entry.is_empty()) {
            let at = self.find(&entry.link);
            self.entries[at] = *entry;
        }
    }

    pub(crate) fn get_or_insert(&mut self, link: Link) -> ChainId {
        match self.get(&link) {
            Some(child) => child.chain,
            None => self.insert(link, false),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const A: NodeKey = NodeKey {
        class: 1,
        subclass: 0,
    };
    const B: NodeKey = NodeKey {
        class: 2,
        subclass: 0,
    };

    #[test]
    fn every_part_of_a_link_makes_another_chain() {
        let mut cache = ChainCache::new();
        let a = ChainId::single(A, Mode::Exclusive);
        let b1 = NodeKey {
            class: 2,
            subclass: 1,
        };
        let links = [
            Link::checked(a, B, Mode::Exclusive),
            Link::checked(a, B, Mode::Shared),
            Link::checked(a, b1, Mode::Exclusive),
            Link::unchecked(a, B, Mode::Exclusive),
            Link::upgrade(a, B),
            Link::checked(ChainId::single(A, Mode::Shared), B, Mode::Exclusive),
            Link::checked(a, A, Mode::Exclusive),
        ];
        let chains = links.map(|link| cache.get_or_insert(link));
        for (i, chain) in chains.iter().enumerate() {
            assert_eq!(cache.get(&links[i]).unwrap().chain, *chain);
            assert!(!chains[..i].contains(chain), "link {i} shares its chain");
        }
    }

    #[test]
    fn ids_are_not_reused_after_the_links_are_forgotten() {
        let mut cache = ChainCache::new();
        let mut parent = ChainId::single(A, Mode::Exclusive);
        let first = cache.get_or_insert(Link::checked(parent, B, Mode::Shared));
        for _ in 0..ChainCache::CAPACITY {
            parent = cache.get_or_insert(Link::checked(parent, B, Mode::Exclusive));
            assert_ne!(parent, first);
        }
        assert!(cache.used <= ChainCache::CAPACITY);
        assert_ne!(
            cache.get_or_insert(Link::checked(
                ChainId::single(A, Mode::Exclusive),
                B,
                Mode::Shared
            )),
            first
        );
    }
}
