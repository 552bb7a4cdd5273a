//! The kernel's size classes, computed from its rules and not by what is tested.

const PAGE: usize = 4096;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Class {
    pub(crate) size: usize,
    pub(crate) pages: usize,
    pub(crate) slots: usize,
}

/// The distinct classes for 4 KiB pages, ascending.
pub(crate) fn classes(chain_size: usize) -> Vec<Class> {
    let mut classes: Vec<Class> = Vec::new();
    for size in (32..=PAGE).rev().step_by(16) {
        // The first that wastes least.
        let pages = (1..=chain_size).min_by_key(|pages| pages * PAGE % size);
        let pages = if size.is_power_of_two() {
            Some(1)
        } else {
            pages
        }
        .unwrap();
        let slots = pages * PAGE / size;
        let kept = classes.last().map(|class| (class.pages, class.slots));
        if kept != Some((pages, slots)) {
            classes.push(Class { size, pages, slots });
        }
    }
    classes.reverse();
    classes
}

/// The pages that objects of these lengths need.
pub(crate) fn target_pages(classes: &[Class], lens: impl Iterator<Item = usize>) -> usize {
    let mut objects = vec![0_usize; classes.len()];
    for len in lens {
        objects[classes.partition_point(|class| class.size < len)] += 1;
    }
    let needed = objects.iter().zip(classes);
    needed
        .map(|(objects, class)| objects.div_ceil(class.slots) * class.pages)
        .sum()
}
