//! What each thread does.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::{Duration, Instant};

use zsalloc::lock_api::RawRwLock;
use zsalloc::{AllocError, Budget, Handle, Pool, ZspageId};

use crate::common::{self, Random, fill, is_intact};
use crate::{Object, OwnedMap, PLACES, Shelf, Source, Totals, add};

pub(crate) fn check(bytes: &[u8], name: u64, len: usize) {
    assert_eq!(bytes.len(), len);
    let head = len.min(8);
    assert_eq!(
        bytes[..head],
        name.to_le_bytes()[..head],
        "another object's bytes"
    );
    assert!(is_intact(bytes), "a damaged object");
}

pub(crate) struct Worker<'s, L: RawRwLock> {
    pub(crate) pool: Arc<Pool<L, Source>>,
    pub(crate) other: Pool,
    pub(crate) source: &'s Source,
    pub(crate) shelf: &'s Shelf,
    pub(crate) totals: &'s Totals,
    pub(crate) random: Random,
    /// Maps that are held for some time, with name and length.
    pub(crate) held: Vec<(OwnedMap<L>, u64, usize)>,
    pub(crate) zspages: Vec<ZspageId>,
}

impl<L: RawRwLock + Send + Sync> Worker<'_, L> {
    pub(crate) fn run(mut self, end: Instant) {
        let mut operations = 0_u64;
        while Instant::now() < end {
            for _ in 0..64 {
                self.step();
            }
            operations += 64;
        }
        self.totals
            .operations
            .fetch_add(operations, Ordering::Relaxed);
        self.held
            .drain(..)
            .for_each(|(map, name, len)| check(&map, name, len));
    }

    fn step(&mut self) {
        match self.random.below(1000) {
            0..=399 => self.read(),
            400..=899 => self.change(),
            900..=919 => self.hold(),
            920..=949 => {
                if let Some(victim) = self.random.below(1000).checked_rem(self.held.len()) {
                    let (map, name, len) = self.held.swap_remove(victim);
                    check(&map, name, len);
                }
            }
            950..=989 => self.migrate(),
            990..=993 => self.free_some(),
            _ => self.maintain(),
        }
    }

    fn read(&mut self) {
        let shelf = self.shelf;
        let place = shelf[self.random.below(PLACES)].read();
        let Some(Object { handle, name, len }) = &*place else {
            return;
        };
        let map = self.pool.checked_read(handle).unwrap();
        check(&map, *name, *len);
        match self.random.below(50) {
            0 => thread::sleep(Duration::from_micros(100)),
            1 => thread::yield_now(),
            2 => {
                let mut copy = vec![0; *len];
                assert_eq!(self.pool.copy_to(handle, &mut copy), *len);
                assert_eq!(*map, *copy);
            }
            3 => {
                // A second map of the same thread, perhaps of the same zspage.
                let other = shelf[self.random.below(PLACES)].try_read();
                if let Some(Some(other)) = other.as_deref() {
                    check(&self.pool.read(&other.handle), other.name, other.len);
                }
            }
            _ => {}
        }
        // Nothing moved or changed meanwhile.
        check(&map, *name, *len);
    }

    /// Stores, replaces, writes or frees an object.
    fn change(&mut self) {
        let shelf = self.shelf;
        let Some(mut place) = shelf[self.random.below(PLACES)].try_write() else {
            return;
        };
        let (name, len) = (self.random.next(), self.some_len());
        let Some(mut object) = place.take() else {
            *place = self.store(name, len);
            return;
        };
        let Some(handle) = Arc::get_mut(&mut object.handle) else {
            // Held by somebody.
            *place = Some(object);
            return;
        };
        let choice = self.random.below(8);
        match choice {
            0..=2 => {
                let mut map = self.pool.write(handle);
                check(&map, object.name, object.len);
                fill(&mut map, name);
                drop(map);
                object.name = name;
                *place = Some(object);
            }
            3 => {
                let result = self.pool.replace(handle, &common::object(len, name));
                match result {
                    Ok(()) => (object.name, object.len) = (name, len),
                    Err(error) => self.refused(error),
                }
                *place = Some(object);
            }
            _ => {
                let handle = Arc::into_inner(object.handle).unwrap();
                self.free(handle, object.name, object.len, choice);
            }
        }
    }

    fn free(&self, handle: Handle, name: u64, len: usize, choice: usize) {
        match choice {
            4 => {
                let mut taken = Vec::new();
                self.pool.take(handle, &mut taken);
                check(&taken, name, len);
            }
            5 => {
                let (handle, _) = self.other.checked_free(handle).unwrap_err();
                // SAFETY: from `into_raw`, and turned back once.
                self.pool
                    .free(unsafe { Handle::from_raw(handle.into_raw()) });
            }
            _ => self.pool.free(handle),
        }
    }

    fn store(&mut self, name: u64, len: usize) -> Option<Object> {
        let stored = if self.random.below(4) == 0 {
            self.pool.alloc(len).map(|mut handle| {
                let mut map = self.pool.write(&mut handle);
                assert!(map.iter().all(|&byte| byte == 0));
                fill(&mut map, name);
                drop(map);
                handle
            })
        } else {
            self.pool.insert(&common::object(len, name))
        };
        match stored {
            Ok(handle) => {
                let handle = Arc::new(handle);
                Some(Object { handle, name, len })
            }
            Err(error) => {
                self.refused(error);
                None
            }
        }
    }

    fn refused(&self, error: AllocError) {
        assert!(matches!(
            error,
            AllocError::OutOfMemory | AllocError::Limit { .. }
        ));
        add(&self.totals.refused);
    }

    fn some_len(&mut self) -> usize {
        match self.random.below(10) {
            0 => 1 + self.random.below(4096),
            n => [40, 500, 700, 1100, 3000][n % 5] - self.random.below(16),
        }
    }

    fn hold(&mut self) {
        let place = self.shelf[self.random.below(PLACES)].read();
        if let (Some(object), true) = (&*place, self.held.len() < 8) {
            let map = Pool::read_owned(Arc::clone(&self.pool), Arc::clone(&object.handle));
            self.held.push((map, object.name, object.len));
        }
    }

    fn migrate(&mut self) {
        match self.zspages.pop() {
            // Busy and Gone are what concurrency is about.
            Some(id) => drop(self.pool.migrate(id)),
            None => self
                .zspages
                .extend(self.pool.zspages().map(|zspage| zspage.id)),
        }
    }

    fn free_some(&mut self) {
        let first = self.random.below(PLACES);
        let places = self.shelf[first..]
            .iter()
            .take(64)
            .filter_map(|place| place.try_write());
        let objects = places
            .filter_map(|mut place| place.take_if(|object| Arc::strong_count(&object.handle) == 1));
        let handles = objects.filter_map(|object| Arc::into_inner(object.handle));
        let handles: Vec<_> = handles.collect();
        self.pool.free_many(handles);
    }

    fn maintain(&mut self) {
        let pages = self.pool.resident_pages();
        self.totals.peak_pages.fetch_max(pages, Ordering::Relaxed);
        match self.random.below(40) {
            0 => {
                let regions: Vec<_> = self.pool.regions().collect();
                if let Some(n) = self.random.below(1000).checked_rem(regions.len()) {
                    self.pool.evacuate(regions[n].id);
                    add(&self.totals.evacuations);
                }
            }
            1..=4 => {
                let report = self.pool.compact();
                assert!(report.pages_freed == 0 || report.pages_grown == 0);
                add(&self.totals.compactions);
            }
            5..=12 => {
                let pages = Budget::Pages(self.random.below(20));
                let time = Budget::Time(Duration::from_micros(self.random.below(300) as u64));
                self.pool
                    .compact_budget([pages, time][self.random.below(2)]);
                add(&self.totals.compactions);
            }
            13..=20 => self.pool.trim(),
            21..=24 => self
                .source
                .fail_at(self.source.calls() + self.random.below(3) as u64),
            25..=28 => {
                let rows = self.pool.class_stats();
                assert!(rows.iter().all(|row| row.obj_used <= row.obj_allocated));
            }
            _ => {}
        }
    }
}
