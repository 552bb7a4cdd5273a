//! The pool against a model, a list of handles and bytes, under random operations: compaction of
//! every kind, migration, evacuation, a failing page source, a page limit, maps that are held
//! meanwhile, on several locks.

mod common;

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use common::{kernel, locks, object};
use proptest::prelude::*;
use zsalloc::lock_api::RawRwLock;
use zsalloc::{
    AllocError, AutoCompact, Budget, ClassPolicy, CompactReport, EvacuateReport, Failing, Handle,
    HandleError, Heap, MappedOwned, MigrateError, Pool, StayReason,
};

#[derive(Clone, Debug)]
enum Op {
    Insert(usize),
    Alloc(usize),
    Free(usize),
    FreeMany(Vec<usize>),
    Take(usize),
    Replace(usize, usize),
    Write(usize),
    CopyTo(usize, usize),
    Migrate(usize),
    Evacuate(usize),
    Compact,
    CompactPages(usize),
    CompactTime(u64),
    Trim,
    /// Maps an object until `Release`, or until the end.
    Hold(usize),
    Release(usize),
    /// Does the operations while an object is mapped.
    Under(usize, Vec<Op>),
    Foreign(usize),
    ThroughRaw(usize),
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

fn one_op() -> impl Strategy<Value = Op> {
    let any = any::<usize>;
    prop_oneof![
        24 => len().prop_map(Op::Insert),
        4 => len().prop_map(Op::Alloc),
        14 => any().prop_map(Op::Free),
        1 => proptest::collection::vec(any(), 0..40).prop_map(Op::FreeMany),
        2 => any().prop_map(Op::Take),
        6 => (any(), len()).prop_map(|(victim, len)| Op::Replace(victim, len)),
        4 => any().prop_map(Op::Write),
        1 => (any(), 0..5000_usize).prop_map(|(victim, len)| Op::CopyTo(victim, len)),
        3 => any().prop_map(Op::Migrate),
        1 => any().prop_map(Op::Evacuate),
        1 => Just(Op::Compact),
        1 => (0..8_usize).prop_map(Op::CompactPages),
        1 => (0..50_u64).prop_map(Op::CompactTime),
        1 => Just(Op::Trim),
        3 => any().prop_map(Op::Hold),
        3 => any().prop_map(Op::Release),
        1 => any().prop_map(Op::Foreign),
        1 => any().prop_map(Op::ThroughRaw),
        2 => (0_u64..4).prop_map(Op::Fail),
    ]
}

fn op() -> impl Strategy<Value = Op> {
    let under = (any::<usize>(), proptest::collection::vec(one_op(), 1..10));
    prop_oneof![
        20 => one_op(),
        1 => under.prop_map(|(victim, ops)| Op::Under(victim, ops)),
    ]
}

#[derive(Clone, Debug)]
struct Config {
    classes: ClassPolicy,
    max_pages: usize,
    retain: usize,
    /// Automatic compaction.
    slack: Option<f32>,
    /// Objects at the beginning.
    objects: usize,
}

fn config() -> impl Strategy<Value = Config> {
    let classes = prop_oneof![
        (4_usize..=16).prop_map(|chain_size| ClassPolicy::Zsmalloc { chain_size }),
        (1_usize..=16).prop_map(|max_pages| ClassPolicy::Adaptive { max_pages }),
    ];
    let max_pages = prop_oneof![Just(usize::MAX), 20..60_usize];
    let retain = prop_oneof![Just(0), 1..20_usize];
    let slack = prop_oneof![Just(None), (0_f32..=0.3).prop_map(Some), Just(Some(0.0))];
    let objects = prop_oneof![0..10_usize, 0..500_usize];
    (classes, max_pages, retain, slack, objects).prop_map(
        |(classes, max_pages, retain, slack, objects)| Config {
            classes,
            max_pages,
            retain,
            slack,
            objects,
        },
    )
}

type Source = Arc<Failing<Heap>>;
type OwnedMap<L> = MappedOwned<Arc<Pool<L, Source>>, Arc<Handle>>;

struct Object {
    /// Shared with the maps that are held.
    handle: Arc<Handle>,
    bytes: Vec<u8>,
}

/// A map, and where its object was at first.
struct Held<L: RawRwLock> {
    map: OwnedMap<L>,
    address: *const u8,
    bytes: Vec<u8>,
}

impl<L: RawRwLock> Held<L> {
    fn check(&self) {
        assert_eq!(self.map.as_ptr(), self.address, "a mapped object moved");
        assert_eq!(*self.map, *self.bytes);
    }
}

struct Checked<L: RawRwLock> {
    held: Vec<Held<L>>,
    objects: Vec<Object>,
    source: Source,
    pool: Arc<Pool<L, Source>>,
    other: Pool,
    config: Config,
    names: u64,
    frees: u64,
    /// Objects that compaction, migration and evacuation have reported as moved.
    reported: u64,
    metadata_when_new: usize,
}

impl<L: RawRwLock + Send + Sync + 'static> Checked<L> {
    fn new(config: &Config, new_lock: fn() -> L) -> Self {
        let source = Arc::new(Failing::new(Heap::new()));
        let builder = Pool::builder().classes(config.classes).lock_with(new_lock);
        let builder = builder.backend(source.clone()).max_pages(config.max_pages);
        let builder = builder.retain_pages(config.retain);
        let pool = match config.slack {
            Some(slack) => builder.auto_compact(AutoCompact::default().slack(slack)),
            None => builder,
        };
        let pool = Arc::new(pool.build().unwrap());
        Self {
            held: Vec::new(),
            objects: Vec::new(),
            source,
            other: Pool::new(),
            config: config.clone(),
            names: 0,
            frees: 0,
            reported: 0,
            metadata_when_new: pool.stats().metadata_bytes,
            pool,
        }
    }

