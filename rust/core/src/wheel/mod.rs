//! A timer wheel of two levels, keyed by (kind, id), for timers that nearly always expire.
//!
//! After G. Varghese and A. Lauck, *Hashed and hierarchical timing wheels* (SOSP 1987).
//!
//! | level | slots | a slot spans | the level holds |
//! | --- | --- | --- | --- |
//! | near | 1,024 | 1 ms, a *tick* | the timers of the current block of 1,024 ticks |
//! | far | 512 | 1,024 ms, a *block* | the blocks after it: 524,288 ms of reach |
//!
//! When time enters a block, its far slot is spread over the near wheel, so a timer moves at most
//! once. Near slots are used by block and not by distance: if a timer of the next block went
//! straight to the near wheel, it would overtake older ones of its tick that still wait in the far
//! slot, and the order within a tick would depend on where blocks begin.
//!
//! **Order.** By deadline; timers of one tick in the order in which they were scheduled. Scheduling
//! a live key again moves it to the end of its new tick.
//!
//! **Time.** The wheel's time is the largest `now` it has got, or, when a limit cut a batch, the
//! tick at which it was cut; it never decreases. A deadline that has passed counts as that time and
//! is due at once. A `now` that lies before the wheel's time (a clock that stalls or steps back)
//! counts as that time too: nothing is lost, nothing is early by the clock that was seen first.
//!
//! **Costs.** Schedule and cancel: O(1). Advance: O(timers handed over) and, once a block, O(timers
//! of that block). Two levels and not six of 64 slots, because there one slot of the fourth level
//! spans minutes, and spreading it moves all of its timers at one tick.
//!
//! Memory: 32 bytes a timer in the slab, 5 a bucket in the table, 20 KiB of slots; all reserved at
//! the start.

mod entry;
mod slots;

mod validate;

use crate::types::{Due, KINDS, Kind, WheelError};
use entry::Timer;
use slots::{Occupancy, SLOTS_MAX, block_of, block_start, blocks_ahead, modulo};

use crate::list::List;
use crate::slab::{Links, NONE, Slab};
use crate::stats::Stats;
use crate::table::Table;

/// The largest capacity: 67 million timers, 2.8 GB.
pub const CAPACITY_MAX: usize = 1 << 26;

/// The wheel. `NEAR` and `FAR` are the levels' slots, powers of two; other values than the default
/// exist for tests, which can walk through all of a tiny wheel.
pub struct TimerWheel<const NEAR: usize = 1024, const FAR: usize = 512> {
    slab: Slab<Timer>,
    table: Table<Timer>,
    /// The near wheel's lists, then the far wheel's: an entry's `slot` indexes this.
    lists: Box<[List]>,
    near: Occupancy,
    far: Occupancy,
    /// The earliest deadline of each far slot, or earlier if that timer was cancelled since; what
    /// keeps the driver from waking at every block's start only to find out.
    far_earliest: Box<[i64]>,
    now: i64,
    capacity: usize,
    live: [usize; KINDS],
    stats: Stats,
}

impl<const NEAR: usize, const FAR: usize> TimerWheel<NEAR, FAR> {
    /// How far ahead of the wheel's time a deadline may lie, in milliseconds.
    #[allow(clippy::cast_possible_wrap, reason = "two small constants")]
    pub const REACH_MS: i64 = (NEAR * FAR) as i64;

    const GEOMETRY_IS_SOUND: () = {
        assert!(NEAR.is_power_of_two() && NEAR >= 2 && NEAR <= SLOTS_MAX);
        assert!(FAR.is_power_of_two() && FAR >= 2 && FAR <= SLOTS_MAX);
    };

    /// An empty wheel that starts at `now` and holds at most `capacity` live timers.
    ///
    /// # Errors
    /// `CapacityOutOfRange`, and `OutOfMemory` when the capacity cannot be reserved.
    pub fn new(now: i64, capacity: usize) -> Result<Self, WheelError> {
        let () = Self::GEOMETRY_IS_SOUND;
        if capacity == 0 || capacity > CAPACITY_MAX {
            return Err(WheelError::CapacityOutOfRange { capacity });
        }
        let out_of_memory = WheelError::OutOfMemory { capacity };
        Ok(Self {
            slab: Slab::with_capacity(capacity).ok_or(out_of_memory)?,
            table: Table::with_capacity(capacity).ok_or(out_of_memory)?,
            lists: vec![List::EMPTY; NEAR + FAR].into_boxed_slice(),
            near: Occupancy::EMPTY,
            far: Occupancy::EMPTY,
            far_earliest: vec![i64::MAX; FAR].into_boxed_slice(),
            now,
            capacity,
            live: [0; KINDS],
            stats: Stats::default(),
        })
    }

