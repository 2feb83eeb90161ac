//! A debounce buffer for raises of priorities: merged by maximum, given out in batches.
//!
//! | tier | for priorities | waits at least, at most (the engine's choice) |
//! | --- | --- | --- |
//! | hot | from `hot_from` on | 0, 0: merges within one turn of the caller's loop |
//! | warm | from `warm_from` on | 5 s, 10 s |
//! | cold | all others | 30 s, 60 s |
//!
//! **Merge.** The highest priority of a task wins. Maximum is associative, commutative and
//! idempotent, so batches may be repeated, reordered or duplicated without harm.
//!
//! **Deadline.** Set by the first raise of a task, and only ever moved earlier: a hotter raise
//! moves the entry to the hotter tier if that brings it out sooner. After `max_ms` an entry is
//! *mandatory*, after `min_ms` *eligible*: it goes along when a mandatory entry of its job goes, or
//! when the buffer is filled to its soft mark. So nobody waits longer than its tier's `max_ms` plus
//! a flush, however steady the input.
//!
//! **Order.** Each tier's delay is constant, so each list is sorted by deadline as it grows: no
//! heap, no wheel, and what is due stands at three heads. Hotter tiers come out first, then by
//! deadline.
//!
//! **In flight.** What is taken is kept until its batch is confirmed; raises that arrive meanwhile
//! make a fresh entry, so none is lost if the write was too early for them. A restored batch goes
//! back to the front, merged with what came since.
//!
//! **Time.** The largest `now` that was seen; a clock that steps back makes nothing late or early.
//!
//! Memory: 64 bytes a task in the slab, 5 a bucket in the table; all reserved at the start.

mod entry;
mod flush;
mod types;
mod validate;

pub use types::{Batch, BufferError, BufferStats, Cause, Raise, TIERS, Tier};

use crate::CAPACITY_MAX;
use crate::list::List;
use crate::slab::{Links, Slab};
use crate::table::Table;
use entry::Pending;

/// The buffer.
pub struct DebounceBuffer {
    slab: Slab<Pending>,
    table: Table<Pending>,
    lists: [List; TIERS],
    /// The lists' lengths.
    waiting: [usize; TIERS],
    /// Batches given out and neither confirmed nor restored.
    batches: Vec<(u64, List)>,
    tiers: [Tier; TIERS],
    from: [f64; TIERS - 1],
    now: i64,
    soft_mark: usize,
    capacity: usize,
    taken: usize,
    next_batch: u64,
    is_draining: bool,
    stats: BufferStats,
}

impl DebounceBuffer {
    /// An empty buffer of at most `capacity` entries, those in flight included. `from` holds the
    /// least priorities of hot and warm; `tiers` the delays of hot, warm and cold.
    ///
    /// # Errors
    /// `BadLimits`, and `OutOfMemory` when the capacity cannot be reserved.
    pub fn new(
        capacity: usize,
        soft_mark: usize,
        from: [f64; TIERS - 1],
        tiers: [Tier; TIERS],
    ) -> Result<Self, BufferError> {
        let is_sound = (1..=CAPACITY_MAX).contains(&capacity)
            && (1..=capacity).contains(&soft_mark)
            && from[0] > from[1]
            && tiers.iter().all(|tier| tier.min_ms <= tier.max_ms)
            && tiers.is_sorted_by_key(|tier| tier.max_ms)
            && tiers.is_sorted_by_key(|tier| tier.min_ms);
        if !is_sound {
            return Err(BufferError::BadLimits);
        }
        let out_of_memory = BufferError::OutOfMemory { capacity };
        Ok(Self {
            slab: Slab::with_capacity(capacity).ok_or(out_of_memory)?,
            table: Table::with_capacity(capacity).ok_or(out_of_memory)?,
            lists: [List::EMPTY; TIERS],
            waiting: [0; TIERS],
            batches: Vec::new(),
            tiers,
            from,
            now: i64::MIN,
            soft_mark,
            capacity,
            taken: 0,
            next_batch: 0,
            is_draining: false,
            stats: BufferStats::default(),
        })
    }

