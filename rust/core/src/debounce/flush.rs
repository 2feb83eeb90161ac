//! The way out: what is due is taken, then confirmed or restored; what is no longer wanted goes.

use super::{Batch, BufferError, Cause, DebounceBuffer, Raise, TIERS};
use crate::list::List;
use crate::slab::NONE;
use crate::table::Keyed;

/// The slot of an entry in flight: behind those of the tiers.
#[allow(clippy::cast_possible_truncation, reason = "three")]
pub(super) const TAKEN: u16 = TIERS as u16;

/// A batch in the making.
struct Taking {
    list: List,
    rows_max: usize,
    oldest_ms: [Option<i64>; TIERS],
}

impl DebounceBuffer {
    /// Appends what is due to `rows`, at most `rows_max` of it, and notes it as in flight; `None`
    /// if nothing is due. Whether more is can be read from [`next_deadline`](Self::next_deadline).
    ///
    /// All that is mandatory comes first; then, below the soft mark, eligible entries of the same
    /// jobs, found by looking at no more than `rows_max` entries; from the soft mark on, any that
    /// are eligible.
    pub fn take_due(&mut self, now: i64, rows_max: usize, rows: &mut Vec<Raise>) -> Option<Batch> {
        self.now = self.now.max(now);
        let is_pressed = self.is_pressed();
        let start = rows.len();
        let mut taking = Taking {
            list: List::EMPTY,
            rows_max: start.saturating_add(rows_max),
            oldest_ms: [None; TIERS],
        };
        self.take_mandatory(&mut taking, rows);
        let cause = if self.is_draining {
            Cause::Drain
        } else if rows.len() > start {
            Cause::Mandatory
        } else {
            Cause::Soft
        };
        if is_pressed {
            self.take_eligible(&mut taking, rows, None, usize::MAX);
        } else if rows.len() > start {
            let mut jobs: Vec<i64> = rows[start..].iter().map(|raise| raise.job).collect();
            jobs.sort_unstable();
            jobs.dedup();
            self.take_eligible(&mut taking, rows, Some(&jobs), rows_max);
        }
        if rows.len() == start {
            return None;
        }
        let id = self.next_batch;
        self.next_batch += 1;
        self.batches.push((id, taking.list));
        Some(Batch {
            id,
            cause,
            oldest_ms: taking.oldest_ms,
        })
    }

    /// The batch was written: forgets it. Returns how many entries it still had.
    ///
    /// # Errors
    /// `UnknownBatch`.
    pub fn confirm(&mut self, batch: u64) -> Result<usize, BufferError> {
        let list = self.close(batch)?;
        let (mut count, mut index) = (0, list.head());
        while index != NONE {
            let next = self.slab[index].links.next;
            self.slab.remove(index);
            (count, index) = (count + 1, next);
        }
        self.taken -= count;
        self.stats.confirmed += count as u64;
        Ok(count)
    }

    /// The batch could not be written: puts it back before all others, merged by maximum with what
    /// came meanwhile. Returns how many entries it still had.
    ///
    /// # Errors
    /// `UnknownBatch`.
    pub fn restore(&mut self, batch: u64) -> Result<usize, BufferError> {
        let list = self.close(batch)?;
        let (mut count, mut index) = (0, list.tail());
        while index != NONE {
            let previous = self.slab[index].links.prev;
            self.put_back(index);
            (count, index) = (count + 1, previous);
        }
        self.taken -= count;
        self.stats.restored += count as u64;
        Ok(count)
    }

    /// Forgets all entries of a job, those in flight too; returns how many.
    pub fn discard_job(&mut self, job: i64) -> usize {
        self.discard(|raise| raise.job == job)
    }

    /// Forgets all entries of these domains, those in flight too; returns how many.
    pub fn discard_domains(&mut self, domains: &[i64]) -> usize {
        let mut domains = domains.to_vec();
        domains.sort_unstable();
        self.discard(|raise| domains.binary_search(&raise.domain).is_ok())
    }