    fn bytes(&mut self, len: usize) -> Vec<u8> {
        self.names += 1;
        object(len, self.names)
    }

    fn store(&mut self, stored: Result<Handle, AllocError>, bytes: Vec<u8>) {
        match stored {
            Ok(handle) => {
                let handle = Arc::new(handle);
                self.objects.push(Object { handle, bytes });
            }
            Err(error) => self.expected_failure(error),
        }
    }

    /// An insertion may fail only as it was told to.
    fn expected_failure(&self, error: AllocError) {
        match error {
            AllocError::OutOfMemory => {}
            AllocError::Limit { max_pages } => assert_eq!(max_pages, self.config.max_pages),
            other => panic!("{other}"),
        }
    }

    fn victim(&self, victim: usize) -> Option<usize> {
        victim.checked_rem(self.objects.len())
    }

    /// Takes an object that is not mapped out of the model.
    fn take_out(&mut self, victim: usize) -> Option<(Handle, Vec<u8>)> {
        let victim = self.victim(victim)?;
        if Arc::strong_count(&self.objects[victim].handle) > 1 {
            return None;
        }
        let Object { handle, bytes } = self.objects.swap_remove(victim);
        self.frees += 1;
        Some((Arc::into_inner(handle).unwrap(), bytes))
    }

    fn apply(&mut self, op: Op) {
        match op {
            Op::Insert(len) => {
                let bytes = self.bytes(len);
                self.store(self.pool.insert(&bytes), bytes);
            }
            Op::Alloc(len) => self.store(self.pool.alloc(len), vec![0; len]),
            Op::Replace(victim, len) => self.replace(victim, len),
            Op::Write(victim) => self.write(victim),
            Op::Migrate(n) => self.migrate(n),
            Op::Evacuate(n) => self.evacuate(n),
            Op::Compact => self.compact(None),
            Op::CompactPages(pages) => self.compact(Some(Budget::Pages(pages))),
            Op::CompactTime(us) => self.compact(Some(Budget::Time(Duration::from_micros(us)))),
            Op::Trim => {
                self.pool.trim();
                let zspages = self.pool.zspages().map(|zspage| zspage.pages);
                assert_eq!(self.pool.resident_pages(), zspages.sum());
            }
            Op::Hold(victim) => self.hold(victim),
            Op::Release(n) => {
                if let Some(n) = n.checked_rem(self.held.len()) {
                    self.held.swap_remove(n).check();
                }
            }
            Op::Under(victim, ops) => self.under(victim, ops),
            Op::Fail(after) => self.source.fail_at(self.source.calls() + after),
            Op::CopyTo(victim, len) => self.copy_to(victim, len),
            Op::Free(_) | Op::FreeMany(_) | Op::Take(_) | Op::Foreign(_) | Op::ThroughRaw(_) => {
                self.give_up(op);
            }
        }
    }

