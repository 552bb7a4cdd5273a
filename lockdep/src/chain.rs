//! Chain ids: a name for "these classes are held, in these modes, in this
//! order", so that a known situation is recognised without the graph.
//!
//! A thread maps (parent chain, class, subclass, mode, checked or not) to a
//! child chain. Ids are never reused, so two equal ids mean equal situations:
//! no hash is trusted, unlike the 64-bit chain keys of the kernel's
//! `lookup_chain_cache`. The link to a child that is *checked* exists only after
//! all edges of that acquisition are in the graph.

use rustc_hash::FxHashMap;

use crate::class::NodeKey;
use crate::mode::Mode;

/// Names a held stack of one thread. Bit 63 set: a single lock, spelled out in
/// the id itself, so that taking a first lock needs no look-up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct ChainId(u64);

impl ChainId {
    /// The chain of one held lock. Nothing has to be checked for it.
    pub(crate) const fn single(node: NodeKey, mode: Mode) -> ChainId {
        ChainId(1 << 63 | node.class << 6 | (node.subclass as u64) << 3 | mode as u64)
    }
}

/// What is acquired on top of a chain.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Link {
    parent: ChainId,
    class: u64,
    /// Subclass (bits 4-6), step (1-3), unchecked (0).
    step: u8,
}

impl Link {
    /// The request waits: it has to be validated once.
    pub(crate) fn checked(parent: ChainId, node: NodeKey, mode: Mode) -> Link {
        Link::new(parent, node, mode as u8, false)
    }

    /// Nothing was validated for this link: the lock was only tried, or the
    /// chain below it changed after the lock was taken.
    pub(crate) fn unchecked(parent: ChainId, node: NodeKey, mode: Mode) -> Link {
        Link::new(parent, node, mode as u8, true)
    }

    /// An upgrade that waits while the parent chain is held.
    pub(crate) fn upgrade(parent: ChainId, node: NodeKey) -> Link {
        Link::new(parent, node, Mode::ALL.len() as u8, false)
    }

    fn new(parent: ChainId, node: NodeKey, step: u8, unchecked: bool) -> Link {
        Link {
            parent,
            class: node.class,
            step: node.subclass << 4 | step << 1 | unchecked as u8,
        }
    }
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    pub(crate) chain: ChainId,
    /// A lock of the same class is held: the pair has to be compared each time.
    pub(crate) nests: bool,
}

/// One thread's links. Forgetting them costs time only.
#[derive(Debug)]
pub(crate) struct ChainCache {
    links: FxHashMap<Link, Child>,
    next: u64,
}

impl ChainCache {
    /// Links are forgotten when so many are known: 4 MiB at most. Classes that
    /// come and go would otherwise add links for ever.
    const CAPACITY: usize = 1 << 16;

    pub(crate) fn new() -> ChainCache {
        ChainCache {
            links: FxHashMap::default(),
            next: 0,
        }
    }

    #[inline]
    pub(crate) fn get(&self, link: &Link) -> Option<Child> {
        self.links.get(link).copied()
    }

    pub(crate) fn insert(&mut self, link: Link, nests: bool) -> ChainId {
        if self.links.len() >= Self::CAPACITY {
            self.links.clear();
        }
        let chain = ChainId(self.next);
        self.next += 1;
        self.links.insert(link, Child { chain, nests });
        chain
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
        assert!(cache.links.len() <= ChainCache::CAPACITY);
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