    /// Sets the timer of (kind, id) to `deadline`: a new one, or the live one moved.
    ///
    /// # Errors
    /// `BeyondHorizon` and `Full`; a live timer then keeps its deadline.
    pub fn schedule(&mut self, kind: Kind, id: i64, deadline: i64) -> Result<(), WheelError> {
        self.check_reach(deadline)?;
        let known = self.table.get(&self.slab, (kind, id));
        if known.is_none() && self.len() == self.capacity {
            return Err(WheelError::Full {
                capacity: self.capacity,
            });
        }
        self.upsert(known, kind, id, deadline);
        Ok(())
    }

    /// Schedules all pairs in order, or none of them. An id that occurs twice keeps its last
    /// deadline.
    ///
    /// # Errors
    /// `BeyondHorizon` for the first deadline out of reach; `Full` when the new ids do not all fit.
    ///
    /// # Panics
    /// If the slices differ in length.
    pub fn schedule_many(
        &mut self,
        kind: Kind,
        ids: &[i64],
        deadlines: &[i64],
    ) -> Result<(), WheelError> {
        assert_eq!(ids.len(), deadlines.len(), "one deadline for each id");
        for &deadline in deadlines {
            self.check_reach(deadline)?;
        }
        let room = self.capacity - self.len();
        if ids.len() > room && self.count_new(kind, ids) > room {
            return Err(WheelError::Full {
                capacity: self.capacity,
            });
        }
        for (&id, &deadline) in ids.iter().zip(deadlines) {
            let known = self.table.get(&self.slab, (kind, id));
            self.upsert(known, kind, id, deadline);
        }
        Ok(())
    }

    /// Takes the timer of (kind, id) out; false if there is none.
    pub fn cancel(&mut self, kind: Kind, id: i64) -> bool {
        let Some(index) = self.table.get(&self.slab, (kind, id)) else {
            return false;
        };
        self.unplace(index);
        self.forget(index);
        self.stats.cancelled += 1;
        true
    }

    /// Moves time to `now` and appends the timers whose deadline has passed to `due`, at most
    /// `limit` of them. The next call goes on where the limit cut; whether it did can be read from
    /// [`next_deadline`](Self::next_deadline), which then is not after `now`.
    pub fn advance(&mut self, now: i64, limit: usize, due: &mut Vec<Due>) {
        let now = now.max(self.now);
        let mut room = limit;
        while let Some(slot) = self.step(now) {
            let mut index = self.lists[slot].head();
            while index != NONE {
                if room == 0 {
                    return;
                }
                room -= 1;
                let entry = self.slab[index];
                debug_assert!(entry.deadline <= now, "{} expires at {now}", entry.deadline);
                due.push(Due {
                    kind: entry.kind,
                    id: entry.id,
                });
                self.unplace(index);
                self.forget(index);
                self.stats.expired += 1;
                index = entry.links.next;
            }
        }
    }

    /// When to advance next: never after the earliest deadline, and exactly then unless a timer of
    /// its far slot was cancelled or rescheduled, which can make it up to a block earlier.
    pub fn next_deadline(&self) -> Option<i64> {
        if let Some(slot) = self.near.first() {
            return Some(self.tick_of(slot));
        }
        let (slot, _) = self.next_block()?;
        Some(self.far_earliest[slot])
    }

    /// Live timers.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether no timer is live.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Live timers of one kind.
    pub fn count(&self, kind: Kind) -> usize {
        self.live[usize::from(kind.get())]
    }

    /// The most live timers.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The counters so far.
    pub fn stats(&self) -> Stats {
        self.stats
    }

    /// Bytes reserved for slab, table and slots.
    pub fn memory_bytes(&self) -> usize {
        self.slab.memory_bytes()
            + self.table.memory_bytes()
            + size_of_val(&*self.lists)
            + size_of_val(&*self.far_earliest)
            + size_of::<Self>()
    }

    fn check_reach(&self, deadline: i64) -> Result<(), WheelError> {
        let latest = self.now.saturating_add(Self::REACH_MS);
        if deadline > latest {
            return Err(WheelError::BeyondHorizon { deadline, latest });
        }
        Ok(())
    }

