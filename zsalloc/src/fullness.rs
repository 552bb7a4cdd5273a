//! Fullness groups: the zspages of a class, sorted roughly by how full they are.
//!
//! Allocation takes the fullest zspage that has room, so that the emptier ones get a chance to
//! become empty. As in zsmalloc (`get_fullness_group`) there are ten groups of 10 % between
//! "empty" and "full".

/// Empty, ten groups of 10 %, full.
pub(crate) const GROUPS: usize = 12;
const FULL: u8 = (GROUPS - 1) as u8;

/// The group of a zspage with `used` of `slots` slots in use.
pub(crate) fn group_of(used: usize, slots: usize) -> u8 {
    match used {
        0 => 0,
        _ if used == slots => FULL,
        // 1..=10, because 0 < used < slots.
        _ => (10 * used / slots + 1) as u8,
    }
}

/// All zspages of a class, as positions in the class's list, in the order of their groups.
///
/// A zspage knows its position in this order, its *rank*. To move one to the next group is to exchange it
/// with the zspage at the edge of its own and to move the edge, so the groups need no lists of their own.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The emptiest group first.
    order: Vec<u32>,
    /// Where each group but the full one ends in `order`. Ascending.
    ends: [u32; FULL as usize],
}

impl Groups {
    /// Adds a zspage and returns its rank. `ranked` is told of each zspage whose rank changes, as by the
    /// other functions.
    pub(crate) fn insert(&mut self, group: u8, zspage: u32, ranked: impl Fn(u32, u32)) -> u32 {
        let rank = self.order.len() as u32;
        self.order.push(zspage);
        self.change(FULL, group, rank, ranked)
    }

    /// Moves the zspage at `rank` from its group to another, and returns its new rank.
    pub(crate) fn change(
        &mut self,
        from: u8,
        to: u8,
        mut rank: u32,
        ranked: impl Fn(u32, u32),
    ) -> u32 {
        let zspage = self.order[rank as usize];
        let mut exchange = |rank: &mut u32, edge: u32| {
            if *rank != edge {
                let other = self.order[edge as usize];
                self.order[*rank as usize] = other;
                ranked(other, *rank);
                *rank = edge;
            }
        };
        if from < to {
            for end in &mut self.ends[from.into()..to.into()] {
                *end -= 1;
                exchange(&mut rank, *end);
            }
        } else {
            for end in self.ends[to.into()..from.into()].iter_mut().rev() {
                exchange(&mut rank, *end);
                *end += 1;
            }
        }
        self.order[rank as usize] = zspage;
        rank
    }

    /// Removes the zspage at `rank`.
    pub(crate) fn remove(&mut self, group: u8, rank: u32, ranked: impl Fn(u32, u32)) {
        let rank = self.change(group, FULL, rank, &ranked);
        self.order.swap_remove(rank as usize);
        if let Some(&moved) = self.order.get(rank as usize) {
            ranked(moved, rank);
        }
        // Do not keep the memory of the highest tide.
        if self.order.capacity() > 4 && self.order.len() < self.order.capacity() / 4 {
            self.order.shrink_to(self.order.len() * 2);
        }
    }

    /// Gives back the room that the order has to grow.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.order.shrink_to_fit();
    }

    /// Writes a new name over the zspage at `rank`.
    pub(crate) fn rename(&mut self, rank: u32, zspage: u32) {
        self.order[rank as usize] = zspage;
    }

    /// The number of members of each group.
    pub(crate) fn counts(&self) -> [usize; GROUPS] {
        let mut start = 0;
        std::array::from_fn(|group| {
            let end = self
                .ends
                .get(group)
                .map_or(self.order.len(), |&end| end as usize);
            end - std::mem::replace(&mut start, end)
        })
    }

    /// The bytes of the order.
    pub(crate) fn bytes(&self) -> usize {
        self.order.capacity() * size_of::<u32>()
    }

    /// The zspages that have room, the fullest group first; within a group those first that came last
    /// from a fuller one.
    pub(crate) fn with_room(&self) -> impl Iterator<Item = u32> + '_ {
        let end = self.ends[FULL as usize - 1] as usize;
        self.order[..end].iter().rev().copied()
    }

    /// The zspages that have objects and room, the sparsest group first.
    pub(crate) fn sparse(&self) -> impl Iterator<Item = u32> + '_ {
        let (start, end) = (self.ends[0] as usize, self.ends[FULL as usize - 1] as usize);
        self.order[start..end].iter().copied()
    }
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    #[test]
    fn groups_are_tenths_between_empty_and_full() {
        assert_eq!(group_of(0, 10), 0);
        assert_eq!(group_of(1, 100), 1);
        assert_eq!(group_of(10, 100), 2);
        assert_eq!(group_of(99, 100), 10);
        assert_eq!(group_of(1, 1), FULL);
        assert_eq!(group_of(7, 7), FULL);
    }

    #[test]
    fn the_fullest_group_with_room_comes_first() {
        let mut groups = Groups::default();
        let add = |groups: &mut Groups, group, zspage| groups.insert(group, zspage, |_, _| ());
        for (group, zspage) in [(FULL, 1), (3, 2), (10, 3), (10, 4), (0, 5)] {
            add(&mut groups, group, zspage);
        }
        assert_eq!(groups.with_room().last(), Some(5));
        let mut first: Vec<_> = groups.with_room().take(2).collect();
        first.sort_unstable();
        assert_eq!(first, [3, 4]);
        assert_eq!(groups.with_room().nth(2), Some(2));
        assert_eq!(groups.sparse().next(), Some(2));
        assert_eq!(groups.sparse().count(), 3);
    }

    /// Zspages wander from group to group; each knows its rank all the time.
    #[test]
    fn ranks_and_counts_stay_right_whatever_moves() {
        let mut groups = Groups::default();
        // Of each zspage its group and rank; the last is the one that a removal renames.
        let zspages = RefCell::new(Vec::<(u8, u32)>::new());
        let ranked = |zspage: u32, rank| zspages.borrow_mut()[zspage as usize].1 = rank;
        let mut random = 1_u32;
        let mut below = |n: u32| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) % n
        };
        for step in 0..20_000 {
            let count = zspages.borrow().len() as u32;
            let group = below(GROUPS as u32) as u8;
            if count < 5 || (count < 60 && below(10) == 0) {
                zspages.borrow_mut().push((group, 0));
                let rank = groups.insert(group, count, ranked);
                ranked(count, rank);
            } else if below(10) == 0 {
                let zspage = below(count);
                let (from, rank) = zspages.borrow()[zspage as usize];
                groups.remove(from, rank, ranked);
                zspages.borrow_mut().swap_remove(zspage as usize);
                if let Some(&(_, rank)) = zspages.borrow().get(zspage as usize) {
                    groups.rename(rank, zspage);
                }
            } else {
                let zspage = below(count);
                let (from, rank) = zspages.borrow()[zspage as usize];
                let rank = groups.change(from, group, rank, ranked);
                zspages.borrow_mut()[zspage as usize] = (group, rank);
            }
            let zspages = zspages.borrow();
            let mut counts = [0; GROUPS];
            for (zspage, &(group, rank)) in zspages.iter().enumerate() {
                assert_eq!(groups.order[rank as usize], zspage as u32, "step {step}");
                let start = groups.ends[..group.into()].last().map_or(0, |&end| end);
                let end = groups.ends.get(usize::from(group));
                let end = end.map_or(zspages.len() as u32, |&end| end);
                assert!((start..end).contains(&rank), "step {step}");
                counts[usize::from(group)] += 1;
            }
            assert_eq!(groups.counts(), counts);
        }
    }
}
