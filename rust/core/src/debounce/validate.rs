//! Every relationship that must hold between the buffer's parts, checked from the outside in.

use super::flush::TAKEN;
use super::{DebounceBuffer, TIERS};
use crate::ensure;
use crate::list::List;
use crate::slab::NONE;
use crate::table::Keyed;

impl DebounceBuffer {
    /// Walks through the whole buffer, for tests: O(entries).
    ///
    /// # Errors
    /// One sentence that names the first relationship found broken and its values.
    pub fn validate(&self) -> Result<(), String> {
        let mut waiting = 0;
        for tier in 0..TIERS {
            #[allow(clippy::cast_possible_truncation, reason = "below three")]
            let length = self.validate_list(self.lists[tier], tier as u16)?;
            ensure(length == self.waiting[tier], || {
                format!("tier {tier}: {length} entries, {:?} counted", self.waiting)
            })?;
            waiting += length;
        }
        let mut taken = 0;
        for &(_, list) in &self.batches {
            taken += self.validate_list(list, TAKEN)?;
        }
        ensure(waiting == self.len(), || {
            format!("{waiting} entries in lists, {} in the table", self.len())
        })?;
        ensure(taken == self.taken, || {
            format!("{taken} entries in batches, {} counted", self.taken)
        })?;
        ensure(waiting + taken <= self.capacity, || {
            format!("{waiting} + {taken} entries, capacity {}", self.capacity)
        })?;
        let (free, used) = (self.slab.count_free(), self.slab.used());
        ensure(waiting + taken + free == used, || {
            format!("{waiting} + {taken} entries and {free} free ones, but {used} used")
        })?;
        let stats = self.stats;
        let gone = stats.confirmed + stats.discarded + stats.rejoined;
        ensure(
            usize::try_from(stats.added - gone) == Ok(waiting + taken),
            || format!("{stats:?}, but {waiting} + {taken} entries"),
        )?;
        let raised: u64 = stats.raised.iter().sum();
        ensure(
            raised == stats.added + stats.merged + stats.suppressed,
            || format!("{stats:?}: a raise became nothing"),
        )
    }

    /// Checks one list and returns its length.
    fn validate_list(&self, list: List, slot: u16) -> Result<usize, String> {
        let (mut length, mut prev, mut index, mut before) = (0, NONE, list.head(), i64::MIN);
        while index != NONE {
            length += 1;
            ensure(length <= self.capacity, || format!("list {slot}: a ring"))?;
            let entry = self.slab[index];
            let name = || format!("list {slot}, task {:?}", entry.key());
            ensure(entry.links.slot == slot, || {
                format!("{}: its slot says {}", name(), entry.links.slot)
            })?;
            ensure(entry.links.prev == prev, || {
                format!("{}: its back link is wrong", name())
            })?;
            let is_waiting = self.table.get(&self.slab, entry.key()) == Some(index);
            ensure(is_waiting == (slot != TAKEN), || {
                format!("{}: the table is wrong about it", name())
            })?;
            ensure(slot == TAKEN || before <= entry.deadline, || {
                format!("{}: deadline {} after {before}", name(), entry.deadline)
            })?;
            let hottest = self.tier_of(entry.raise.priority);
            ensure(slot == TAKEN || usize::from(slot) >= hottest, || {
                format!("{}: priority {}", name(), entry.raise.priority)
            })?;
            (prev, index, before) = (index, entry.links.next, entry.deadline);
        }
        ensure(list.tail() == prev, || {
            format!("list {slot}: its tail is wrong")
        })?;
        Ok(length)
    }
}
