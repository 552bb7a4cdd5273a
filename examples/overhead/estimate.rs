//! "A chain of 4, ratio 1/3, 12 objects, less than 3 bytes": which class that really is.

use std::fmt::Write;

use examples::units;
use zsalloc::SizeClass;
use zsalloc::overhead::of_class;
use zsalloc::size_class::{raw_index, table};

use crate::locks;

const PAGE: usize = 4096;
const CHAIN: usize = 4;
const OBJECTS: usize = 12;
const BYTES: usize = 3;

/// What is found about the estimate, in integers.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The class of a page compressed to a third, and the class of objects a few bytes shorter.
    pub(crate) third: SizeClass,
    pub(crate) shorter: SizeClass,
    /// Object sizes whose zspage has the estimated number of objects.
    pub(crate) estimated: Vec<SizeClass>,
}

pub(crate) fn found() -> Finding {
    let table = table(PAGE, CHAIN);
    let third = table[raw_index(PAGE, PAGE / 3)];
    let below = table.iter().rev().find(|class| class.size() < PAGE / 3);
    let mut estimated = table.clone();
    estimated.retain(|class| class.objects_per_zspage() == OBJECTS);
    estimated.dedup();
    Finding {
        third,
        shorter: below.copied().unwrap_or(third),
        estimated,
    }
}

/// How many sizes of a table pay less than the estimate says.
pub(crate) fn cheap(table: &[SizeClass], lock_bytes: usize) -> usize {
    let pays_less = |class: &&SizeClass| lock_bytes < BYTES * class.objects_per_zspage();
    table.iter().filter(pays_less).count()
}

pub(crate) fn judged() -> String {
    let finding = found();
    format!("{}\n{}", told(&finding), costs(&finding))
}

/// Which class it really is.
fn told(finding: &Finding) -> String {
    let Finding {
        third,
        shorter,
        estimated,
    } = finding;
    let mut text = String::from(
        "An estimate, judged: \"chain of 4, ratio 1/3, 12 objects, less than 3 bytes\".\n\n",
    );
    let _ = writeln!(
        text,
        "  A third of {PAGE} is {} bytes. That is class {}: {}, not {OBJECTS}.",
        PAGE / 3,
        third.size(),
        shape(third),
    );
    let _ = writeln!(
        text,
        "  {} bytes less, and it is class {}: {}, because no longer zspage wastes less.",
        PAGE / 3 - shorter.size(),
        shorter.size(),
        shape(shorter),
    );
    if let [only] = estimated.as_slice() {
        let (size, pages) = (only.size(), pages_of(only));
        let _ = writeln!(
            text,
            "  Only class {size} has {OBJECTS} objects, on {pages}."
        );
    }
    let _ = writeln!(
        text,
        "  12 objects and less than 3 bytes are a lock of up to {} bytes: what an rw_semaphore of 40\n  \
         bytes has more than an rwlock_t of 8, for example.",
        OBJECTS * BYTES - 1,
    );
    text
}

fn shape(class: &SizeClass) -> String {
    let objects = units::counted(class.objects_per_zspage() as u64, "object");
    format!("{objects} on {}", pages_of(class))
}

fn pages_of(class: &SizeClass) -> String {
    units::counted(class.pages_per_zspage() as u64, "page")
}

/// What the classes pay.
fn costs(Finding { third, shorter, .. }: &Finding) -> String {
    let header = [
        "lock", "at 1/3", "shorter", "chain 4", "chain 8", "chain 16",
    ];
    let candidates = locks::candidates();
    let rows = locks::sizes(&candidates).into_iter().map(|bytes| {
        let mut row = vec![
            format!("{bytes} bytes"),
            format!("{:.2}", of_class(third, bytes)),
            format!("{:.2}", of_class(shorter, bytes)),
        ];
        row.extend([4, 8, 16].map(|chain| {
            let table = table(PAGE, chain);
            format!("{} of {}", cheap(&table, bytes), table.len())
        }));
        row
    });
    let title =
        "What these two classes pay, and how many sizes pay less than 3 bytes (4 KiB pages):";
    crate::tables::of_numbers(title, &header, rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_third_has_eleven_objects_and_a_little_less_has_three() {
        let Finding {
            third,
            shorter,
            estimated,
        } = found();
        assert_eq!((third.size(), third.objects_per_zspage()), (1488, 11));
        assert_eq!((shorter.size(), shorter.objects_per_zspage()), (1360, 3));
        assert_eq!(
            estimated.iter().map(SizeClass::size).collect::<Vec<_>>(),
            [336]
        );
    }

    #[test]
    fn sizes_that_pay_less_than_the_estimate_are_counted_without_rounding() {
        // 12 bytes over 4 slots are exactly 3 bytes, which is not less.
        let four_slots = table(4096, 8)[raw_index(4096, 1024)];
        assert_eq!(four_slots.objects_per_zspage(), 4);
        assert_eq!(cheap(&[four_slots], 12), 0);
        assert_eq!(cheap(&[four_slots], 11), 1);
    }
}