    fn take_mandatory(&mut self, taking: &mut Taking, rows: &mut Vec<Raise>) {
        for tier in 0..TIERS {
            let mut index = self.lists[tier].head();
            while index != NONE && rows.len() < taking.rows_max {
                let entry = self.slab[index];
                if entry.deadline > self.now && !self.is_draining {
                    break;
                }
                self.take(taking, rows, tier, index);
                index = entry.links.next;
            }
        }
    }

    fn take_eligible(
        &mut self,
        taking: &mut Taking,
        rows: &mut Vec<Raise>,
        jobs: Option<&[i64]>,
        looks_max: usize,
    ) {
        let mut looks = 0;
        for tier in 0..TIERS {
            let mut index = self.lists[tier].head();
            while index != NONE && rows.len() < taking.rows_max && looks < looks_max {
                let entry = self.slab[index];
                if entry.deadline.saturating_sub(self.span(tier)) > self.now {
                    break;
                }
                if jobs.is_none_or(|jobs| jobs.binary_search(&entry.raise.job).is_ok()) {
                    self.take(taking, rows, tier, index);
                }
                (looks, index) = (looks + 1, entry.links.next);
            }
        }
    }

    fn take(&mut self, taking: &mut Taking, rows: &mut Vec<Raise>, tier: usize, index: u32) {
        let entry = self.slab[index];
        let age_ms = Some(self.now.saturating_sub(entry.first_seen));
        taking.oldest_ms[tier] = taking.oldest_ms[tier].max(age_ms);
        rows.push(entry.raise);
        self.unlink(index);
        self.table.remove(&self.slab, index);
        taking.list.push_back(&mut self.slab, index, TAKEN);
        self.taken += 1;
    }

    fn close(&mut self, batch: u64) -> Result<List, BufferError> {
        let place = self.batches.iter().position(|&(id, _)| id == batch);
        let place = place.ok_or(BufferError::UnknownBatch { id: batch })?;
        Ok(self.batches.swap_remove(place).1)
    }

    /// Puts an entry of a closed batch to the front of its tier, due no later than the one behind
    /// it, so that the list stays sorted.
    fn put_back(&mut self, index: u32) {
        if let Some(fresh) = self.table.get(&self.slab, self.slab[index].key()) {
            let newer = self.slab[fresh];
            self.drop_waiting(fresh);
            self.stats.rejoined += 1;
            let entry = &mut self.slab[index];
            entry.raise.priority = entry.raise.priority.max(newer.raise.priority);
            entry.deadline = entry.deadline.min(newer.deadline);
        }
        let tier = self.tier_of(self.slab[index].raise.priority);
        let head = self.lists[tier].head();
        if head != NONE {
            let bound = self.slab[head].deadline;
            let entry = &mut self.slab[index];
            entry.deadline = entry.deadline.min(bound);
        }
        self.push_front(tier, index);
        self.table.insert(&self.slab, index);
    }

    fn drop_waiting(&mut self, index: u32) {
        self.unlink(index);
        self.table.remove(&self.slab, index);
        self.slab.remove(index);
    }

    fn discard(&mut self, is_unwanted: impl Fn(&Raise) -> bool) -> usize {
        let mut count = 0;
        for tier in 0..TIERS {
            let mut index = self.lists[tier].head();
            while index != NONE {
                let entry = self.slab[index];
                if is_unwanted(&entry.raise) {
                    self.drop_waiting(index);
                    count += 1;
                }
                index = entry.links.next;
            }
        }
        for place in 0..self.batches.len() {
            let mut index = self.batches[place].1.head();
            while index != NONE {
                let entry = self.slab[index];
                if is_unwanted(&entry.raise) {
                    self.batches[place].1.unlink(&mut self.slab, index);
                    self.slab.remove(index);
                    self.taken -= 1;
                    count += 1;
                }
                index = entry.links.next;
            }
        }
        self.stats.discarded += count as u64;
        count
    }
}
