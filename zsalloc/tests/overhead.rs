//! The cost of a lock per object, against values worked out by hand and against a brute force that
//! shares no code with the library.

use zsalloc::overhead::{Figures, for_sizes, of_class, per_object};
use zsalloc::size_class::{raw_index, table};

/// (page size, chain size) of all tables that are checked.
const TABLES: [(usize, usize); 9] = [
    (4096, 4),
    (4096, 8),
    (4096, 16),
    (16384, 4),
    (16384, 8),
    (16384, 16),
    (65536, 4),
    (65536, 8),
    (65536, 16),
];
const LOCKS: [usize; 6] = [1, 4, 8, 12, 32, 40];

/// A class of the brute force: the slot size and the slots per zspage.
type Class = (usize, usize);

/// The class of every raw size from the definition of zsmalloc's table, smallest first.
fn brute_table(page_size: usize, chain: usize) -> Vec<Class> {
    let mut sizes: Vec<usize> = (32..page_size).step_by(page_size / 256).collect();
    sizes.push(page_size);
    let shape = |size: usize| {
        let mut best = (1, page_size % size);
        for pages in 2..=chain {
            let waste = pages * page_size % size;
            if waste < best.1 && size.count_ones() > 1 {
                best = (pages, waste);
            }
        }
        (best.0, best.0 * page_size / size)
    };
    // The largest class of a run with the same shape serves the whole run.
    let serves = |i: usize| {
        let run = sizes[i..]
            .iter()
            .take_while(|size| shape(**size) == shape(sizes[i]));
        *run.last().unwrap()
    };
    (0..sizes.len())
        .map(|i| (serves(i), shape(sizes[i]).1))
        .collect()
}

/// The figures of a list of (length, slots that share the lock), one entry an object, in integers:
/// costs are multiples of 2^-64 bytes, rounded down.
fn brute_figures(mut objects: Vec<(usize, usize)>, lock: usize) -> [f64; 5] {
    objects.sort_by_key(|(_, slots)| std::cmp::Reverse(*slots));
    let costs: Vec<u128> = objects
        .iter()
        .map(|(_, slots)| ((lock as u128) << 64) / *slots as u128)
        .collect();
    let n = costs.len();
    let bytes = |fixed: u128| fixed as f64 / 2f64.powi(64);
    let sum: u128 = costs.iter().sum();
    let stored: usize = objects.iter().map(|(len, _)| len).sum();
    let median = if n % 2 == 1 {
        2 * costs[n / 2]
    } else {
        costs[n / 2 - 1] + costs[n / 2]
    };
    // The smallest cost that nine tenths of all do not exceed, by trying them all.
    let covers = |cost: &&u128| 10 * costs.partition_point(|c| c <= *cost) >= 9 * n;
    let p90 = *costs.iter().find(covers).unwrap();
    [
        bytes(sum) / n as f64,
        bytes(median) / 2.0,
        bytes(p90),
        bytes(costs[n - 1]),
        100.0 * bytes(sum) / stored as f64,
    ]
}

#[track_caller]
fn assert_figures(figures: Figures, expected: [f64; 5], about: &str) {
    let found = [
        figures.mean,
        figures.median,
        figures.p90,
        figures.max,
        figures.percent,
    ];
    for (found, expected) in found.iter().zip(expected) {
        assert!(
            (found - expected).abs() <= 1e-12 * expected,
            "{about}: {found} is not {expected} in {figures:?}"
        );
    }
}

#[test]
fn every_table_and_lock_agrees_with_the_brute_force() {
    for (page_size, chain) in TABLES {
        let brute = brute_table(page_size, chain);
        let mut brute_distinct = brute.clone();
        brute_distinct.dedup();
        let table = table(page_size, chain);
        for lock in LOCKS {
            let about = format!("pages of {page_size}, chain {chain}, lock of {lock}");
            let cost = per_object(&table, lock);
            assert_eq!(
                (cost.all.count, cost.distinct.count),
                (brute.len() as u64, brute_distinct.len() as u64),
                "{about}"
            );
            assert_figures(cost.all, brute_figures(brute.clone(), lock), &about);
            assert_figures(
                cost.distinct,
                brute_figures(brute_distinct.clone(), lock),
                &about,
            );
            for (class, (_, slots)) in table.iter().zip(&brute) {
                assert_eq!(
                    of_class(class, lock),
                    lock as f64 / *slots as f64,
                    "{about}"
                );
            }
        }
    }
}

