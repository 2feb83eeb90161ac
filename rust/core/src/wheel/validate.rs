//! Every relationship that must hold between the wheel's parts, checked from the outside in.

use super::{NONE, TimerWheel, block_of, modulo};
use crate::ensure;

impl<const NEAR: usize, const FAR: usize> TimerWheel<NEAR, FAR> {
    /// Walks through the whole wheel, for tests: O(live timers + slots).
    ///
    /// # Errors
    /// One sentence that names the first relationship found broken and its values.
    pub fn validate(&self) -> Result<(), String> {
        let mut linked = 0;
        for slot in 0..NEAR + FAR {
            linked += self.validate_list(slot, linked)?;
            self.validate_occupancy(slot)?;
        }
        ensure(self.near.summary_is_true(), || {
            "near: a summary bit is wrong".into()
        })?;
        ensure(self.far.summary_is_true(), || {
            "far: a summary bit is wrong".into()
        })?;
        ensure(linked == self.len(), || {
            format!("{linked} timers in lists, {} in the table", self.len())
        })?;
        ensure(self.len() <= self.capacity, || {
            format!("{} timers, capacity {}", self.len(), self.capacity)
        })?;
        let by_kind: usize = self.live.iter().sum();
        ensure(by_kind == linked, || {
            format!("{by_kind} timers by kind, {linked} in lists")
        })?;
        let (free, used) = (self.slab.count_free(), self.slab.used());
        ensure(linked + free == used, || {
            format!("{linked} timers and {free} free entries, but {used} entries used")
        })?;
        let gone = self.stats.cancelled + self.stats.expired;
        let live = self.stats.scheduled - gone;
        ensure(usize::try_from(live) == Ok(linked), || {
            format!("{live} timers by the counters, {linked} in lists")
        })
    }

    /// Checks one list and returns its length. `linked` timers were seen before; more than the
    /// table knows means a ring.
    fn validate_list(&self, slot: usize, linked: usize) -> Result<usize, String> {
        let (mut length, mut prev, mut index) = (0, NONE, self.lists[slot].head());
        while index != NONE {
            length += 1;
            ensure(linked + length <= self.len(), || {
                format!("slot {slot}: too many timers")
            })?;
            let entry = self.slab[index];
            let name = || format!("slot {slot}, timer ({}, {})", entry.kind.get(), entry.id);
            ensure(usize::from(entry.links.slot) == slot, || {
                format!("{}: its slot says {}", name(), entry.links.slot)
            })?;
            ensure(entry.links.prev == prev, || {
                format!("{}: its back link is wrong", name())
            })?;
            ensure(
                self.table.get(&self.slab, (entry.kind, entry.id)) == Some(index),
                || format!("{}: the table does not lead to it", name()),
            )?;
            ensure(self.belongs(entry.deadline, slot), || {
                format!(
                    "{}: deadline {} at {} belongs elsewhere",
                    name(),
                    entry.deadline,
                    self.now
                )
            })?;
            (prev, index) = (index, entry.links.next);
        }
        ensure(self.lists[slot].tail() == prev, || {
            format!("slot {slot}: its tail is wrong")
        })?;
        Ok(length)
    }

    /// Whether a timer with this deadline may stand in this slot now.
    fn belongs(&self, deadline: i64, slot: usize) -> bool {
        let (block, current) = (block_of(deadline, NEAR), block_of(self.now, NEAR));
        if deadline < self.now || deadline - self.now > Self::REACH_MS {
            return false;
        }
        if slot < NEAR {
            return block == current && modulo(deadline, NEAR) == slot;
        }
        let is_bounded = self.far_earliest[slot - NEAR] <= deadline;
        block > current && modulo(block, FAR) == slot - NEAR && is_bounded
    }

    fn validate_occupancy(&self, slot: usize) -> Result<(), String> {
        let holds = !self.lists[slot].is_empty();
        if slot < NEAR {
            let bit = self.near.contains(slot);
            return ensure(bit == holds, || {
                format!("slot {slot}: bit {bit}, timers {holds}")
            });
        }
        let bit = self.far.contains(slot - NEAR);
        ensure(bit == holds, || {
            format!("slot {slot}: bit {bit}, timers {holds}")
        })?;
        let earliest = self.far_earliest[slot - NEAR];
        ensure(holds == (earliest < i64::MAX), || {
            format!("slot {slot}: earliest {earliest}, timers {holds}")
        })
    }
}