    /// Operations that take the handle.
    fn give_up(&mut self, op: Op) {
        match op {
            Op::FreeMany(victims) => {
                let victims = victims.into_iter();
                let handles: Vec<_> = victims.filter_map(|victim| self.take_out(victim)).collect();
                self.pool
                    .free_many(handles.into_iter().map(|(handle, _)| handle));
            }
            Op::Free(victim) => {
                if let Some((handle, _)) = self.take_out(victim) {
                    self.pool.checked_free(handle).unwrap();
                }
            }
            Op::Take(victim) => {
                if let Some((handle, bytes)) = self.take_out(victim) {
                    let mut taken = b"before".to_vec();
                    self.pool.take(handle, &mut taken);
                    assert_eq!(taken.split_off(6), bytes);
                    assert_eq!(taken, b"before");
                }
            }
            Op::Foreign(victim) => {
                if let Some((handle, bytes)) = self.take_out(victim) {
                    self.frees -= 1;
                    let error = self.other.checked_read(&handle).unwrap_err();
                    assert!(matches!(error, HandleError::ForeignPool { .. }));
                    let (handle, error) = self.other.checked_free(handle).unwrap_err();
                    assert!(matches!(error, HandleError::ForeignPool { .. }));
                    self.store(Ok(handle), bytes);
                }
            }
            Op::ThroughRaw(victim) => {
                if let Some((handle, bytes)) = self.take_out(victim) {
                    self.frees -= 1;
                    let raw = handle.into_raw();
                    // SAFETY: from `into_raw`, and turned back once.
                    let handle = unsafe { Handle::from_raw(raw) };
                    self.store(Ok(handle), bytes);
                }
            }
            other => unreachable!("{other:?}"),
        }
    }

    fn copy_to(&mut self, victim: usize, len: usize) {
        if let Some(victim) = self.victim(victim) {
            let Object { handle, bytes } = &self.objects[victim];
            if len >= bytes.len() {
                let mut copy = vec![0xee; len];
                assert_eq!(self.pool.copy_to(handle, &mut copy), bytes.len());
                assert_eq!(copy[..bytes.len()], **bytes);
                assert!(copy[bytes.len()..].iter().all(|&byte| byte == 0xee));
            }
        }
    }

    fn replace(&mut self, victim: usize, len: usize) {
        let bytes = self.bytes(len);
        if let Some((mut handle, old)) = self.take_out(victim) {
            let result = self.pool.replace(&mut handle, &bytes);
            if let Err(error) = result {
                self.expected_failure(error);
            }
            self.store(Ok(handle), if result.is_ok() { bytes } else { old });
        }
    }

    fn write(&mut self, victim: usize) {
        if let Some((mut handle, old)) = self.take_out(victim) {
            self.frees -= 1;
            let bytes = self.bytes(old.len());
            let mut map = self.pool.write(&mut handle);
            assert_eq!(*map, *old);
            map.copy_from_slice(&bytes);
            drop(map);
            self.store(Ok(handle), bytes);
        }
    }

    fn migrate(&mut self, n: usize) {
        let zspages: Vec<_> = self.pool.zspages().collect();
        if let Some(n) = n.checked_rem(zspages.len()) {
            let zspage = zspages[n];
            match self.pool.migrate(zspage.id) {
                Ok(()) => {
                    assert!(!zspage.mapped);
                    self.reported += zspage.used as u64;
                }
                Err(MigrateError::Busy) => assert!(zspage.mapped),
                Err(error) => assert_eq!(error, MigrateError::Source),
            }
        }
    }

    fn evacuate(&mut self, n: usize) {
        let regions: Vec<_> = self.pool.regions().collect();
        if let Some(n) = n.checked_rem(regions.len()) {
            let EvacuateReport {
                stayed,
                objects_moved,
                zspages_moved,
                ..
            } = self.pool.evacuate(regions[n].id);
            self.reported += objects_moved as u64;
            assert_eq!(zspages_moved + stayed.len(), regions[n].zspages);
            let mapped = stayed.iter().filter(|s| s.reason == StayReason::Mapped);
            assert_eq!(mapped.count(), regions[n].mapped);
        }
    }

