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
use crate::mutation;

/// Names a held stack of one thread. Bit 63 set: a single lock, spelled out in
/// the id itself, so that taking a first lock needs no look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChainId(u64);

impl ChainId {
    /// The chain of one held lock. Nothing has to be checked for it.
    #[inline]
    pub(crate) const fn single(node: NodeKey, mode: Mode) -> ChainId {
        Self::first(node.class, (node.subclass as u32) << 3 | mode as u32)
    }

    /// The same, with mode and subclass as a [`Call`](crate::call::Call) has them.
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
    /// An acquisition as its [`Call`](crate::call::Call) has it: one that waits
    /// is checked.
    #[inline]
    pub(crate) fn acquire(parent: ChainId, class: u64, step: u32, tries: bool) -> Link {
        let tries = tries && !mutation::is_broken(mutation::TRY_BIT_LOST);
        let step = if mutation::is_broken(mutation::MODE_LOST) {
            step & !0b111
        } else {
            step
        };
        Link {
            parent,
            what: class << 7 | (step << 1 | tries as u32) as u64,
        }
    }

    /// The request waits: it has to be validated once.
    #[inline]
    pub(crate) fn checked(parent: ChainId, node: NodeKey, mode: Mode) -> Link {
        Link::step(parent, node, mode as u8, false)
    }

    /// Nothing was validated for this link: the lock was only tried, or the
    /// chain below it changed after the lock was taken.
    #[inline]
    pub(crate) fn unchecked(parent: ChainId, node: NodeKey, mode: Mode) -> Link {
        Link::step(parent, node, mode as u8, true)
    }

    /// An upgrade that waits while the parent chain is held.
    pub(crate) fn upgrade(parent: ChainId, node: NodeKey) -> Link {
        Link::step(parent, node, Mode::ALL.len() as u8, false)
    }

    fn step(parent: ChainId, node: NodeKey, step: u8, unchecked: bool) -> Link {
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

/// One thread's links. Forgetting them costs time only.
///
/// An open-addressed table with linear probing, in which the place of a link is
/// the lower part of its child's id: the id is known before the entry has come
/// from memory. The upper part counts how often the table was emptied, so that ids
/// are not reused. Two words an entry keep the 20,000 links of a large program in
/// a processor's own cache; a general map takes five and two look-ups.
///
/// Invariants: its length is a power of two; a part of it is empty, so that every
/// probe ends; no entry has an empty place between its home and itself, and none
/// ever moves or goes alone.
#[derive(Debug)]
pub(crate) struct ChainCache {
    /// Links as they are, but with `NESTS` in `what`; no link is all zeros.
    entries: Box<[Link]>,
    used: usize,
    /// The id of the child of the link at place 0.
    base: u64,
}

impl ChainCache {
    /// Links are forgotten when so many places are taken: 2 MiB. Classes that
    /// come and go would otherwise add links for ever.
    const LARGEST: usize = 1 << 17;
    const SMALLEST: usize = 64;
    /// The product's bits from here on choose among `LARGEST` places.
    const SHIFT: u32 = u64::BITS - Self::LARGEST.ilog2();
    /// In an entry's `what`; classes do not reach so high.
    const NESTS: u64 = 1 << 63;
    const EMPTY: Link = Link {
        parent: ChainId(0),
        what: 0,
    };

    pub(crate) fn new() -> ChainCache {
        ChainCache {
            entries: Box::new([Self::EMPTY; Self::SMALLEST]),
            used: 0,
            base: Self::LARGEST as u64,
        }
    }

    /// Where the link's probe begins.
    #[inline]
    fn home(&self, link: &Link) -> usize {
        // Fibonacci hashing: the upper bits of the product are the well mixed ones.
        // Parent and class differ in their lower bits, which the rotation parts.
        const PHI: u64 = 0x9e37_79b9_7f4a_7c15;
        let mixed = (link.parent.0 ^ link.what.rotate_left(20)).wrapping_mul(PHI);
        (mixed >> Self::SHIFT) as usize & (self.entries.len() - 1)
    }

    /// The child of the link at this place.
    #[inline]
    fn child(&self, at: usize) -> ChainId {
        ChainId(self.base + at as u64)
    }

    /// The place of the link, or the empty one where it belongs.
    #[inline(never)]
    fn find(&self, link: &Link) -> usize {
        let mut at = self.home(link);
        loop {
            let entry = self.entries[at];
            let same = entry.parent == link.parent && entry.what & !Self::NESTS == link.what;
            if same || entry == Self::EMPTY {
                return at;
            }
            at = (at + 1) & (self.entries.len() - 1);
        }
    }

    pub(crate) fn get(&self, link: &Link) -> Option<Child> {
        let at = self.find(link);
        (self.entries[at] != Self::EMPTY).then(|| Child {
            chain: self.child(at),
            nests: self.entries[at].what & Self::NESTS != 0,
        })
    }

    /// The child, if it is known and does not nest.
    #[inline]
    pub(crate) fn get_simple(&self, link: &Link) -> Option<ChainId> {
        let mut at = self.home(link);
        if self.entries[at] != *link {
            at = self.find(link);
            if self.entries[at] != *link {
                return None;
            }
        }
        Some(self.child(at))
    }

    /// Adds a link that is not there.
    pub(crate) fn insert(&mut self, link: Link, nests: bool) -> ChainId {
        if self.used >= self.entries.len() / 8 * 5 {
            self.forget();
        }
        let at = self.find(&link);
        self.used += 1;
        self.entries[at] = Link {
            what: link.what | if nests { Self::NESTS } else { 0 },
            ..link
        };
        self.child(at)
    }

    /// Empties the table, for twice as many if there may be so many. What is
    /// needed comes back: its edges are known.
    fn forget(&mut self) {
        let len = (self.entries.len() * 2).min(Self::LARGEST);
        self.entries = vec![Self::EMPTY; len].into_boxed_slice();
        self.used = 0;
        self.base += Self::LARGEST as u64;
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
        for _ in 0..ChainCache::LARGEST {
            parent = cache.get_or_insert(Link::checked(parent, B, Mode::Exclusive));
            assert_ne!(parent, first);
        }
        assert!(cache.entries.len() == ChainCache::LARGEST && cache.used <= ChainCache::LARGEST);
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
