//! What compaction achieved.

/// The result of [`Pool::compact`](crate::Pool::compact).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// Pages given back, net of those taken for denser zspages. Some of them may be
    /// [retained](crate::PoolBuilder::retain_pages) and so still resident.
    pub pages_freed: usize,
    /// Pages that the pool has more than before; 0 if `pages_freed` is not. Only when something came
    /// in between: see [`ClassCompaction::pages_grown`].
    pub pages_grown: usize,
    /// Objects moved.
    pub objects_moved: usize,
    /// The classes where something moved or stayed behind, by size.
    pub classes: Vec<ClassCompaction>,
}

/// The part of a [`CompactReport`] that is about one size class: what was gained, and what stayed
/// behind and why.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ClassCompaction {
    /// The slot size in bytes.
    pub size: usize,
    /// Pages given back, net of those taken for denser zspages.
    pub pages_freed: usize,
    /// Pages taken for denser zspages beyond those given back; 0 if `pages_freed` is not. Only when
    /// something came in between: the source failed, or other threads mapped, stored or freed
    /// objects of the class meanwhile. The next compaction makes use of them.
    pub pages_grown: usize,
    /// Objects moved.
    pub objects_moved: usize,
    /// Pages that the class has beyond what its objects need. 0: nothing stayed behind.
    pub pages_left: usize,
    /// Zspages that would have been emptied had no object of them been mapped; they served as
    /// destinations. Mapped zspages that would have stayed anyway are not counted.
    pub zspages_mapped: usize,
    /// The page source, or the page limit, refused a zspage to move objects to.
    pub source_failed: bool,
    /// Other threads filled the destinations before compaction could; the rest of the class stayed.
    pub overtaken: bool,
    pub(crate) pages_removed: usize,
    pub(crate) pages_added: usize,
}

impl ClassCompaction {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            pages_freed: 0,
            pages_grown: 0,
            objects_moved: 0,
            pages_left: 0,
            zspages_mapped: 0,
            source_failed: false,
            overtaken: false,
            pages_removed: 0,
            pages_added: 0,
        }
    }
}

impl CompactReport {
    pub(crate) fn of(classes: impl IntoIterator<Item = ClassCompaction>) -> Self {
        let mut report = Self::default();
        let (mut removed, mut added) = (0, 0);
        for mut class in classes {
            removed += class.pages_removed;
            added += class.pages_added;
            class.pages_freed = class.pages_removed.saturating_sub(class.pages_added);
            class.pages_grown = class.pages_added.saturating_sub(class.pages_removed);
            report.objects_moved += class.objects_moved;
            let changed = class.objects_moved > 0 || class.pages_removed != class.pages_added;
            if changed || class.pages_left > 0 {
                report.classes.push(class);
            }
        }
        report.pages_freed = removed.saturating_sub(added);
        report.pages_grown = added.saturating_sub(removed);
        report
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn growth_is_not_reported_as_nothing() {
        let class = |pages_removed, pages_added| ClassCompaction {
            pages_removed,
            pages_added,
            ..ClassCompaction::new(64)
        };
        let report = CompactReport::of([class(2, 5), class(0, 0), class(4, 0)]);
        assert_eq!((report.pages_freed, report.pages_grown), (1, 0));
        // The class in which nothing happened is not listed.
        let classes = report.classes.iter();
        let classes: Vec<_> = classes.map(|c| (c.pages_freed, c.pages_grown)).collect();
        assert_eq!(classes, [(0, 3), (4, 0)]);
        let report = CompactReport::of([class(2, 5)]);
        assert_eq!((report.pages_freed, report.pages_grown), (0, 3));
    }
}