#[test]
fn lengths_are_weighted_and_counted_like_single_objects() {
    for (page_size, chain) in TABLES {
        // Every length once or more often, unevenly; in no order.
        let sizes = (1..=page_size)
            .map(|i| i * 7919 % page_size + 1)
            .map(|len| (len, (len % 5) as u64));
        let brute = brute_table(page_size, chain);
        let mut objects = Vec::new();
        for (len, count) in sizes.clone() {
            let (_, slots) = *brute.iter().find(|(size, _)| *size >= len).unwrap();
            objects.extend(std::iter::repeat_n((len, slots), count as usize));
        }
        let cost = for_sizes(&table(page_size, chain), 40, sizes);
        assert_eq!(
            (cost.figures.count, cost.refused),
            (objects.len() as u64, 0)
        );
        assert_figures(
            cost.figures,
            brute_figures(objects, 40),
            &format!("{page_size}/{chain}"),
        );
    }
}

/// Worked out on paper for 4 KiB pages: 48 bytes fill 3 pages with 256 slots and no waste; a power of
/// two has 1 page; 3072 bytes fill 3 pages with 4 slots; above 3632 no chain of 8 holds more objects
/// than pages.
#[test]
fn classes_worked_out_by_hand() {
    for (chain, len, slots) in [
        (4, 48, 256),
        (8, 48, 256),
        (16, 48, 256),
        (4, 32, 128),
        (4, 3072, 4),
        (8, 3072, 4),
        (4, 3265, 1),
        (8, 3265, 6),
        (8, 3633, 1),
        (16, 3633, 10),
        (16, 3841, 1),
        (16, 4096, 1),
    ] {
        let class = table(4096, chain)[raw_index(4096, len)];
        assert_eq!(
            of_class(&class, 4),
            4.0 / slots as f64,
            "{len} bytes, chain {chain}"
        );
    }
}

/// The estimate made in the discussion: a chain of 4 pages, pages compressed to a third, 12 objects,
/// less than 3 bytes each. A third of a page is 1365 bytes, whose class has 11 slots on 4 pages; six
/// bytes less, and the zspage is one page with 3 slots. 12 slots are those of a quite different class.
#[test]
fn the_estimate_of_twelve_objects_is_no_class_at_a_third() {
    let table = table(4096, 4);
    let at = |len| table[raw_index(4096, len)];
    let shape = |len| {
        (
            at(len).size(),
            at(len).pages_per_zspage(),
            at(len).objects_per_zspage(),
        )
    };
    assert_eq!(shape(4096 / 3), (1488, 4, 11));
    assert_eq!(shape(1360), (1360, 1, 3));
    let of_twelve: Vec<_> = table
        .iter()
        .filter(|c| c.objects_per_zspage() == 12)
        .map(|c| c.size())
        .collect();
    assert_eq!(of_twelve, [336]);
    // What a semaphore of 40 bytes adds to a spinning lock of 8.
    assert!(of_class(&at(1365), 32) < 3.0);
    assert!(of_class(&at(1360), 32) > 10.0);
}

#[test]
fn the_median_of_an_even_number_lies_between_the_middle_two() {
    let table = table(4096, 8);
    // 1, 1, 2 and 4 objects a zspage: costs 12, 12, 6 and 3.
    let sizes = [(4096, 2), (2048, 1), (1024, 1)];
    let figures = for_sizes(&table, 12, sizes).figures;
    assert_eq!(
        (figures.median, figures.p90, figures.max, figures.mean),
        (9.0, 12.0, 12.0, 8.25)
    );
    assert_eq!(figures.percent, 100.0 * 33.0 / 11264.0);
    // The ninth of ten is the 90th percentile, the tenth is not.
    let figures = for_sizes(&table, 12, [(2048, 9), (4096, 1)]).figures;
    assert_eq!((figures.p90, figures.max), (6.0, 12.0));
}

