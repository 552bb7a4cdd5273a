//! What the system takes for pages, whoever asks: the part of storing and freeing that no allocator can save, unless it keeps
//! pages.

use std::ptr::NonNull;
use std::time::Instant;

use zsalloc::{Mmap, PageSource, SOURCE_PAGE};

/// Pages that one call returns.
const RUNS: [usize; 4] = [1, 4, 16, 1024];

/// Nanoseconds of a page.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Pages {
    /// Pages that one call returns, or fetches.
    pub run: usize,
    /// To touch one that is not there: a page fault.
    pub fault: f64,
    /// To fetch one ahead: `madvise` with `MADV_POPULATE_WRITE`. Not every system can.
    pub ahead: Option<f64>,
    /// To return one that is: `madvise` with `MADV_DONTNEED`.
    pub back: f64,
}

/// The fastest of many tries, for runs of several lengths.
///
/// # Panics
///
/// If the system has no 4 MiB.
#[must_use]
pub fn measure() -> Vec<Pages> {
    const ALL: usize = 1024;
    const TRIES: usize = 30;
    let source = Mmap::new();
    let pages = source.alloc(ALL).expect("there is memory");
    // SAFETY: a page of the run, which is ours until it is released.
    let at = |page: usize| unsafe { pages.add(page * SOURCE_PAGE) };
    let mut measured = Vec::new();
    for run in RUNS {
        let (mut fault, mut back) = (f64::MAX, f64::MAX);
        let mut ahead = Some(f64::MAX);
        for _ in 0..TRIES {
            let start = Instant::now();
            for page in 0..ALL {
                // SAFETY: as above; volatile, so that the page is really touched.
                unsafe { at(page).write_volatile(1) };
            }
            let touched = Instant::now();
            for page in (0..ALL).step_by(run) {
                // SAFETY: these pages are ours, and nobody relies on their contents.
                unsafe { source.discard(at(page), run) };
            }
            fault = fault.min((touched - start).as_secs_f64() * 1e9 / ALL as f64);
            back = back.min(touched.elapsed().as_secs_f64() * 1e9 / ALL as f64);
            let start = Instant::now();
            let fetched = (0..ALL).step_by(run).all(|page| populate(at(page), run));
            let time = start.elapsed().as_secs_f64() * 1e9 / ALL as f64;
            ahead = ahead.filter(|_| fetched).map(|ahead| ahead.min(time));
            // SAFETY: as above.
            unsafe { source.discard(pages, ALL) };
        }
        measured.push(Pages {
            run,
            fault,
            ahead,
            back,
        });
    }
    // SAFETY: allocated above, and used no more.
    unsafe { source.release(pages, ALL) };
    measured
}

/// Fetches pages ahead, if the system can do that.
fn populate(start: NonNull<u8>, pages: usize) -> bool {
    // SAFETY: it changes no contents, and fails if the pages are not there.
    let done = unsafe {
        libc::madvise(
            start.as_ptr().cast(),
            pages * SOURCE_PAGE,
            libc::MADV_POPULATE_WRITE,
        )
    };
    done == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_length_takes_some_time() {
        let measured = measure();
        assert_eq!(measured.len(), RUNS.len());
        assert!(measured.iter().all(|pages| pages.fault > 0.0
            && pages.back > 0.0
            && pages.ahead.is_none_or(|ahead| ahead > 0.0)));
    }
}
