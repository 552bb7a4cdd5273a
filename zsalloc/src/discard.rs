//! Giving back the memory of idle pages: pages in which no object has a byte, of zspages that stay
//! as they are because an object of theirs is mapped, or because they are the last of their class.
//!
//! The memory goes back by a system call, which is not made with the class locked. Meanwhile
//!
//! * nobody takes a slot in those pages, as the zspage is *closed*;
//! * nobody moves the zspage or its objects, as we hold its read lock;
//! * nobody retires it when its last object is freed, as it is isolated: we do.
//!
//! Objects of its other pages are read, written and freed as ever. The addresses stay: a slot that is
//! taken later finds zeroed memory. The pages stay in the pool's count of pages, so what
//! [`freeable`](crate::Pool::freeable) promises and compaction gives back is not counted twice.

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::class::Class;
use crate::hold_time::HoldTimes;
use crate::listing::SLICE;
use crate::pool::Pool;
use crate::primitive::is_broken;
use crate::reclaim;
use crate::relocate::Isolated;
use crate::zspage::ReadHold;

/// Of how many zspages every slot is looked at under one hold of the class lock.
const SCANS: usize = 16;

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// Gives back the memory of idle pages of a class while there `is_time`; of a class that has had no
    /// free since the last time, nothing and at once. Returns the number of pages.
    #[track_caller]
    pub(crate) fn discard_idle(
        &self,
        class: usize,
        is_time: impl Fn() -> bool,
        times: &HoldTimes,
    ) -> usize {
        let hints = times.class(|| self.lock_class(class)).idle_hints();
        let Some(hints) = hints else { return 0 };
        let (mut place, mut discarded) = (0, 0);
        while is_time() {
            let Some(pages) = self.discard_next(class, &mut place, times) else {
                // Not if the time was up or the source panicked: what is left comes next time.
                let mut class = times.class(|| self.lock_class(class));
                class.hints_followed(hints);
                break;
            };
            discarded += pages;
        }
        discarded
    }

    /// Gives back the memory of idle pages of one zspage, the next in the class from `place` on, and
    /// moves `place` behind it. Returns the number of pages; `None` at the end of the class.
    #[track_caller]
    pub(crate) fn discard_next(
        &self,
        class: usize,
        place: &mut usize,
        times: &HoldTimes,
    ) -> Option<usize> {
        // Pinned before the class is locked: the end of the hold pins, too.
        let pin = reclaim::pin();
        let page_size = self.pages.page_size();
        let mut isolated = Isolated::none(self, class, times);
        let mut locked = times.class(|| self.lock_class(class));
        if *place >= locked.len() {
            return None;
        }
        let Some((pages, hold)) = find_idle(&mut locked, place) else {
            return Some(0);
        };
        let id = hold.zspage().id();
        let zspage = self.find(id, &pin).expect("who holds it keeps it");
        let hold = (!is_broken("idle zspage not held")).then_some(hold);
        isolated.adopt(zspage.id());
        locked.close(zspage, pages);
        drop(locked);
        for (first, count) in runs(pages) {
            // SAFETY: pages of the zspage's run, which the hold keeps there. No slot in use has a
            // byte in them, and no other is taken while the zspage is closed.
            unsafe {
                let start = zspage.base().add(first * page_size);
                self.pages.discard(start, count);
            }
        }
        // Only now: should the source panic, nothing of this has happened.
        let mut locked = times.class(|| self.lock_class(class));
        locked.discarded(zspage, pages);
        drop(locked);
        drop(hold);
        drop(isolated);
        Some(pages.count_ones() as usize)
    }
}

/// Holds the next zspage with idle pages, and moves `place` behind what was looked at.
fn find_idle<L: RawRwLock>(class: &mut Class<L>, place: &mut usize) -> Option<(u16, ReadHold<L>)> {
    let (mut scans, mut skipped, mut found) = (0, false, None);
    for member in class.members(*place..*place + SLICE) {
        *place += 1;
        if !member.may_be_idle() {
            continue;
        }
        if member.isolated() {
            skipped = true;
            continue;
        }
        let pages = member.idle_pages();
        if pages != 0 {
            // SAFETY: dropped before the isolation ends, and an isolated zspage is not retired.
            if let Some(hold) = unsafe { ReadHold::try_lock(member.zspage().into()) } {
                found = Some((pages, hold));
                break;
            }
            skipped = true;
        }
        scans += 1;
        if scans == SCANS {
            break;
        }
    }
    if skipped {
        // For the next time.
        class.hint_idle();
    }
    found
}

/// The runs of ones in `bits`, each as its first bit and its length.
fn runs(mut bits: u16) -> impl Iterator<Item = (usize, usize)> {
    std::iter::from_fn(move || {
        (bits != 0).then(|| {
            let first = bits.trailing_zeros();
            let count = (bits >> first).trailing_ones();
            bits &= !(((1u32 << count) - 1) << first) as u16;
            (first as usize, count as usize)
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_are_maximal() {
        let of = |bits| runs(bits).collect::<Vec<_>>();
        assert_eq!(of(0), []);
        assert_eq!(of(0b1011_0110), [(1, 2), (4, 2), (7, 1)]);
        assert_eq!(of(u16::MAX), [(0, 16)]);
        assert_eq!(of(0x8001), [(0, 1), (15, 1)]);
    }

    /// A class is gone through once for all that was freed, and again only when more is, or when a
    /// pass has not ended.
    #[test]
    fn a_class_without_new_frees_is_left_alone() {
        let pool = crate::Pool::new();
        let handles: Vec<_> = (0..160).map(|_| pool.alloc(3328).unwrap()).collect();
        let class = pool.table.index_of(3328);
        let has_hints = || pool.lock_class(class).idle_hints().is_some();
        // One of eight stays, so most zspages do.
        let handles = handles.into_iter().enumerate();
        let (_kept, freed): (Vec<_>, Vec<_>) = handles.partition(|(i, _)| i % 8 == 0);
        let mut handles: Vec<_> = freed.into_iter().map(|(_, handle)| handle).collect();
        pool.free_many(handles.drain(70..));
        assert!(has_hints());
        let times = HoldTimes::default();
        assert_eq!(pool.discard_idle(class, || false, &times), 0);
        assert!(has_hints());
        assert!(pool.discard_idle(class, || true, &times) > 0);
        assert!(!has_hints());
        pool.free_many(handles);
        assert!(has_hints());
        assert!(pool.discard_idle(class, || true, &times) > 0);
        assert!(!has_hints());
    }
}
