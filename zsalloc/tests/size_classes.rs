//! The tables of zsmalloc.

use std::collections::BTreeSet;

use zsalloc::size_class::{raw_index, table};
use zsalloc::{ClassPolicy, Pool};

/// (page size, chain size, raw classes, distinct classes): what a kernel so configured prints.
const TABLES: [(usize, usize, usize, usize); 5] = [
    (4096, 8, 255, 119),
    (4096, 4, 255, 69),
    (4096, 16, 255, 192),
    (16384, 8, 257, 121),
    (65536, 8, 257, 123),
];

#[test]
fn tables_have_the_kernels_numbers_of_classes() {
    for (page_size, chain_size, raw, distinct) in TABLES {
        let table = table(page_size, chain_size);
        let sizes: BTreeSet<usize> = table.iter().map(|class| class.size()).collect();
        assert_eq!(
            (table.len(), sizes.len()),
            (raw, distinct),
            "{page_size}/{chain_size}"
        );
    }
}

/// (size, pages per zspage) of the last classes, from the kernel's Documentation/mm/zsmalloc.rst.
const CHAIN_4: [(usize, usize); 2] = [(3264, 4), (4096, 1)];
const CHAIN_8: [(usize, usize); 6] = [
    (3264, 4),
    (3408, 5),
    (3504, 6),
    (3584, 7),
    (3632, 8),
    (4096, 1),
];
const CHAIN_16: [(usize, usize); 20] = [
    (3264, 4),
    (3328, 13),
    (3344, 9),
    (3360, 14),
    (3408, 5),
    // 3424 in the document, which is older than the kernel's comparison of wastes in bytes: rounded
    // to per cent, 11 and 16 pages are equally good for 3440 bytes.
    (3440, 16),
    (3456, 11),
    (3504, 6),
    (3536, 13),
    (3584, 7),
    (3600, 15),
    (3632, 8),
    (3680, 9),
    (3712, 10),
    (3744, 11),
    (3776, 12),
    (3792, 13),
    (3808, 14),
    (3840, 15),
    (4096, 1),
];

#[test]
fn the_largest_classes_are_those_of_the_kernels_documentation() {
    for (chain_size, rows) in [(4, &CHAIN_4[..]), (8, &CHAIN_8), (16, &CHAIN_16)] {
        let mut classes = table(4096, chain_size);
        classes.dedup();
        let last = classes.iter().filter(|class| class.size() >= 3264);
        let last: Vec<_> = last
            .map(|class| (class.size(), class.pages_per_zspage()))
            .collect();
        assert_eq!(last, rows, "chain size {chain_size}");
    }
}

/// The documentation's example: 1568 bytes are served by 1632 with a chain of 4, and have a class
/// of their own, 13 objects on 5 pages, with longer ones.
#[test]
fn the_documentations_example_of_merging_holds() {
    let class = table(4096, 4)[raw_index(4096, 1568)];
    assert_eq!(
        (
            class.size(),
            class.pages_per_zspage(),
            class.objects_per_zspage()
        ),
        (1632, 2, 5)
    );
    let class = table(4096, 8)[raw_index(4096, 1568)];
    assert_eq!(
        (
            class.size(),
            class.pages_per_zspage(),
            class.objects_per_zspage()
        ),
        (1568, 5, 13)
    );
    assert_eq!(class.waste(), 96);
}

#[test]
fn every_length_fits_the_class_that_serves_it_and_none_below() {
    for (page_size, chain_size, ..) in TABLES {
        let table = table(page_size, chain_size);
        for len in 1..=page_size {
            let index = raw_index(page_size, len);
            assert!(table[index].size() >= len);
            let raw_below = 32 + (index.max(1) - 1) * (page_size / 256);
            assert!(index == 0 || raw_below < len);
        }
    }
}

#[test]
fn waste_is_the_smallest_of_all_lengths_and_merged_classes_agree() {
    for (page_size, chain_size, ..) in TABLES {
        let table = table(page_size, chain_size);
        for class in &table {
            let (size, pages) = (class.size(), class.pages_per_zspage());
            assert_eq!(class.objects_per_zspage(), pages * page_size / size);
            let wastes = (1..=chain_size).map(|pages| pages * page_size % size);
            let least = if size.is_power_of_two() {
                0
            } else {
                wastes.min().unwrap()
            };
            assert_eq!(class.waste(), least, "size {size}");
        }
        // A class serves itself, and so each group has one size.
        for pair in table.windows(2) {
            let shape = |i: usize| (pair[i].pages_per_zspage(), pair[i].objects_per_zspage());
            assert_eq!(pair[0] == pair[1], shape(0) == shape(1));
        }
    }
}

#[test]
fn a_pool_has_the_tables_classes_and_zspages() {
    for (page_size, chain_size, _, distinct) in TABLES {
        let pool = Pool::builder()
            .classes(ClassPolicy::Zsmalloc { chain_size })
            .page_size(page_size)
            .build()
            .unwrap();
        assert_eq!(pool.class_stats().len(), distinct);
        for class in table(page_size, chain_size) {
            let handle = pool.alloc(class.size()).unwrap();
            let zspage = pool.zspages().next().unwrap();
            assert_eq!(zspage.size, class.size());
            assert_eq!(zspage.pages, class.pages_per_zspage());
            assert_eq!(zspage.slots, class.objects_per_zspage());
            pool.free(handle);
        }
    }
}

#[test]
#[should_panic(expected = "chain size of 3 pages is not in 4..=16")]
fn a_chain_size_out_of_range_panics() {
    table(4096, 3);
}

#[test]
#[should_panic(expected = "page size of 5000 bytes")]
fn a_page_size_out_of_range_panics() {
    table(5000, 8);
}

/// (class, size) of rows in the kernel's Documentation/mm/zsmalloc.rst, for chain size 8.
#[test]
fn classes_have_the_kernels_numbers() {
    let policy = ClassPolicy::Zsmalloc { chain_size: 8 };
    let pool = Pool::builder().classes(policy).build().unwrap();
    let rows = pool.class_stats();
    for documented in [(30, 512), (31, 528), (32, 544), (225, 3632), (254, 4096)] {
        assert!(
            rows.iter().any(|row| (row.class, row.size) == documented),
            "{documented:?}"
        );
    }
}

#[test]
fn adaptive_classes_are_merged_too() {
    let rows = Pool::new().class_stats();
    assert_eq!(rows.len(), 113);
    for row in rows {
        assert_eq!((row.class + 1) * 32, row.size);
    }
}

/// Distinct classes when wastes are compared in whole per cent of the zspage used, as the kernel did
/// when its documentation was written.
fn distinct_by_per_cent(chain_size: usize) -> usize {
    let shape = |size: usize| {
        let used = |pages: usize| (pages * 4096 / size * size) * 100 / (pages * 4096);
        let pages = (2..=chain_size).fold(1, |best, pages| {
            if used(pages) > used(best) {
                pages
            } else {
                best
            }
        });
        (pages, pages * 4096 / size)
    };
    let mut shapes: Vec<_> = (32..=4096).step_by(16).map(shape).collect();
    shapes.dedup();
    shapes.len()
}

#[test]
fn the_documentations_example_counts_classes_by_per_cent() {
    assert_eq!(distinct_by_per_cent(8), 123);
    assert_eq!(distinct_by_per_cent(16), 191);
}
