//! A bounded, process-wide cache of validated edges, so that a thread which is
//! new to a known order does not take the graph's lock.
//!
//! It stands behind the threads' own chain caches and before the graph. It is a
//! set-associative array of fixed size; a full set loses a random entry. An entry
//! spells the edge out and is compared in full: the hash only chooses the set.
//! Serials are never reused, so an entry about a class that is gone is only dead
//! weight.
//!
//! What an entry says: "this edge is in the graph with this label, its cycles
//! were searched for, and its guard set is within these guards". A thread that
//! holds all these guards would not change the guard set, so the graph has
//! nothing to learn from it. This stays true for ever: edges go only with their
//! class, and guard sets only shrink.
//!
//! Readers write nothing and take no lock. Each entry is a sequence lock (H.-J.
//! Boehm, "Can seqlocks get along with programming language memory models?", MSPC
//! 2012): its sequence number is odd while the one [`Writer`] changes it. A reader
//! that sees a change goes to the graph instead of trying again.

use std::hash::{BuildHasher, Hash};
use std::sync::atomic::{AtomicU64, Ordering};

use rustc_hash::FxBuildHasher;

use crate::class::NodeKey;
use crate::guard_set::GuardSet;
use crate::mode::Label;
use crate::mutation;

/// An edge with a label, as the cache compares it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct EdgeKey {
    pub(crate) from: NodeKey,
    pub(crate) to: NodeKey,
    pub(crate) label: Label,
}

/// Edges with more guards are not cached.
const GUARDS: usize = 4;
const WAYS: usize = 4;
/// 16,384 edges in 1 MiB, which costs no memory before it is used.
const SETS: usize = 4096;

/// One edge in one cache line.
#[derive(Debug)]
#[repr(align(64))]
struct Entry {
    /// Odd while the entry is being changed; 0: never used.
    sequence: AtomicU64,
    words: [AtomicU64; WORDS],
}

/// The class held, the class wanted, the small parts of both, the guards' classes.
const WORDS: usize = 3 + GUARDS;
type Words = [u64; WORDS];

#[derive(Debug)]
pub(crate) struct EdgeCache {
    sets: [[Entry; WAYS]; SETS],
}

/// The right to change an [`EdgeCache`]; there is one for each. That of [`CACHE`]
/// is in the graph, and so is used under the graph's lock only.
#[derive(Debug)]
pub(crate) struct Writer {
    /// State of the generator that chooses victims; not 0.
    random: u64,
}

pub(crate) static CACHE: EdgeCache = EdgeCache::new();

impl EdgeKey {
    /// The entry of this edge with these guards; `None` if they are too many.
    fn words(&self, guards: &GuardSet) -> Option<Words> {
        let guards = guards.as_slice();
        if guards.len() > GUARDS {
            return None;
        }
        let mut words = [self.from.class, self.to.class, self.small(), 0, 0, 0, 0];
        for (at, guard) in guards.iter().enumerate() {
            words[3 + at] = pack(guard.node);
        }
        Some(words)
    }

    fn is(&self, words: &Words) -> bool {
        mutation::is_broken(mutation::HASH_TRUSTED)
            || words[..3] == [self.from.class, self.to.class, self.small()]
    }

    /// Both subclasses and the label.
    fn small(&self) -> u64 {
        let label = (self.label.hold() as u64) << 2 | self.label.request() as u64;
        label << 6 | (self.from.subclass as u64) << 3 | self.to.subclass as u64
    }
}

/// A node in one word, not 0: serials begin at 1 and do not reach 2^61.
fn pack(node: NodeKey) -> u64 {
    node.class << 3 | node.subclass as u64
}

impl Entry {
    /// What the entry says; `None` if it is empty or changes just now.
    fn read(&self) -> Option<Words> {
        // Acquire: pairs with the last Release in `write`, so that the words read
        // below are of this change or of a later one.
        let sequence = self.sequence.load(Ordering::Acquire);
        if sequence == 0 || sequence % 2 == 1 {
            return None;
        }
        // Acquire: pairs with the Release of the words in `write`: who reads a
        // word of a later change then reads that change's odd number below.
        let words = self
            .words
            .each_ref()
            .map(|word| word.load(Ordering::Acquire));
        // Relaxed: it comes after the loads above because they are Acquire.
        (self.sequence.load(Ordering::Relaxed) == sequence).then_some(words)
    }

