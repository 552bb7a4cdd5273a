//! The page source fails at the n-th call, for every n of a scenario with everything that a pool
//! does: every object stays readable with its bytes, no page is lost, and afterwards all works again.

mod common;

use std::collections::BTreeMap;
use std::ptr::NonNull;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use common::{Random, object};
use zsalloc::{
    AllocError, AutoCompact, Budget, ClassPolicy, Failing, Handle, MigrateError, Mmap, PageSource,
    Pool, SourceError, StayReason,
};
use zslock::RawZsLock;

/// Keeps books of the runs of a source.
#[derive(Default)]
struct Ledger {
    inner: Mmap,
    /// Address and length in bytes.
    runs: Mutex<BTreeMap<usize, usize>>,
}

impl Ledger {
    fn pages(&self) -> usize {
        self.runs.lock().unwrap().values().sum::<usize>() / 4096
    }

    fn book(&self, run: NonNull<u8>, pages: usize) {
        let mut runs = self.runs.lock().unwrap();
        runs.insert(run.addr().get(), pages * 4096);
    }
}

// SAFETY: hands out what `Mmap` hands out.
unsafe impl PageSource for Ledger {
    fn alloc(&self, pages: usize) -> Result<NonNull<u8>, SourceError> {
        let run = self.inner.alloc(pages)?;
        self.book(run, pages);
        Ok(run)
    }

    fn alloc_outside(
        &self,
        pages: usize,
        excluded: &[std::ops::Range<usize>],
    ) -> Result<NonNull<u8>, SourceError> {
        let run = self.inner.alloc_outside(pages, excluded)?;
        self.book(run, pages);
        Ok(run)
    }

    unsafe fn release(&self, ptr: NonNull<u8>, pages: usize) {
        let booked = self.runs.lock().unwrap().remove(&ptr.addr().get());
        assert_eq!(booked, Some(pages * 4096), "not what was handed out");
        // SAFETY: the caller's promise is the same.
        unsafe { self.inner.release(ptr, pages) }
    }

    unsafe fn discard(&self, ptr: NonNull<u8>, pages: usize) {
        let (start, end) = (ptr.addr().get(), ptr.addr().get() + pages * 4096);
        let runs = self.runs.lock().unwrap();
        let (run, bytes) = runs.range(..=start).next_back().unwrap();
        assert!(end <= run + bytes, "not within what was handed out");
        drop(runs);
        // SAFETY: the caller's promise is the same.
        unsafe { self.inner.discard(ptr, pages) }
    }
}

#[derive(Clone, Copy, Debug)]
struct Configuration {
    classes: ClassPolicy,
    max_pages: Option<usize>,
    retain_pages: usize,
    automatic: bool,
}

#[derive(Clone, Copy, Debug)]
enum Failure {
    Once(u64),
    FromThen(u64),
}

type Source = Arc<Failing<Arc<Ledger>>>;

struct Scenario {
    configuration: Configuration,
    pool: Pool<RawZsLock, Source>,
    source: Source,
    ledger: Arc<Ledger>,
    /// The objects, and what is in them.
    objects: Vec<(Handle, Vec<u8>)>,
    random: Random,
    names: u64,
}

impl Scenario {
    fn new(configuration: Configuration) -> Self {
        let ledger = Arc::new(Ledger::default());
        let source = Arc::new(Failing::new(Arc::clone(&ledger)));
        let mut builder = Pool::builder()
            .classes(configuration.classes)
            .backend(Arc::clone(&source))
            .retain_pages(configuration.retain_pages);
        if let Some(max_pages) = configuration.max_pages {
            builder = builder.max_pages(max_pages);
        }
        if configuration.automatic {
            builder = builder.auto_compact(AutoCompact::default().slack(0.0));
        }
        Self {
            configuration,
            pool: builder.build().unwrap(),
            source,
            ledger,
            objects: Vec::new(),
            random: Random::new(3),
            names: 0,
        }
    }

    /// Few classes, so that zspages are shared.
    fn next_object(&mut self) -> Vec<u8> {
        self.names += 1;
        object(1 + self.random.below(8) * 450, self.names)
    }

