//! The pool against a model, a list of handles and bytes, under random operations: compaction of
//! every kind, migration, evacuation, a failing page source, a page limit, maps that are held
//! meanwhile, on several locks.

#[path = "model/checks.rs"]
mod checks;
mod common;
#[path = "model/operations.rs"]
mod operations;

use std::sync::Arc;
use std::time::Duration;

use common::{locks, object};
use operations::{Config, Op, config, op};
use proptest::prelude::*;
use zsalloc::lock_api::RawRwLock;
use zsalloc::{
    AllocError, AutoCompact, Budget, EvacuateReport, Failing, Handle, HandleError, Heap,
    MappedOwned, MigrateError, Pool, StayReason,
};

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
    /// Maps that are held by the stack: those of operations under a map.
    held_below: usize,
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
            held_below: 0,
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
        // Only a source that fails half-way leaves more pages than there were. What compaction frees may
        // be retained.
        let failed = report.classes.iter().any(|class| class.source_failed);
        assert!(report.pages_grown == 0 || failed, "{report:?}");
        let most = before + report.pages_grown + self.config.retain;
        assert!(self.pool.resident_pages() <= most);
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
            self.held_below += 1;
            ops.into_iter().for_each(|op| self.apply(op));
            self.held_below -= 1;
            assert_eq!((map.as_ptr(), &*map), (address, &*bytes));
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