    /// Takes all raises in, or none of them.
    ///
    /// # Errors
    /// `NotANumber`, and `Full` when the new tasks do not all fit.
    pub fn raise_many(&mut self, now: i64, raises: &[Raise]) -> Result<(), BufferError> {
        if let Some(raise) = raises.iter().find(|raise| raise.priority.is_nan()) {
            return Err(BufferError::NotANumber { task: raise.task });
        }
        let room = self.capacity - self.len() - self.taken;
        if raises.len() > room && self.count_new(raises) > room {
            return Err(BufferError::Full {
                capacity: self.capacity,
            });
        }
        self.now = self.now.max(now);
        for raise in raises {
            self.merge(raise);
        }
        Ok(())
    }

    /// When to call `take_due` next: not after the present if something is due, `None` if nothing
    /// is here.
    pub fn next_deadline(&self) -> Option<i64> {
        let heads = (0..TIERS).filter(|&tier| !self.lists[tier].is_empty());
        heads
            .map(|tier| {
                let deadline = self.slab[self.lists[tier].head()].deadline;
                match (self.is_draining, self.is_pressed()) {
                    (true, _) => self.now,
                    (false, true) => deadline - self.span(tier),
                    (false, false) => deadline,
                }
            })
            .min()
    }

    /// Makes every entry mandatory from now on.
    pub fn drain(&mut self) {
        self.is_draining = true;
    }

    /// Entries that wait; those in flight are not among them.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Whether nothing waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Entries that wait in each tier.
    pub fn waiting(&self) -> [usize; TIERS] {
        self.waiting
    }

    /// Entries in flight.
    pub fn taken(&self) -> usize {
        self.taken
    }

    /// The most entries.
    pub fn capacity(&self) -> usize {
        self.capacity
    }

    /// The counters so far.
    pub fn stats(&self) -> BufferStats {
        self.stats
    }

    /// Bytes reserved for slab and table.
    pub fn memory_bytes(&self) -> usize {
        self.slab.memory_bytes() + self.table.memory_bytes() + size_of::<Self>()
    }

    fn tier_of(&self, priority: f64) -> usize {
        let colder = |&&from: &&f64| priority < from;
        self.from.iter().take_while(colder).count()
    }

    /// How long an entry of the tier is eligible before it is mandatory.
    fn span(&self, tier: usize) -> i64 {
        i64::from(self.tiers[tier].max_ms - self.tiers[tier].min_ms)
    }

    fn is_pressed(&self) -> bool {
        self.len() >= self.soft_mark
    }

    /// How many different tasks have no entry yet; only asked when the answer may be a refusal.
    fn count_new(&self, raises: &[Raise]) -> usize {
        let keys = raises.iter().map(|raise| (raise.domain, raise.task));
        let mut new: Vec<_> = keys
            .filter(|&key| self.table.get(&self.slab, key).is_none())
            .collect();
        new.sort_unstable();
        new.dedup();
        new.len()
    }

    fn merge(&mut self, raise: &Raise) {
        let tier = self.tier_of(raise.priority);
        let deadline = self.now.saturating_add(i64::from(self.tiers[tier].max_ms));
        self.stats.raised[tier] += 1;
        let Some(index) = self.table.get(&self.slab, (raise.domain, raise.task)) else {
            let index = self.slab.insert(Pending {
                raise: *raise,
                first_seen: self.now,
                deadline,
                links: Links::NEW,
            });
            self.table.insert(&self.slab, index);
            self.push_back(tier, index);
            self.stats.added += 1;
            return;
        };
        let entry = &mut self.slab[index];
        if raise.priority <= entry.raise.priority {
            self.stats.suppressed += 1;
            return;
        }
        entry.raise.priority = raise.priority;
        self.stats.merged += 1;
        let old_tier = usize::from(entry.links.slot);
        if tier < old_tier && deadline < entry.deadline {
            entry.deadline = deadline;
            self.unlink(index);
            self.push_back(tier, index);
        }
    }

    #[allow(clippy::cast_possible_truncation, reason = "below three")]
    fn push_back(&mut self, tier: usize, index: u32) {
        self.lists[tier].push_back(&mut self.slab, index, tier as u16);
        self.waiting[tier] += 1;
    }

    #[allow(clippy::cast_possible_truncation, reason = "below three")]
    fn push_front(&mut self, tier: usize, index: u32) {
        self.lists[tier].push_front(&mut self.slab, index, tier as u16);
        self.waiting[tier] += 1;
    }

    /// Takes a waiting entry out of its tier's list.
    fn unlink(&mut self, index: u32) {
        let tier = usize::from(self.slab[index].links.slot);
        self.lists[tier].unlink(&mut self.slab, index);
        self.waiting[tier] -= 1;
    }
}