    /// Whether the error can be: pages lack only when the source failed or the limit is reached.
    fn check(&self, error: AllocError, failed: bool) {
        match error {
            AllocError::OutOfMemory => assert!(failed, "nothing failed"),
            AllocError::Limit { max_pages } => {
                assert_eq!(Some(max_pages), self.configuration.max_pages);
            }
            other => panic!("{other}"),
        }
    }

    fn victim(&mut self) -> Option<(Handle, Vec<u8>)> {
        let place = self.random.below(self.objects.len().max(1));
        (place < self.objects.len()).then(|| self.objects.swap_remove(place))
    }

    /// One operation on objects; `failed` tells whether the source has failed so far.
    fn operate(&mut self, failed: impl Fn() -> bool) {
        let bytes = self.next_object();
        match self.random.below(16) {
            0..6 => match self.pool.insert(&bytes) {
                Ok(handle) => self.objects.push((handle, bytes)),
                Err(error) => self.check(error, failed()),
            },
            6 | 7 => match self.pool.alloc(bytes.len()) {
                Ok(mut handle) => {
                    let mut object = self.pool.write(&mut handle);
                    assert!(object.iter().all(|&byte| byte == 0), "stale bytes");
                    object.copy_from_slice(&bytes);
                    drop(object);
                    self.objects.push((handle, bytes));
                }
                Err(error) => self.check(error, failed()),
            },
            8..11 => {
                if let Some((mut handle, old)) = self.victim() {
                    let result = self.pool.replace(&mut handle, &bytes);
                    if let Err(error) = result {
                        self.check(error, failed());
                    }
                    let bytes = if result.is_ok() { bytes } else { old };
                    self.objects.push((handle, bytes));
                }
            }
            11..14 => {
                if let Some((handle, _)) = self.victim() {
                    self.pool.free(handle);
                }
            }
            14 => {
                let many: Vec<_> = (0..3).filter_map(|_| self.victim()).collect();
                self.pool
                    .free_many(many.into_iter().map(|(handle, _)| handle));
            }
            _ => {
                if let Some((handle, bytes)) = self.victim() {
                    let mut taken = Vec::new();
                    self.pool.take(handle, &mut taken);
                    assert_eq!(taken, bytes);
                }
            }
        }
    }

    /// Whatever failed, the report accounts for every page.
    fn compact(&self, budget: Budget) {
        let before = self.ledger.pages() - self.retained();
        let report = self.pool.compact_budget(budget);
        let after = self.ledger.pages() - self.retained();
        assert_eq!(before + report.pages_grown, after + report.pages_freed);
    }

    /// Pages without a zspage. (No zspage straddles regions here.)
    fn retained(&self) -> usize {
        self.pool.regions().map(|info| info.retained_pages).sum()
    }

    /// Something that moves objects or pages.
    fn rearrange(&mut self, round: usize, failed: impl Fn() -> bool) {
        match round % 6 {
            0 => self.compact(Budget::Pages(1 + round % 4)),
            1 => {
                let maps: Vec<_> = self.objects.iter().step_by(7).collect();
                let maps: Vec<_> = maps
                    .iter()
                    .map(|(handle, _)| self.pool.read(handle))
                    .collect();
                self.compact(Budget::Pages(usize::MAX));
                drop(maps);
            }
            2 => {
                for zspage in self.pool.zspages() {
                    match self.pool.migrate(zspage.id) {
                        Ok(()) => {}
                        Err(error) => {
                            assert_eq!(error, MigrateError::Source);
                            assert!(failed() || self.configuration.max_pages.is_some());
                        }
                    }
                }
            }
            3 => {
                for region in self.pool.regions() {
                    for stayed in self.pool.evacuate(region.id).stayed {
                        match stayed.reason {
                            StayReason::Source => assert!(failed()),
                            StayReason::Limit => assert!(self.configuration.max_pages.is_some()),
                            other => panic!("{other:?}"),
                        }
                    }
                }
            }
            4 => self.compact(Budget::Time(Duration::from_secs(60))),
            _ => self.pool.trim(),
        }
    }

