//! Listing the zspages of a class, a slice under each hold of the class lock.

use std::collections::HashSet;

use lock_api::RawRwLock;

use crate::backend::PageSource;
use crate::hold_time::HoldTimes;
use crate::member::Member;
use crate::pool::Pool;
use crate::zspage::ZspageId;

/// How many zspages are looked at under one hold of the class lock. Each may cost a cache miss, so
/// this takes about as long as moving the objects of one zspage.
pub(crate) const SLICE: usize = 512;

impl<L: RawRwLock, S: PageSource> Pool<L, S> {
    /// What `see` says of each zspage of a class, in the class's order, with `id` to tell them apart.
    ///
    /// Every zspage that is in the class all the time is listed once. Of those that come or go
    /// meanwhile some are listed and some are not.
    #[track_caller]
    pub(crate) fn list_class<T>(
        &self,
        class: usize,
        times: &HoldTimes,
        see: impl Fn(Member<'_, L>) -> T,
        id: impl Fn(&T) -> ZspageId,
    ) -> Vec<T> {
        self.list_slices(class, times, see, id, || ())
    }

    /// The same; calls `between` before each slice, with no lock held.
    #[track_caller]
    fn list_slices<T>(
        &self,
        class: usize,
        times: &HoldTimes,
        see: impl Fn(Member<'_, L>) -> T,
        id: impl Fn(&T) -> ZspageId,
        mut between: impl FnMut(),
    ) -> Vec<T> {
        let mut list = Vec::new();
        // From the end: the last zspage takes the place of one that goes. So what is moved was seen
        // already, and none is missed; but it may be seen again.
        let (mut end, mut removals) = (usize::MAX, None);
        let again = loop {
            // Not with the class locked.
            list.reserve(SLICE);
            between();
            let class = times.class(|| self.lock_class(class));
            end = end.min(class.len());
            let start = end.saturating_sub(SLICE);
            list.extend(class.members(start..end).rev().map(&see));
            end = start;
            let removals = *removals.get_or_insert(class.removals());
            if start == 0 {
                break removals != class.removals();
            }
        };
        if again {
            let mut seen = HashSet::new();
            list.retain(|zspage| seen.insert(id(zspage)));
        }
        list.reverse();
        list
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Between two slices zspages go, of those that were seen and of those that were not.
    #[test]
    fn what_stays_is_listed_once_whatever_goes_meanwhile() {
        const COUNT: usize = 3 * SLICE + 7;
        let pool = Pool::new();
        let class = pool.table.index_of(4096);
        let mut handles: Vec<_> = (0..COUNT)
            .map(|_| Some(pool.alloc(4096).unwrap()))
            .collect();
        let all: Vec<_> = pool.zspages().map(|zspage| zspage.id).collect();
        let (mut gone, mut slices) = (HashSet::new(), 0);
        let list = pool.list_slices(
            class,
            &HoldTimes::default(),
            |zspage| zspage.id(),
            |&id| id,
            || {
                // Nothing before the first; then one at the beginning and two near the end.
                for place in [10 + slices, COUNT - 10 * slices, COUNT - 10 * slices - 1] {
                    if slices > 0 {
                        pool.free(handles[place].take().unwrap());
                        gone.insert(all[place]);
                    }
                }
                slices += 1;
            },
        );
        assert_eq!((slices, gone.len()), (4, 9));
        let listed: HashSet<_> = list.iter().copied().collect();
        assert_eq!(listed.len(), list.len(), "one is listed twice");
        let stayed = all.iter().filter(|id| !gone.contains(id));
        assert!(
            stayed.into_iter().all(|id| listed.contains(id)),
            "one is missed"
        );
        pool.free_many(handles.into_iter().flatten());
    }
}