    /// How many different ids have no timer yet; only asked when the answer may be a refusal.
    fn count_new(&self, kind: Kind, ids: &[i64]) -> usize {
        let is_new = |&id: &i64| self.table.get(&self.slab, (kind, id)).is_none();
        let mut new: Vec<i64> = ids.iter().copied().filter(is_new).collect();
        new.sort_unstable();
        new.dedup();
        new.len()
    }

    fn upsert(&mut self, known: Option<u32>, kind: Kind, id: i64, deadline: i64) {
        let deadline = deadline.max(self.now);
        let index = if let Some(index) = known {
            self.unplace(index);
            self.slab[index].deadline = deadline;
            self.stats.rescheduled += 1;
            index
        } else {
            let timer = Timer {
                id,
                deadline,
                links: Links::NEW,
                kind,
            };
            let index = self.slab.insert(timer);
            self.table.insert(&self.slab, index);
            self.live[usize::from(kind.get())] += 1;
            self.stats.scheduled += 1;
            index
        };
        self.place(index, deadline);
    }

    /// Puts an entry that is in no list into the list of its deadline.
    fn place(&mut self, index: u32, deadline: i64) {
        debug_assert!(
            deadline >= self.now,
            "deadline {deadline} before {}",
            self.now
        );
        let block = block_of(deadline, NEAR);
        let slot = if block == block_of(self.now, NEAR) {
            let slot = modulo(deadline, NEAR);
            self.near.set(slot);
            slot
        } else {
            let slot = modulo(block, FAR);
            self.far.set(slot);
            let earliest = &mut self.far_earliest[slot];
            *earliest = deadline.min(*earliest);
            NEAR + slot
        };
        #[allow(clippy::cast_possible_truncation, reason = "at most 2,048 slots")]
        self.lists[slot].push_back(&mut self.slab, index, slot as u16);
    }

    /// Takes a placed entry out of its list.
    fn unplace(&mut self, index: u32) {
        let slot = usize::from(self.slab[index].links.slot);
        self.lists[slot].unlink(&mut self.slab, index);
        if !self.lists[slot].is_empty() {
            return;
        }
        if slot < NEAR {
            self.near.clear(slot);
        } else {
            self.far.clear(slot - NEAR);
            self.far_earliest[slot - NEAR] = i64::MAX;
        }
    }

    /// Gives the entry of a timer that is in no list back.
    fn forget(&mut self, index: u32) {
        self.live[usize::from(self.slab[index].kind.get())] -= 1;
        self.table.remove(&self.slab, index);
        self.slab.remove(index);
    }

    /// Moves time to the next tick that has timers and returns its near slot; or to `now`, if
    /// there is none until then.
    fn step(&mut self, now: i64) -> Option<usize> {
        if self.near.first().is_none() {
            if let Some((slot, block)) = self.next_block() {
                if block_start(block, NEAR) <= now {
                    self.spread(slot, block);
                }
            }
        }
        let slot = self.near.first().filter(|&slot| self.tick_of(slot) <= now);
        self.now = slot.map_or(now, |slot| self.tick_of(slot));
        slot
    }

    /// Enters `block`, whose timers wait in the far slot `slot`.
    fn spread(&mut self, slot: usize, block: i64) {
        debug_assert!(
            self.near.first().is_none(),
            "the block before is not finished"
        );
        self.now = block_start(block, NEAR);
        let mut index = self.lists[NEAR + slot].head();
        self.lists[NEAR + slot] = List::EMPTY;
        self.far.clear(slot);
        self.far_earliest[slot] = i64::MAX;
        while index != NONE {
            let entry = self.slab[index];
            self.place(index, entry.deadline);
            self.stats.spread += 1;
            index = entry.links.next;
        }
    }

    /// The first far slot that holds timers, and the block that it stands for.
    fn next_block(&self) -> Option<(usize, i64)> {
        let block = block_of(self.now, NEAR);
        let slot = self.far.first_from(modulo(block + 1, FAR))?;
        let ahead = blocks_ahead(block, slot, FAR);
        #[allow(clippy::cast_possible_wrap, reason = "at most 1,024 blocks")]
        Some((slot, block + ahead as i64))
    }

    /// The tick of a near slot: all of them belong to the current block.
    fn tick_of(&self, slot: usize) -> i64 {
        #[allow(clippy::cast_possible_wrap, reason = "at most 1,024 slots")]
        let offset = slot as i64;
        block_start(block_of(self.now, NEAR), NEAR) + offset
    }
}
