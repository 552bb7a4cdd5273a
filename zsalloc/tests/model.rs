//! The pool against a model: a map from handles to bytes, under random operations, with compaction,
//! migration and a failing page source in the mix.

mod common;

use std::collections::HashSet;
use std::sync::Arc;

use common::object;
use proptest::prelude::*;
use zsalloc::{AllocError, ClassPolicy, Failing, Handle, Heap, MigrateError, Pool};

#[derive(Clone, Debug)]
enum Op {
    Insert(usize),
    Alloc(usize),
    Free(usize),
    Take(usize),
    Replace(usize, usize),
    Write(usize),
    Migrate(usize),
    Compact,
    /// Lets the allocation after so many more fail.
    Fail(u64),
}

/// Few classes, so that zspages fill; and now and then any length.
fn len() -> impl Strategy<Value = usize> {
    prop_oneof![
        4 => (1_usize..=3).prop_map(|class| class * 96),
        2 => Just(1100_usize),
        1 => 1..=4096_usize,
    ]
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        12 => len().prop_map(Op::Insert),
        2 => len().prop_map(Op::Alloc),
        8 => any::<usize>().prop_map(Op::Free),
        1 => any::<usize>().prop_map(Op::Take),
        3 => (any::<usize>(), len()).prop_map(|(victim, len)| Op::Replace(victim, len)),
        2 => any::<usize>().prop_map(Op::Write),
        2 => any::<usize>().prop_map(Op::Migrate),
        1 => Just(Op::Compact),
        1 => (0_u64..4).prop_map(Op::Fail),
    ]
}

fn policy() -> impl Strategy<Value = ClassPolicy> {
    prop_oneof![
        (4_usize..=16).prop_map(|chain_size| ClassPolicy::Zsmalloc { chain_size }),
        (1_usize..=16).prop_map(|max_pages| ClassPolicy::Adaptive { max_pages }),
    ]
}

struct Checked {
    source: Arc<Failing<Heap>>,
    pool: Pool<zslock::RawZsLock, Arc<Failing<Heap>>>,
    objects: Vec<(Handle, Vec<u8>)>,
    names: u64,
    max_pages: usize,
    retain: usize,
}

impl Checked {
    fn new(policy: ClassPolicy, max_pages: usize, retain: usize) -> Self {
        let source = Arc::new(Failing::new(Heap::new()));
        let builder = Pool::builder().classes(policy).backend(source.clone());
        let builder = builder.max_pages(max_pages).retain_pages(retain);
        Self {
            source,
            pool: builder.build().unwrap(),
            objects: Vec::new(),
            names: 0,
            max_pages,
            retain,
        }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.names += 1;
        object(len, self.names)
    }

    fn victim(&self, victim: usize) -> Option<usize> {
        victim.checked_rem(self.objects.len())
    }

    /// An insertion may fail only as it was told to.
    fn expected_failure(&self, error: AllocError) {
        match error {
            AllocError::OutOfMemory => {}
            AllocError::Limit { max_pages } => assert_eq!(max_pages, self.max_pages),
            other => panic!("{other}"),
        }
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert(len) => {
                let bytes = self.bytes(len);
                match self.pool.insert(&bytes) {
                    Ok(handle) => self.objects.push((handle, bytes)),
                    Err(error) => self.expected_failure(error),
                }
            }
            Op::Alloc(len) => match self.pool.alloc(len) {
                Ok(handle) => self.objects.push((handle, vec![0; len])),
                Err(error) => self.expected_failure(error),
            },
            Op::Free(victim) => {
                if let Some(victim) = self.victim(victim) {
                    self.pool.free(self.objects.swap_remove(victim).0);
                }
            }
            Op::Take(victim) => {
                if let Some(victim) = self.victim(victim) {
                    let (handle, bytes) = self.objects.swap_remove(victim);
                    let mut taken = b"before".to_vec();
                    self.pool.take(handle, &mut taken);
                    assert_eq!(taken.split_off(6), bytes);
                    assert_eq!(taken, b"before");
                }
            }
            Op::Replace(victim, len) => {
                if let Some(victim) = self.victim(victim) {
                    let bytes = self.bytes(len);
                    let (handle, old) = &mut self.objects[victim];
                    match self.pool.replace(handle, &bytes) {
                        Ok(()) => *old = bytes,
                        Err(error) => self.expected_failure(error),
                    }
                }
            }
            Op::Write(victim) => {
                if let Some(victim) = self.victim(victim) {
                    let bytes = self.bytes(self.objects[victim].1.len());
                    let (handle, old) = &mut self.objects[victim];
                    self.pool.write(handle).copy_from_slice(&bytes);
                    *old = bytes;
                }
            }
            Op::Migrate(n) => {
                let zspages: Vec<_> = self.pool.zspages().collect();
                if let Some(n) = n.checked_rem(zspages.len()) {
                    let result = self.pool.migrate(zspages[n].id);
                    assert!(matches!(result, Ok(()) | Err(MigrateError::Source)));
                }
            }
            Op::Compact => {
                let (before, freeable) = (self.pool.resident_pages(), self.pool.freeable());
                let report = self.pool.compact();
                if !report.classes.iter().any(|class| class.source_failed) {
                    assert_eq!(report.pages_freed, freeable);
                    assert_eq!(self.pool.freeable(), 0);
                }
                // What compaction frees may be retained.
                assert!(self.pool.resident_pages() <= before + self.retain);
            }
            Op::Fail(after) => self.source.fail_at(self.source.calls() + after),
        }
    }

    fn check(&self) {
        let mut handles = HashSet::new();
        for (handle, bytes) in &self.objects {
            assert_eq!(*self.pool.read(handle), **bytes);
            assert_eq!(self.pool.len(handle), bytes.len());
            assert!(handles.insert(handle), "two objects, one handle");
        }
        let zspages: Vec<_> = self.pool.zspages().collect();
        let used: usize = zspages.iter().map(|zspage| zspage.used).sum();
        assert_eq!(used, self.objects.len());
        assert_eq!(self.pool.stats().objects, used);
        assert!(
            zspages
                .iter()
                .all(|zspage| zspage.used > 0 && !zspage.mapped)
        );
        assert!(self.pool.resident_pages() <= self.max_pages);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_pool_does_what_a_map_does(
        policy in policy(),
        max_pages in prop_oneof![Just(usize::MAX), 20..60_usize],
        retain in prop_oneof![Just(0), 1..20_usize],
        ops in proptest::collection::vec(op(), 1..500),
    ) {
        let mut checked = Checked::new(policy, max_pages, retain);
        for (n, op) in ops.into_iter().enumerate() {
            checked.apply(op);
            if n % 16 == 0 {
                checked.check();
            }
        }
        checked.check();
        for (handle, _) in checked.objects.drain(..) {
            checked.pool.free(handle);
        }
        prop_assert!(checked.pool.resident_pages() <= retain);
    }
}
