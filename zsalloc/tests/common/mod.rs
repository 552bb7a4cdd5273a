//! What several tests share.
#![allow(dead_code, reason = "each test crate uses a part")]

pub(crate) mod calling_back;
pub(crate) mod kernel;
pub(crate) mod locks;
pub(crate) mod regions;
pub(crate) mod watched;

use zsalloc::lock_api::RawRwLock;
use zsalloc::{Handle, PageSource, Pool};

/// xorshift64*: small, seeded, and good enough to pick sizes and victims.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    fn word(&mut self) -> [u8; 8] {
        self.next().to_le_bytes()
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        ((self.next() >> 16) % end as u64) as usize
    }
}

/// Bytes that any part of another object, or a torn copy, would contradict: the first eight name
/// the object, the rest follow from them.
pub(crate) fn fill(object: &mut [u8], name: u64) {
    let mut random = Random::new(name);
    let mut word = name.to_le_bytes();
    for chunk in object.chunks_mut(8) {
        chunk.copy_from_slice(&word[..chunk.len()]);
        word = random.word();
    }
}

pub(crate) fn object(len: usize, name: u64) -> Vec<u8> {
    let mut bytes = vec![0; len];
    fill(&mut bytes, name);
    bytes
}

/// Whether `object` is exactly what `fill` made of some name.
pub(crate) fn is_intact(object: &[u8]) -> bool {
    let mut name = [0; 8];
    let head = object.len().min(8);
    name[..head].copy_from_slice(&object[..head]);
    let mut random = Random::new(u64::from_le_bytes(name));
    object[head..]
        .chunks(8)
        .all(|chunk| *chunk == random.word()[..chunk.len()])
}

/// So many objects of one length.
pub(crate) fn equal_objects<L: RawRwLock, S: PageSource>(
    pool: &Pool<L, S>,
    count: u64,
    len: usize,
) -> Vec<Handle> {
    let objects = (0..count).map(|name| object(len, name));
    objects.map(|bytes| pool.insert(&bytes).unwrap()).collect()
}

/// The objects are what they were, nothing is mapped, and no zspage is empty.
#[track_caller]
pub(crate) fn assert_at_rest<L: RawRwLock, S: PageSource>(pool: &Pool<L, S>, handles: &[Handle]) {
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
    let at_rest = |zspage: zsalloc::ZspageInfo| zspage.used > 0 && !zspage.mapped;
    assert!(pool.zspages().all(at_rest));
}

/// Objects of random lengths of which a random half is freed.
pub(crate) fn half_freed<L: RawRwLock, S: PageSource>(
    pool: &Pool<L, S>,
    random: &mut Random,
    count: u64,
) -> Vec<Handle> {
    let mut handles: Vec<Handle> = (0..count)
        .map(|name| pool.insert(&object(1 + random.below(4096), name)).unwrap())
        .collect();
    for _ in 0..count / 2 {
        let victim = random.below(handles.len());
        pool.free(handles.swap_remove(victim));
    }
    handles
}

/// Every page that a compaction left has its reason; `freeable` is what the pool says now.
#[track_caller]
pub(crate) fn assert_explained(report: &zsalloc::CompactReport, freeable: usize) {
    let left: usize = report.classes.iter().map(|class| class.pages_left).sum();
    // Classes behind the one that spent the budget are not in the report.
    assert!(left == freeable || report.budget_spent && left < freeable);
    for class in &report.classes {
        let sum = class.pages_mapped + class.pages_unfinished;
        assert_eq!(class.pages_left, sum, "{class:?}");
        let reason = class.source_failed || class.overtaken || class.budget_spent;
        assert!(class.pages_unfinished == 0 || reason, "{class:?}");
        assert!(
            class.pages_mapped == 0 || class.zspages_mapped > 0,
            "{class:?}"
        );
    }
}