    /// Changes the entry. The caller has the cache's [`Writer`].
    fn write(&self, words: &Words) {
        // Relaxed: only the owner of the `Writer` stores, and it passes from
        // thread to thread through a lock.
        let sequence = self.sequence.load(Ordering::Relaxed);
        // Relaxed: becomes visible with each word below at the latest.
        self.sequence.store(sequence + 1, Ordering::Relaxed);
        for (slot, word) in self.words.iter().zip(words) {
            // Release: pairs with the Acquire of the words in `read`; publishes
            // the odd number.
            slot.store(*word, Ordering::Release);
        }
        // Release: pairs with the first Acquire in `read`; publishes the words.
        self.sequence.store(sequence + 2, Ordering::Release);
    }
}

impl EdgeCache {
    const fn new() -> EdgeCache {
        EdgeCache {
            sets: [const {
                [const {
                    Entry {
                        sequence: AtomicU64::new(0),
                        words: [const { AtomicU64::new(0) }; WORDS],
                    }
                }; WAYS]
            }; SETS],
        }
    }

    fn set(&self, edge: &EdgeKey) -> &[Entry; WAYS] {
        // The upper bits: a multiplicative hash mixes least in the lower ones.
        let hash = FxBuildHasher.hash_one(edge).rotate_left(SETS.ilog2());
        &self.sets[hash as usize % SETS]
    }

    /// Whether the graph has nothing to learn from this edge, seen while the
    /// guards that `held` accepts were held.
    pub(crate) fn knows(&self, edge: &EdgeKey, held: impl Fn(u64) -> bool) -> bool {
        let mut entries = self.set(edge).iter().filter_map(Entry::read);
        let Some(words) = entries.find(|words| edge.is(words)) else {
            return false;
        };
        words[3..].iter().all(|guard| *guard == 0 || held(*guard))
    }
}

/// A guard as [`EdgeCache::knows`] names it.
pub(crate) fn guard_word(node: NodeKey) -> u64 {
    pack(node)
}

impl Writer {
    pub(crate) const fn new() -> Writer {
        Writer {
            random: 0x9E37_79B9_7F4A_7C15,
        }
    }

    /// Enters an edge that was validated and has this guard set, in place of what
    /// was said about it before.
    pub(crate) fn insert(&mut self, cache: &EdgeCache, edge: &EdgeKey, guards: &GuardSet) {
        let Some(words) = edge.words(guards) else {
            return;
        };
        let set = cache.set(edge);
        let same = |entry: &&Entry| entry.read().is_some_and(|words| edge.is(&words));
        let empty = |entry: &&Entry| entry.read().is_none();
        let place = set.iter().find(same).or_else(|| set.iter().find(empty));
        place
            .unwrap_or_else(|| &set[self.random() % WAYS])
            .write(&words);
    }

