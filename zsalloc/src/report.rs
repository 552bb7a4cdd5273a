//! What compaction achieved.

/// The result of [`Pool::compact`](crate::Pool::compact).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct CompactReport {
    /// Pages given back, net of those taken for denser zspages.
    pub pages_freed: usize,
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
    /// Objects moved.
    pub objects_moved: usize,
    /// Pages that the class has beyond what its objects need. 0: nothing stayed behind.
    pub pages_left: usize,
    /// Zspages that could not be emptied because an object of them was mapped; they served as
    /// destinations.
    pub zspages_mapped: usize,
    /// The page source, or the page limit, refused a zspage to move objects to.
    pub source_failed: bool,
    pub(crate) pages_removed: usize,
    pub(crate) pages_added: usize,
}

impl ClassCompaction {
    pub(crate) fn new(size: usize) -> Self {
        Self {
            size,
            pages_freed: 0,
            objects_moved: 0,
            pages_left: 0,
            zspages_mapped: 0,
            source_failed: false,
            pages_removed: 0,
            pages_added: 0,
        }
    }
}

impl CompactReport {
    pub(crate) fn add(&mut self, mut class: ClassCompaction) {
        class.pages_freed = class.pages_removed.saturating_sub(class.pages_added);
        self.pages_freed += class.pages_freed;
        self.objects_moved += class.objects_moved;
        if class.objects_moved > 0 || class.pages_left > 0 {
            self.classes.push(class);
        }
    }
}
