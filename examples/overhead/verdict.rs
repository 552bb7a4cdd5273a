//! Is the overhead insignificant? And are the figures right?

use examples::units;
use zsalloc::size_class;

use crate::counted::Counted;
use crate::histogram::Corpus;
use crate::locks::Lock;
use crate::tables;

/// The criterion is the discussion's own measure of what is too heavy. "We can easily have double
/// digits megabytes used only on rwsemaphores", says the commit message of the lock that was merged
/// (see the link in [`by_lock`]). So a lock is insignificant if it takes less than this many MiB in a
/// large store, even when the zspages are half empty.
const DOUBLE_DIGITS: f64 = 10.0;
/// A large store, in MiB of compressed pages.
const STORE: f64 = 4.0 * 1024.0;

/// Something that must hold for the figures to be believed.
#[derive(Debug)]
pub(crate) struct Check {
    pub(crate) what: String,
    pub(crate) passed: bool,
}

/// The share of the stored bytes, in per cent: the worse of the two compressors, full zspages of up
/// to 8 pages of 4 KiB.
fn share(corpus: &Corpus, lock_bytes: usize) -> f64 {
    let [lz4, zstd] = corpus.small().cost(8, lock_bytes);
    lz4.percent.max(zstd.percent)
}

/// What a lock takes in a large store, in MiB, if a share `fill` of the slots is in use.
fn in_store(corpus: &Corpus, lock_bytes: usize, fill: f64) -> f64 {
    share(corpus, lock_bytes) / 100.0 * STORE / fill
}

/// Insignificant when zspages are full, and when they are half full.
fn judged(corpus: &Corpus, lock: &Lock) -> (bool, bool) {
    let insignificant = |fill| in_store(corpus, lock.bytes, fill) < DOUBLE_DIGITS;
    (insignificant(1.0), insignificant(0.5))
}

pub(crate) fn by_lock(locks: &[Lock], corpus: &Corpus) -> String {
    let rows = locks.iter().map(|lock| {
        let judgement = match judged(corpus, lock) {
            (true, true) => "yes",
            (true, false) => "only if full",
            (false, _) => "no",
        };
        vec![
            format!("{} ({})", lock.name, lock.bytes),
            format!("{:.3}", share(corpus, lock.bytes)),
            format!("{:.1}", in_store(corpus, lock.bytes, 1.0)),
            format!("{:.1}", in_store(corpus, lock.bytes, 0.5)),
            judgement.to_owned(),
        ]
    });
    let table = tables::of_numbers(
        "Is the overhead insignificant? Locks in 4 GiB of compressed pages (the real pages above, 4 KiB,\n\
         zspages of up to 8 pages, the worse of both compressors), in MiB:",
        &[
            "lock",
            "% of bytes",
            "full zspages",
            "half full",
            "insignificant?",
        ],
        rows,
    );
    format!(
        "{table}\nThe criterion is the discussion's own: \"we can easily have double digits megabytes used only on\n\
         rwsemaphores\" was too much (lkml.kernel.org/r/20250221222958.2225035-12-senozhatsky@chromium.org).\n\
         Insignificant is a lock that takes less than 10 MiB in a store of 4 GiB, even if that is half full.\n"
    )
}

pub(crate) fn checks(corpus: &Corpus, counted: &Counted) -> Vec<Check> {
    let mut checks = Vec::new();
    for (page_size, chain, raw, distinct) in [
        (4096, 4, 255, 69),
        (4096, 8, 255, 119),
        (4096, 16, 255, 192),
        (16384, 8, 257, 121),
        (65536, 8, 257, 123),
    ] {
        let mut table = size_class::table(page_size, chain);
        let sizes = table.len();
        table.dedup();
        checks.push(Check {
            what: format!(
                "pages of {page_size}, chain size {chain}: {raw} sizes and {distinct} classes, found {sizes} \
                 and {}",
                table.len()
            ),
            passed: (sizes, table.len()) == (raw, distinct),
        });
    }
    for (count, figures) in counted.0.iter().zip(corpus.small().cost(8, 4)) {
        checks.push(Check {
            what: format!(
                "a pool has {} zspages where {} are computed",
                count.zsmalloc, count.computed
            ),
            passed: count.zsmalloc == count.computed,
        });
        let counted = 4.0 * count.zsmalloc as f64;
        let full = figures.mean * figures.count as f64;
        // At most one zspage of each of the 119 classes is not full.
        let slack = 4.0 * 119.0;
        checks.push(Check {
            what: format!(
                "{counted:.0} bytes of locks in the pool, {full:.1} if all zspages were full"
            ),
            passed: count.objects == figures.count
                && counted >= full - 1e-6 * full
                && counted <= full + slack,
        });
    }
    checks
}

/// The last line.
pub(crate) fn line(locks: &[Lock], corpus: &Corpus, checks: &[Check]) -> String {
    let failed = checks.iter().filter(|check| !check.passed).count();
    if failed > 0 {
        let failed = units::counted(failed as u64, "check");
        return format!("FAILED: {failed} of {} did not hold", checks.len());
    }
    let sizes = |wanted: bool| {
        let chosen = locks
            .iter()
            .filter(|lock| (judged(corpus, lock) == (true, true)) == wanted);
        let mut sizes: Vec<String> = chosen.map(|lock| lock.bytes.to_string()).collect();
        sizes.dedup();
        sizes.join(", ")
    };
    let judgement = match (sizes(true), sizes(false)) {
        (yes, no) if no.is_empty() => format!("locks of {yes} bytes are all insignificant"),
        (yes, no) if yes.is_empty() => format!("no lock of {no} bytes is insignificant"),
        (yes, no) => format!("locks of {yes} bytes are insignificant, of {no} not"),
    };
    format!(
        "verdict: {judgement}; zslock: {:.3} % of the bytes",
        share(corpus, size_of::<zslock::RawZsLock>()),
    )
}