    /// Marsaglia's xorshift64.
    fn random(&mut self) -> usize {
        self.random ^= self.random << 13;
        self.random ^= self.random >> 7;
        self.random ^= self.random << 17;
        (self.random >> 32) as usize
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::class::Origin;
    use crate::guard_set::Guard;
    use crate::mode::{HoldKind, Request};
    use std::sync::atomic::AtomicBool;

    fn node(class: u64) -> NodeKey {
        NodeKey { class, subclass: 0 }
    }

    fn edge(from: u64, to: u64) -> EdgeKey {
        EdgeKey {
            from: node(from),
            to: node(to),
            label: Label::new(HoldKind::Exclusive, Request::Any),
        }
    }

    fn guards(classes: impl IntoIterator<Item = u64>) -> GuardSet {
        let guard = |class| Guard {
            node: node(class),
            origin: Origin::Instance,
        };
        classes.into_iter().map(guard).collect()
    }

    /// A cache for each test: a `static`, because it is too large for the stack.
    fn known(cache: &EdgeCache, edge: &EdgeKey) -> bool {
        cache.knows(edge, |_| false)
    }

    #[test]
    fn every_part_of_an_edge_counts() {
        static CACHE: EdgeCache = EdgeCache::new();
        let subclass = |class| NodeKey { class, subclass: 1 };
        let label = |hold, request| EdgeKey {
            label: Label::new(hold, request),
            ..edge(1, 2)
        };
        let edges = [
            edge(1, 2),
            edge(2, 1),
            EdgeKey {
                from: subclass(1),
                ..edge(1, 2)
            },
            EdgeKey {
                to: subclass(2),
                ..edge(1, 2)
            },
            label(HoldKind::Shared, Request::Any),
            label(HoldKind::Exclusive, Request::Upgrade),
        ];
        let mut writer = Writer::new();
        for (at, edge) in edges.iter().enumerate() {
            assert!(!known(&CACHE, edge), "edge {at}");
            writer.insert(&CACHE, edge, &GuardSet::default());
            assert!(edges[..=at].iter().all(|edge| known(&CACHE, edge)));
        }
    }

    #[test]
    fn a_guarded_edge_is_known_only_to_who_holds_its_guards() {
        static CACHE: EdgeCache = EdgeCache::new();
        let mut writer = Writer::new();
        let holding = |held: &[u64]| {
            let held: Vec<_> = held.iter().map(|class| guard_word(node(*class))).collect();
            CACHE.knows(&edge(1, 2), |guard| held.contains(&guard))
        };
        writer.insert(&CACHE, &edge(1, 2), &guards([7, 8]));
        assert!(holding(&[6, 7, 8]));
        assert!(!holding(&[7]) && !holding(&[8]) && !holding(&[]));
        // What is entered later replaces it, in the same place.
        writer.insert(&CACHE, &edge(1, 2), &guards([8]));
        assert!(holding(&[8]) && !holding(&[7]));
        writer.insert(&CACHE, &edge(1, 2), &guards([]));
        assert!(holding(&[]));
        // Too many guards to write down.
        writer.insert(&CACHE, &edge(3, 4), &guards(5..10));
        assert!(!CACHE.knows(&edge(3, 4), |_| true));
    }

    #[test]
    fn a_full_set_forgets_but_never_makes_up() {
        static CACHE: EdgeCache = EdgeCache::new();
        let mut writer = Writer::new();
        let many = (SETS * WAYS * 2) as u64;
        for class in 1..=many {
            writer.insert(&CACHE, &edge(class, class + many), &GuardSet::default());
            assert!(
                known(&CACHE, &edge(class, class + many)),
                "the newest stays"
            );
        }
        let kept = (1..=many).filter(|class| known(&CACHE, &edge(*class, class + many)));
        let kept = kept.count();
        assert!(kept > SETS * WAYS / 2, "the hash spreads: {kept}");
        assert!(kept <= SETS * WAYS);
        assert!((1..=many).all(|class| !known(&CACHE, &edge(class + many, class))));
    }

    #[test]
    fn a_torn_entry_is_never_a_hit() {
        static CACHE: EdgeCache = EdgeCache::new();
        static STOP: AtomicBool = AtomicBool::new(false);
        // One entry, in turn about the edges n -> n, guarded by n: a reader that
        // mixes two changes sees words that differ.
        let entry = &CACHE.sets[0][0];
        let read = || {
            let (mut hits, mut tries) = (0u64, 0u64);
            while !STOP.load(Ordering::Relaxed) {
                tries += 1;
                if let Some(words) = entry.read() {
                    hits += 1;
                    assert!(words.iter().all(|word| *word == words[0]), "{words:?}");
                }
            }
            (hits, tries)
        };
        std::thread::scope(|scope| {
            let readers = [scope.spawn(read), scope.spawn(read)];
            for n in 1..300_000 {
                entry.write(&[n; WORDS]);
                if n % 1024 == 0 {
                    // On a single processor the readers get their turn, too.
                    std::thread::yield_now();
                }
            }
            STOP.store(true, Ordering::Relaxed);
            for reader in readers {
                let (hits, tries) = reader.join().expect("no torn entry");
                assert!(hits > 0, "{tries} reads and no hit: nothing was tested");
            }
        });
    }
}
