//! Fullness groups: the zspages of a class, sorted roughly by how full they are.
//!
//! Allocation takes the fullest zspage that has room, so that the emptier ones get a chance to
//! become empty. As in zsmalloc (`get_fullness_group`) there are ten groups of 10 % between
//! "empty" and "full".

/// Empty, ten groups of 10 %, full.
pub(crate) const GROUPS: usize = 12;
const FULL: u8 = (GROUPS - 1) as u8;

/// The group of a zspage with `used` of `slots` slots in use.
#[inline]
pub(crate) fn group_of(used: usize, slots: usize) -> u8 {
    match used {
        0 => 0,
        _ if used == slots => FULL,
        // 1..=10, because 0 < used < slots.
        // 32 bits, as their division takes half the time; a zspage has at most 32768 slots.
        _ => (10 * used as u32 / slots as u32 + 1) as u8,
    }
}

/// All zspages of a class, as positions in the class's list, in the order of their groups.
///
/// To move a zspage to the next group is to exchange it with the one at the edge of its own and to move the
/// edge, so the groups need no lists of their own. Nothing of that touches a header.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    /// The emptiest group first.
    order: Vec<u32>,
    /// Where each zspage is in `order`.
    ranks: Vec<u32>,
    /// Where each group but the full one ends in `order`. Ascending.
    ends: [u32; FULL as usize],
}

impl Groups {
    /// Adds a zspage, whose position is the next one.
    pub(crate) fn push(&mut self, group: u8) {
        let zspage = self.order.len() as u32;
        self.order.push(zspage);
        self.ranks.push(zspage);
        self.change(FULL, group, zspage);
    }

    /// Moves a zspage from its group to another.
    pub(crate) fn change(&mut self, from: u8, to: u8, zspage: u32) {
        let mut rank = self.ranks[zspage as usize];
        let (order, ranks) = (&mut self.order[..], &mut self.ranks[..]);
        let mut exchange = |edge: u32| {
            if rank != edge {
                let other = order[edge as usize];
                order[rank as usize] = other;
                ranks[other as usize] = rank;
                rank = edge;
            }
        };
        if from < to {
            for end in &mut self.ends[from.into()..to.into()] {
                *end -= 1;
                exchange(*end);
            }
        } else {
            for end in self.ends[to.into()..from.into()].iter_mut().rev() {
                exchange(*end);
                *end += 1;
            }
        }
        order[rank as usize] = zspage;
        ranks[zspage as usize] = rank;
    }

    /// Removes a zspage. The last one gets its position.
    pub(crate) fn swap_remove(&mut self, group: u8, zspage: u32) {
        self.change(group, FULL, zspage);
        let rank = self.ranks[zspage as usize];
        // The last in the order gets its rank ...
        if let Some(last) = self.order.pop()
            && last != zspage
        {
            self.order[rank as usize] = last;
            self.ranks[last as usize] = rank;
        }
        // ... and the last in the list its position.
        if let Some(rank) = self.ranks.pop()
            && zspage as usize != self.ranks.len()
        {
            self.ranks[zspage as usize] = rank;
            self.order[rank as usize] = zspage;
        }
        // Do not keep the memory of the highest tide.
        for list in [&mut self.order, &mut self.ranks] {
            if list.capacity() > 4 && list.len() < list.capacity() / 4 {
                list.shrink_to(list.len() * 2);
            }
        }
    }

    /// Gives back the room that the lists have to grow.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.order.shrink_to_fit();
        self.ranks.shrink_to_fit();
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

    /// The bytes of the lists.
    pub(crate) fn bytes(&self) -> usize {
        (self.order.capacity() + self.ranks.capacity()) * size_of::<u32>()
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
        for group in [FULL, 3, 10, 10, 0] {
            groups.push(group);
        }
        assert_eq!(groups.with_room().last(), Some(4));
        let mut first: Vec<_> = groups.with_room().take(2).collect();
        first.sort_unstable();
        assert_eq!(first, [2, 3]);
        assert_eq!(groups.with_room().nth(2), Some(1));
        assert_eq!(groups.sparse().next(), Some(1));
        assert_eq!(groups.sparse().count(), 3);
    }

    /// Zspages wander from group to group; each is found in its own all the time.
    #[test]
    fn ranks_and_counts_stay_right_whatever_moves() {
        let mut groups = Groups::default();
        // The group of each zspage; the last is the one that a removal renames.
        let mut zspages = Vec::<u8>::new();
        let mut random = 1_u32;
        let mut below = |n: usize| {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 8) as usize % n
        };
        for step in 0..20_000 {
            let group = below(GROUPS) as u8;
            if zspages.is_empty() || (zspages.len() < 60 && below(10) == 0) {
                zspages.push(group);
                groups.push(group);
            } else if below(9) == 0 {
                let zspage = below(zspages.len());
                groups.swap_remove(zspages.swap_remove(zspage), zspage as u32);
            } else {
                let zspage = below(zspages.len());
                groups.change(zspages[zspage], group, zspage as u32);
                zspages[zspage] = group;
            }
            let mut counts = [0; GROUPS];
            for (zspage, &group) in zspages.iter().enumerate() {
                let rank = groups.ranks[zspage];
                assert_eq!(groups.order[rank as usize], zspage as u32, "step {step}");
                let start = groups.ends[..group.into()].last().map_or(0, |&end| end);
                let end = groups.ends.get(usize::from(group));
                let end = end.map_or(zspages.len() as u32, |&end| end);
                assert!((start..end).contains(&rank), "step {step}");
                counts[usize::from(group)] += 1;
            }
            assert_eq!(groups.counts(), counts);
            assert_eq!(
                (groups.order.len(), groups.ranks.len()),
                (zspages.len(), zspages.len())
            );
        }
    }
}