    fn compact(&mut self, budget: Option<Budget>) {
        let (before, freeable) = (self.pool.resident_pages(), self.pool.freeable());
        let report = match budget {
            None => self.pool.compact(),
            Some(budget) => self.pool.compact_budget(budget),
        };
        self.reported += report.objects_moved as u64;
        self.check_report(&report, freeable);
        if let Some(Budget::Pages(pages)) = budget {
            // A zspage goes as a whole.
            assert!(report.pages_freed <= pages.max(16) && (pages > 0 || report.pages_freed == 0));
        }
        // What compaction frees may be retained.
        assert!(self.pool.resident_pages() <= before + self.config.retain);
    }

    fn check_report(&self, report: &CompactReport, freeable: usize) {
        let classes = &report.classes;
        let failed = classes.iter().any(|class| class.source_failed);
        if self.held.is_empty() && !failed && !report.budget_spent {
            assert_eq!(report.pages_freed, freeable);
        }
        let left: usize = classes.iter().map(|class| class.pages_left).sum();
        if !report.budget_spent {
            assert_eq!(self.pool.freeable(), left);
        }
        assert_eq!(
            report.pages_freed + self.pool.freeable(),
            freeable + report.pages_grown
        );
        for class in classes {
            assert_eq!(
                class.pages_left,
                class.pages_mapped + class.pages_unfinished
            );
            // Nobody else is here.
            assert!(!class.overtaken, "{class:?}");
        }
    }

    fn hold(&mut self, victim: usize) {
        if let Some(victim) = self.victim(victim) {
            let Object { handle, bytes } = &self.objects[victim];
            let map = Pool::read_owned(Arc::clone(&self.pool), Arc::clone(handle));
            self.held.push(Held {
                address: map.as_ptr(),
                bytes: bytes.clone(),
                map,
            });
        }
    }

    fn under(&mut self, victim: usize, ops: Vec<Op>) {
        if let Some(victim) = self.victim(victim) {
            let pool = Arc::clone(&self.pool);
            let handle = Arc::clone(&self.objects[victim].handle);
            let bytes = self.objects[victim].bytes.clone();
            let map = pool.read(&handle);
            let address = map.as_ptr();
            // Counts as held, for what compaction is expected to do.
            self.hold(victim);
            ops.into_iter().for_each(|op| self.apply(op));
            assert_eq!((map.as_ptr(), &*map), (address, &*bytes));
        }
    }

    fn check(&self) {
        let mut handles = HashSet::new();
        for Object { handle, bytes } in &self.objects {
            assert_eq!(*self.pool.read(handle), **bytes);
            assert_eq!(self.pool.len(handle), bytes.len());
            assert!(handles.insert(handle), "two objects, one handle");
        }
        self.held.iter().for_each(Held::check);
        self.check_statistics();
        self.check_freeable();
        if self.config.max_pages == usize::MAX {
            // At a limit insertions compact, too.
            let automatic = self.pool.stats().objects_moved - self.reported;
            let paid = self.config.slack.map_or(0, |_| self.frees / 2);
            assert!(
                automatic <= paid,
                "{automatic} moves for {} frees",
                self.frees
            );
        }
    }