#[test]
fn nothing_costs_nothing_and_what_a_pool_refuses_is_told_apart() {
    let nothing = Figures::default();
    assert_eq!(per_object(&[], 4).all, nothing);
    assert_eq!(per_object(&[], 4).distinct, nothing);
    assert_eq!(
        (nothing.count, nothing.mean, nothing.percent),
        (0, 0.0, 0.0)
    );

    let table = table(4096, 8);
    assert_eq!(for_sizes(&table, 4, []).figures, nothing);
    let refused = for_sizes(&[], 4, [(100, 3)]);
    assert_eq!((refused.figures, refused.refused), (nothing, 3));
    let cost = for_sizes(&table, 4, [(0, 5), (4097, 7), (1, 1), (4096, 1), (64, 0)]);
    assert_eq!((cost.figures.count, cost.refused), (2, 12));
    assert_eq!(cost.figures.mean, (4.0 / 128.0 + 4.0) / 2.0);

    // A length of which there is no object is no value.
    let cost = for_sizes(&table, 4, [(64, 3), (4096, 0)]);
    assert_eq!(cost.figures.max, 4.0 / 64.0);
    assert_eq!(for_sizes(&table, 4, [(64, 0)]).figures, nothing);
}

/// A weight does not need as many steps as objects, and none is so large that it overflows.
#[test]
fn a_histogram_of_very_many_objects_is_as_good_as_one_of_few() {
    let table = table(4096, 8);
    let few = [(1000, 3u64), (2000, 5), (3000, 2)];
    let many = few.map(|(len, count)| (len, count << 58));
    let (few, many) = (
        for_sizes(&table, 8, few).figures,
        for_sizes(&table, 8, many).figures,
    );
    assert_eq!(
        [many.mean, many.median, many.p90, many.max, many.percent],
        [few.mean, few.median, few.p90, few.max, few.percent]
    );
}

/// The figures of the documentation's chapter are computed anew from the bytes in its second column.
#[test]
fn the_chapters_table_is_right() {
    let chapter = include_str!("../src/docs/overhead.md");
    let table = table(4096, 8);
    let mut locks = Vec::new();
    for row in chapter
        .lines()
        .filter(|line| line.starts_with("| `") || line.starts_with("| the kernel"))
    {
        let (name, figures) = row.split_once(" | ").unwrap();
        let lock: usize = figures.split(' ').next().unwrap().parse().unwrap();
        let cost = per_object(&table, lock);
        let cheap = table
            .iter()
            .filter(|class| lock < 3 * class.objects_per_zspage());
        let expected = format!(
            "{lock} | {:.2} | {:.2} | {:.2} | {:.2} | {:.2} | {} | {:.3} | {} |",
            cost.all.mean,
            cost.all.median,
            cost.distinct.mean,
            cost.distinct.median,
            cost.distinct.p90,
            cost.distinct.max,
            cost.all.percent,
            cheap.count(),
        );
        assert_eq!(figures, expected, "{name}");
        locks.push(lock);
    }
    assert_eq!(locks, [4, 8, 8, 8, 12, 32, 40]);
}

/// The validator's locks are larger; the chapter is about what is there without it.
#[cfg(all(target_pointer_width = "64", not(feature = "debug-lockdep")))]
#[test]
fn the_chapters_sizes_of_rust_locks_are_measured() {
    let chapter = include_str!("../src/docs/overhead.md");
    for (name, bytes) in [
        ("zslock::RawZsLock", size_of::<zslock::RawZsLock>()),
        (
            "parking_lot::RawRwLock",
            size_of::<parking_lot::RawRwLock>(),
        ),
        ("std::sync::RwLock<()>", size_of::<std::sync::RwLock<()>>()),
    ] {
        assert!(
            chapter.contains(&format!("| `{name}` | {bytes} |")),
            "{name} has {bytes} bytes"
        );
    }
}

#[test]
fn the_chapters_story_of_the_estimate_is_right() {
    let chapter = include_str!("../src/docs/overhead.md").replace('\n', " ");
    let table = table(4096, 4);
    let twelve: Vec<_> = (1..=4096)
        .filter(|len| table[raw_index(4096, *len)].objects_per_zspage() == 12)
        .collect();
    let cost = |len| of_class(&table[raw_index(4096, len)], 32);
    let cheap = table
        .iter()
        .filter(|class| 32 < 3 * class.objects_per_zspage())
        .count();
    for claim in [
        format!(
            "for objects of {} to {} bytes.",
            twelve[0],
            twelve[twelve.len() - 1]
        ),
        format!(
            "the longer objects pay {:.1} bytes and the shorter ones {:.1};",
            cost(1365),
            cost(1360)
        ),
        format!("of all {} sizes, {cheap} pay less than 3.", table.len()),
    ] {
        assert!(chapter.contains(&claim), "{claim}");
    }
    // A run of lengths without a gap.
    assert_eq!(twelve.len(), twelve[twelve.len() - 1] - twelve[0] + 1);
}
