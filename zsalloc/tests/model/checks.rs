//! What must hold at any time.

use std::collections::HashSet;

use zsalloc::lock_api::RawRwLock;
use zsalloc::{ClassPolicy, CompactReport};

use crate::common::kernel;
use crate::{Checked, Held, Object};

impl<L: RawRwLock + Send + Sync + 'static> Checked<L> {
    pub(crate) fn check(&self) {
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

    pub(crate) fn check_report(&self, report: &CompactReport, freeable: usize) {
        let classes = &report.classes;
        let failed = classes.iter().any(|class| class.source_failed);
        if self.held.is_empty() && self.held_below == 0 && !failed && !report.budget_spent {
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
}
