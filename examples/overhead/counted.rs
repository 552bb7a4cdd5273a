//! The same objects in real pools: how many zspages, and so locks, are there?

use std::fmt::Write;

use examples::units;
use zsalloc::{AllocError, ClassPolicy, Pool, size_class};

use crate::histogram::{COMPRESSORS, Corpus, Lengths};

/// The locks counted for one compressor's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) objects: u64,
    /// Zspages in a pool with zsmalloc's classes, chain size 8.
    pub(crate) zsmalloc: u64,
    /// What that number must be: every class fills its zspages, and has at most one that is not full.
    pub(crate) computed: u64,
    /// Zspages in a pool that adapts their length to the number of objects, as is the default.
    pub(crate) adaptive: u64,
}

/// By compressor.
#[derive(Debug)]
pub(crate) struct Counted(pub(crate) [Count; 2]);

pub(crate) fn in_pools(corpus: &Corpus) -> Result<Counted, AllocError> {
    let [lz4, zstd] = corpus.small().lengths.each_ref().map(count);
    Ok(Counted([lz4?, zstd?]))
}

fn count(lengths: &Lengths) -> Result<Count, AllocError> {
    Ok(Count {
        objects: lengths.values().sum(),
        zsmalloc: zspages(lengths, ClassPolicy::Zsmalloc { chain_size: 8 })?,
        computed: computed(lengths),
        adaptive: zspages(lengths, ClassPolicy::default())?,
    })
}

/// The zspages of a pool that stores objects of these lengths and nothing else.
fn zspages(lengths: &Lengths, classes: ClassPolicy) -> Result<u64, AllocError> {
    let pool = Pool::builder().classes(classes).build();
    // Both policies are valid, and a process builds a handful of pools.
    let pool = pool.expect("a pool of the default size can be built");
    let mut handles = Vec::new();
    for (len, count) in lengths {
        for _ in 0..*count {
            handles.push(pool.alloc(*len)?);
        }
    }
    let zspages = pool.zspages().count() as u64;
    pool.free_many(handles);
    Ok(zspages)
}

fn computed(lengths: &Lengths) -> u64 {
    let table = size_class::table(4096, 8);
    let mut classes = std::collections::HashMap::new();
    for (len, count) in lengths {
        *classes
            .entry(table[size_class::raw_index(4096, *len)])
            .or_insert(0) += count;
    }
    let zspages = |(class, count): (&size_class::SizeClass, &u64)| {
        count.div_ceil(class.objects_per_zspage() as u64)
    };
    classes.iter().map(zspages).sum()
}

impl Counted {
    pub(crate) fn told(&self) -> String {
        let mut text = String::from(
            "Counted in a pool, where the last zspage of a class is not full (4 KiB pages):\n\n",
        );
        for (name, count) in COMPRESSORS.iter().zip(&self.0) {
            let per_object = |zspages: u64| 4.0 * zspages as f64 / count.objects.max(1) as f64;
            let _ = writeln!(
                text,
                "  {name:7} {} in {}, chain size 8 ({} computed): a lock of 4 bytes\n          \
                 is {:.3} bytes an object; in a pool that adapts: {}, {:.3} bytes",
                units::counted(count.objects, "object"),
                units::counted(count.zsmalloc, "zspage"),
                units::count(count.computed),
                per_object(count.zsmalloc),
                units::counted(count.adaptive, "zspage"),
                per_object(count.adaptive),
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pool_has_as_many_zspages_as_computed() {
        // 3 objects a zspage of 1360 bytes; 15 of 2176; raw pages one by one.
        let lengths = Lengths::from([(1350, 7), (2100, 16), (4096, 2)]);
        let count = count(&lengths).unwrap();
        assert_eq!(
            (count.objects, count.computed, count.zsmalloc),
            (25, 3 + 2 + 2, 7)
        );
    }
}
