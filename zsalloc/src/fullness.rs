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

/// The members of each group, as positions in the class's list of zspages.
#[derive(Debug, Default)]
pub(crate) struct Groups {
    members: [Vec<u32>; GROUPS],
}

impl Groups {
    /// Adds a zspage; returns its place, which [`remove`](Self::remove) takes.
    pub(crate) fn insert(&mut self, group: u8, zspage: u32) -> u32 {
        let members = &mut self.members[group as usize];
        members.push(zspage);
        (members.len() - 1) as u32
    }

    /// Removes the zspage at `place`. Returns the zspage that took over the place, if any.
    pub(crate) fn remove(&mut self, group: u8, place: u32) -> Option<u32> {
        let members = &mut self.members[group as usize];
        members.swap_remove(place as usize);
        // Groups swell and shrink with the load; do not keep the memory of the highest tide.
        if members.capacity() > 4 && members.len() < members.capacity() / 4 {
            members.shrink_to(members.len() * 2);
        }
        members.get(place as usize).copied()
    }

    /// Gives back the room that the lists have to grow.
    pub(crate) fn shrink_to_fit(&mut self) {
        self.members.iter_mut().for_each(Vec::shrink_to_fit);
    }

    /// Writes a new name over the zspage at `place`.
    pub(crate) fn rename(&mut self, group: u8, place: u32, zspage: u32) {
        self.members[group as usize][place as usize] = zspage;
    }

    /// The number of members of each group.
    pub(crate) fn counts(&self) -> [usize; GROUPS] {
        self.members.each_ref().map(Vec::len)
    }

    /// The bytes of the lists.
    pub(crate) fn bytes(&self) -> usize {
        let entries: usize = self.members.iter().map(Vec::capacity).sum();
        entries * size_of::<u32>()
    }

    /// The zspages that have room, the fullest group first; within a group the newest first.
    pub(crate) fn with_room(&self) -> impl Iterator<Item = u32> + '_ {
        self.members[..FULL as usize]
            .iter()
            .rev()
            .flat_map(|members| members.iter().rev().copied())
    }

    /// The zspages that have objects and room, the sparsest group first; within a group the oldest
    /// first.
    pub(crate) fn sparse(&self) -> impl Iterator<Item = u32> + '_ {
        self.members[1..FULL as usize].iter().flatten().copied()
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
        groups.insert(FULL, 1);
        groups.insert(3, 2);
        groups.insert(10, 3);
        let place = groups.insert(10, 4);
        groups.insert(0, 5);
        assert_eq!(groups.with_room().collect::<Vec<_>>(), [4, 3, 2, 5]);
        assert_eq!(groups.sparse().collect::<Vec<_>>(), [2, 3, 4]);
        assert_eq!(groups.remove(10, place), None);
        assert_eq!(groups.with_room().collect::<Vec<_>>(), [3, 2, 5]);
    }

    #[test]
    fn removal_tells_who_took_the_place() {
        let mut groups = Groups::default();
        let first = groups.insert(5, 7);
        groups.insert(5, 8);
        assert_eq!(groups.remove(5, first), Some(8));
    }
}