    /// Every object has its bytes, and the pages are those of the zspages and the retained ones.
    fn check_everything(&self) {
        for (handle, bytes) in &self.objects {
            assert_eq!(*self.pool.read(handle), **bytes);
        }
        assert_eq!(self.pool.stats().objects, self.objects.len());
        let zspages: usize = self.pool.zspages().map(|zspage| zspage.pages).sum();
        let retained = self.retained();
        assert!(retained <= self.configuration.retain_pages);
        assert_eq!(self.pool.resident_pages(), zspages + retained);
        assert_eq!(self.ledger.pages(), self.pool.resident_pages());
        assert!(self.pool.zspages().all(|zspage| zspage.used > 0));
    }

    /// Nothing that failed earlier shows any more.
    fn check_all_works(mut self) {
        self.source.never_fail();
        let freeable = self.pool.freeable();
        let report = self.pool.compact();
        // At its limit a pool may have no room for a denser zspage.
        let limited = report.classes.iter().any(|class| class.source_failed);
        assert!(self.configuration.max_pages.is_some() || !limited);
        assert!(limited || (report.pages_freed, self.pool.freeable()) == (freeable, 0));
        let longest = self.pool.zspages().map(|zspage| zspage.pages).max();
        while self.pool.resident_pages() + longest.unwrap_or(0)
            > self.configuration.max_pages.unwrap_or(usize::MAX)
        {
            let (handle, _) = self.victim().unwrap();
            self.pool.free(handle);
            self.pool.trim();
        }
        for region in self.pool.regions() {
            assert!(self.pool.evacuate(region.id).is_empty());
        }
        let bytes = object(450, 0);
        let handle = self.pool.insert(&bytes).unwrap();
        self.objects.push((handle, bytes));
        self.check_everything();
        self.pool
            .free_many(self.objects.drain(..).map(|(handle, _)| handle));
        self.pool.trim();
        self.check_everything();
        assert_eq!(self.ledger.pages(), 0);
    }
}

/// False if the scenario makes so few allocations that none failed.
fn survives(configuration: Configuration, failure: Failure) -> bool {
    let mut scenario = Scenario::new(configuration);
    let source = Arc::clone(&scenario.source);
    let fails_at = match failure {
        Failure::Once(n) => {
            source.fail_at(n);
            n
        }
        Failure::FromThen(n) => {
            source.fail_from(n);
            n
        }
    };
    let failed = || source.calls() > fails_at;
    for round in 0..18 {
        for _ in 0..12 {
            scenario.operate(failed);
        }
        scenario.check_everything();
        scenario.rearrange(round, failed);
        scenario.check_everything();
    }
    scenario.check_all_works();
    failed()
}

fn survives_every_failure(configuration: Configuration) {
    for failure in [Failure::Once, Failure::FromThen] {
        let mut n = 0;
        while survives(configuration, failure(n)) {
            n += 1;
        }
        assert!(n > 50, "the scenario allocates often: {n}");
    }
}

const ZSMALLOC: Configuration = Configuration {
    classes: ClassPolicy::Zsmalloc { chain_size: 8 },
    max_pages: None,
    retain_pages: 0,
    automatic: false,
};
const ADAPTIVE: Configuration = Configuration {
    classes: ClassPolicy::Adaptive { max_pages: 16 },
    ..ZSMALLOC
};

#[test]
fn with_zsmallocs_classes() {
    survives_every_failure(ZSMALLOC);
}

#[test]
fn with_adaptive_classes() {
    survives_every_failure(ADAPTIVE);
}

#[test]
fn with_a_limit_and_retained_pages() {
    for configuration in [ZSMALLOC, ADAPTIVE] {
        survives_every_failure(Configuration {
            max_pages: Some(30),
            retain_pages: 5,
            ..configuration
        });
    }
}

#[test]
fn with_automatic_compaction() {
    for configuration in [ZSMALLOC, ADAPTIVE] {
        survives_every_failure(Configuration {
            automatic: true,
            ..configuration
        });
    }
}