    fn check_statistics(&self) {
        let zspages: Vec<_> = self.pool.zspages().collect();
        let sum = |of: fn(&zsalloc::ZspageInfo) -> usize| zspages.iter().map(of).sum::<usize>();
        let (stats, rows) = (self.pool.stats(), self.pool.class_stats());
        let row_sum = |of: fn(&zsalloc::ClassStats) -> usize| rows.iter().map(of).sum::<usize>();

        assert_eq!(stats.objects, self.objects.len());
        assert_eq!(sum(|zspage| zspage.used), stats.objects);
        assert_eq!(row_sum(|row| row.obj_used), stats.objects);
        assert_eq!(sum(|zspage| zspage.slots), row_sum(|row| row.obj_allocated));
        assert_eq!(sum(|zspage| zspage.pages), row_sum(|row| row.pages_used));
        assert_eq!(row_sum(|row| row.zspages.iter().sum()), zspages.len());
        assert_eq!(stats.zspages, zspages.len());
        assert_eq!(row_sum(|row| row.freeable), stats.freeable);
        assert_eq!(self.pool.freeable(), stats.freeable);
        assert_eq!(self.pool.resident_pages(), stats.resident_pages);
        // The rest is retained.
        let used = sum(|zspage| zspage.pages);
        assert!(used <= stats.resident_pages);
        assert!(stats.resident_pages <= used + self.config.retain);
        assert!(stats.resident_pages <= self.config.max_pages);

        assert!(zspages.iter().all(|z| 0 < z.used && z.used <= z.slots));
        let mapped: HashSet<_> = self.held.iter().map(|held| held.map.as_ptr()).collect();
        let busy = zspages.iter().filter(|zspage| zspage.mapped).count();
        assert!(busy <= mapped.len() && (busy > 0) != mapped.is_empty());
    }

    /// With zsmalloc's classes: what the lengths of the objects alone say.
    fn check_freeable(&self) {
        if let ClassPolicy::Zsmalloc { chain_size } = self.config.classes {
            let classes = kernel::classes(chain_size);
            let lens = self.objects.iter().map(|object| object.bytes.len());
            let target = kernel::target_pages(&classes, lens);
            let pages: usize = self.pool.zspages().map(|zspage| zspage.pages).sum();
            assert_eq!(self.pool.freeable(), pages - target);
        }
    }

    fn end(mut self) {
        self.check();
        self.held.drain(..).for_each(|held| held.check());
        assert!(self.pool.zspages().all(|zspage| !zspage.mapped));
        for Object { handle, .. } in self.objects.drain(..) {
            self.pool.free(Arc::into_inner(handle).unwrap());
        }
        assert!(self.pool.resident_pages() <= self.config.retain);
        self.pool.trim();
        let stats = self.pool.stats();
        assert_eq!(
            (stats.resident_pages, stats.zspages, stats.objects),
            (0, 0, 0)
        );
        // A few spare handles and places in lists.
        let metadata = stats.metadata_bytes - self.metadata_when_new;
        assert!(
            metadata <= 32 * 1024,
            "{metadata} bytes of metadata are left"
        );
    }
}

fn run<L: RawRwLock + Send + Sync + 'static>(config: &Config, ops: Vec<Op>, new_lock: fn() -> L) {
    let mut checked = Checked::new(config, new_lock);
    for n in 0..config.objects {
        checked.apply(Op::Insert([96, 192, 288, 1100][n % 4]));
    }
    for (n, op) in ops.into_iter().enumerate() {
        checked.apply(op);
        if n % 16 == 0 {
            checked.check();
        }
    }
    checked.end();
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 32, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn with_zslock_the_pool_does_what_a_list_does(
        config in config(), ops in proptest::collection::vec(op(), 1..500),
    ) {
        run(&config, ops, locks::zslock);
    }

    #[test]
    fn with_the_gated_lock(config in config(), ops in proptest::collection::vec(op(), 1..500)) {
        run(&config, ops, locks::gated);
    }

    #[test]
    fn with_parking_lots_lock(config in config(), ops in proptest::collection::vec(op(), 1..500)) {
        run(&config, ops, locks::parking_lot);
    }
}

/// What is kept about objects goes when they go.
#[test]
fn metadata_shrinks_with_the_number_of_objects() {
    for classes in [
        ClassPolicy::default(),
        ClassPolicy::Zsmalloc { chain_size: 8 },
    ] {
        let pool = Pool::builder().classes(classes).build().unwrap();
        let new = pool.stats().metadata_bytes;
        let handles: Vec<_> = (0..60_000)
            .map(|i| pool.alloc(32 + i % 400).unwrap())
            .collect();
        let full = pool.stats().metadata_bytes - new;
        assert!(full >= 60_000 * 12, "{full}");
        pool.free_many(handles);
        let empty = pool.stats().metadata_bytes - new;
        assert!(empty < full / 10, "{empty} of {full} bytes are left");
    }
}
