//! Size classes: slot sizes and the number of pages that make one zspage, exactly as the kernel's
//! zsmalloc computes them (`zs_create_pool` and `calculate_zspage_chain_size` in `mm/zsmalloc.c`).
//!
//! With 4 KiB pages the raw classes are 32, 48, ... 4096 bytes. A zspage of a class has the
//! number of pages, up to the *chain size*, that wastes the least at its end. Neighbouring classes
//! with the same pages and the same slots per zspage are one: the largest of them serves all.
//!
//! The example in the kernel's documentation shows 123 classes for chain size 8 and 191 for 16, where this
//! computes 119 and 192: it is older than the kernel's comparison of wastes in bytes, and rounded them
//! to per cent.
//!
//! ```
//! use zsalloc::size_class;
//!
//! let table = size_class::table(4096, 8);
//! assert_eq!(table.len(), 255);
//!
//! // A 2,100-byte object is stored in the class that serves raw class 2112.
//! let class = table[size_class::raw_index(4096, 2100)];
//! assert_eq!((class.size(), class.pages_per_zspage(), class.objects_per_zspage()), (2176, 8, 15));
//! assert_eq!(class.waste(), 8 * 4096 - 15 * 2176);
//! ```

/// The smallest slot, in bytes.
pub(crate) const MIN_SIZE: usize = 32;
/// Page sizes that a pool supports, in bytes; powers of two.
pub(crate) const PAGE_SIZES: std::ops::RangeInclusive<usize> = 4096..=65536;
/// Chain sizes that the kernel offers (`CONFIG_ZSMALLOC_CHAIN_SIZE`), in pages.
pub(crate) const CHAIN_SIZES: std::ops::RangeInclusive<usize> = 4..=16;

/// One size class: slots of one size in zspages of one length.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SizeClass {
    size: u32,
    pages: u16,
    objects: u16,
    page_size: u32,
}

impl SizeClass {
    /// The slot size in bytes: the longest object of the class.
    pub const fn size(&self) -> usize {
        self.size as usize
    }

    /// The length of a zspage in pages.
    pub const fn pages_per_zspage(&self) -> usize {
        self.pages as usize
    }

    /// The number of slots in a zspage.
    pub const fn objects_per_zspage(&self) -> usize {
        self.objects as usize
    }

    /// The bytes at the end of a zspage that belong to no slot.
    pub const fn waste(&self) -> usize {
        self.page_size as usize * self.pages_per_zspage() - self.size() * self.objects_per_zspage()
    }

    fn new(size: usize, page_size: usize, chain_size: usize) -> Self {
        let pages = pages_per_zspage(size, page_size, chain_size);
        // The casts are lossless: sizes and page sizes are at most 64 Ki, a zspage has at most 16
        // pages and thus at most 16 * 65536 / 32 = 32,768 slots.
        Self {
            size: size as u32,
            pages: pages as u16,
            objects: (pages * page_size / size) as u16,
            page_size: page_size as u32,
        }
    }
}

/// The distance between raw classes, in bytes.
pub(crate) const fn step(page_size: usize) -> usize {
    page_size / 256
}

/// The size of raw class `index`, in bytes.
const fn raw_size(page_size: usize, index: usize) -> usize {
    let size = MIN_SIZE + index * step(page_size);
    if size < page_size { size } else { page_size }
}

/// The number of raw classes.
const fn raw_classes(page_size: usize) -> usize {
    (page_size - MIN_SIZE).div_ceil(step(page_size)) + 1
}

/// The raw class of an object of `len` bytes: the index into [`table`] of the smallest class that
/// is at least as large.
///
/// # Panics
///
/// If `len` is above `page_size`, or `page_size` is not one that [`table`] takes.
pub fn raw_index(page_size: usize, len: usize) -> usize {
    check_page_size(page_size);
    assert!(
        len <= page_size,
        "an object of {len} bytes does not fit a page of {page_size}"
    );
    len.saturating_sub(MIN_SIZE).div_ceil(step(page_size))
}

/// The number of pages, at most `chain_size`, whose unused tail is smallest for slots of `size`
/// bytes; the first such number. One page for a power of two, which never leaves a tail that more
/// pages could fill better.
fn pages_per_zspage(size: usize, page_size: usize, chain_size: usize) -> usize {
    if size.is_power_of_two() {
        return 1;
    }
    (1..=chain_size)
        .min_by_key(|pages| pages * page_size % size)
        .unwrap_or(1)
}

/// The size classes for a page size and a chain size: one entry per raw class, naming the class
/// that *serves* it. Entries of merged raw classes are equal.
///
/// `page_size` is a power of two in 4096..=65536 (bytes), `chain_size` is in 4..=16 (pages); 8 is
/// the kernel's default. Indexed by [`raw_index`].
///
/// # Panics
///
/// If an argument is out of range.
pub fn table(page_size: usize, chain_size: usize) -> Vec<SizeClass> {
    check_page_size(page_size);
    assert!(
        CHAIN_SIZES.contains(&chain_size),
        "a chain size of {chain_size} pages is not in 4..=16"
    );
    let mut table: Vec<SizeClass> = Vec::with_capacity(raw_classes(page_size));
    // From the largest class down, so that the class that serves a group is its largest.
    for index in (0..raw_classes(page_size)).rev() {
        let class = SizeClass::new(raw_size(page_size, index), page_size, chain_size);
        let served_by = table
            .last()
            .copied()
            .filter(|last| (last.pages, last.objects) == (class.pages, class.objects));
        table.push(served_by.unwrap_or(class));
    }
    table.reverse();
    table
}

/// Whether a pool can have pages of this size.
pub(crate) fn is_page_size(page_size: usize) -> bool {
    page_size.is_power_of_two() && PAGE_SIZES.contains(&page_size)
}

fn check_page_size(page_size: usize) {
    assert!(
        is_page_size(page_size),
        "a page size of {page_size} bytes is not a power of two in 4096..=65536"
    );
}
