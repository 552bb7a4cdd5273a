//! An evacuated region is unmapped as a whole. One test in a process of its own: nobody else maps
//! anything at addresses that have just become free.

mod common;

use std::ops::Range;

use common::{is_intact, object};
use zsalloc::{Pool, StayReason};

/// How many bytes of a span are mapped, and how many of them are resident.
fn mapped(span: &Range<usize>) -> (usize, usize) {
    let smaps = std::fs::read_to_string("/proc/self/smaps").unwrap();
    let (mut bytes, mut resident, mut inside) = (0, 0, 0);
    for line in smaps.lines() {
        let (head, rest) = line.split_once(' ').unwrap();
        if let Some((start, end)) = head.split_once('-') {
            let address = |hex| usize::from_str_radix(hex, 16).unwrap();
            let (start, end) = (address(start), address(end));
            inside = end.min(span.end).saturating_sub(start.max(span.start));
            bytes += inside;
        } else if head == "Rss:" && inside > 0 {
            // Of the whole mapping: an upper bound of what is in the span.
            let kib: usize = rest.trim().trim_end_matches(" kB").parse().unwrap();
            resident += kib * 1024;
        }
    }
    (bytes, resident)
}

#[test]
fn an_evacuated_region_is_unmapped() {
    const REGION: usize = 4 << 20;
    let pool = Pool::new();
    let handles: Vec<_> = (0..9000)
        .map(|name| {
            pool.insert(&object(1000 + name as usize % 3000, name))
                .unwrap()
        })
        .collect();
    let regions: Vec<_> = pool.regions().collect();
    assert!(regions.len() >= 5);
    for region in &regions {
        let span = region.id.addresses();
        assert_eq!((span.start % REGION, span.len()), (0, REGION));
        let (bytes, resident) = mapped(&span);
        assert_eq!(bytes, REGION);
        // Zspages fill from the front, so how much of it is depends on the classes.
        assert!(resident > 0);
    }

    // The first one empty is not kept as a spare, nor is any later one; a mapped object keeps all.
    let spans = regions.iter().map(|region| region.id.addresses());
    let map = handles
        .iter()
        .map(|handle| pool.read(handle))
        .next()
        .unwrap();
    let held = spans
        .clone()
        .position(|span| span.contains(&map.as_ptr().addr()));
    for (place, region) in regions.iter().enumerate() {
        let report = pool.evacuate(region.id);
        let span = region.id.addresses();
        if Some(place) == held {
            assert_eq!(report.stayed_because(StayReason::Mapped), 1);
            assert!(!report.given_back);
            assert_eq!(mapped(&span).0, REGION);
        } else {
            assert!(report.given_back, "{report:?}");
            assert_eq!(mapped(&span), (0, 0));
        }
    }
    assert!(is_intact(&map));
    drop(map);
    let last = regions[held.unwrap()].id;
    assert!(pool.evacuate(last).given_back);
    assert_eq!(mapped(&last.addresses()), (0, 0));
    assert!(handles.iter().all(|handle| is_intact(&pool.read(handle))));
}
