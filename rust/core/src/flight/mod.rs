//! A bounded table of values that are loaded when they are asked for: once, whoever asks meanwhile.
//!
//! The state machine of a single-flight cache, without the waiting: it says who loads and who
//! joins, how long an answer counts, and whether a late one is still wanted. Whoever waits for a
//! flight is the caller's business. After Go's `singleflight` and Caffeine's loading cache.
//!
//! | an entry has | `lookup` says | and `finish` of its flight |
//! | --- | --- | --- |
//! | nothing | `Lead`: load it | stores, or forgets a failure |
//! | a flight | `Join` | |
//! | a fresh answer | `Hit` | |
//! | a stale answer | `Stale` with a flight: use it, load anew | stores, or keeps it and pauses |
//! | a stale answer and a flight | `Stale` without | |
//!
//! **Generations.** An entry names the one flight that may store into it. `invalidate` and `put`
//! take that name away: who waits for the flight still gets its answer (they asked before), it is
//! not stored, and whoever asks later leads another. `invalidate_all` raises the table's epoch,
//! which does the same to all entries at once; each is cleaned when it is next touched.
//!
//! **Ages.** An answer is fresh for its time to live, less or more by the jitter its flight is
//! finished with, and then stale until the hard limit. That there is no value is an answer too,
//! with a shorter life and never stale. An error is none.
//!
//! **Bounds.** Entries and flights. For a new key in a full table CLOCK chooses whose place it
//! gets: entries in flight stay, dead ones go when the hand meets them. Places are never given up
//! otherwise, so there is no free list.
//!
//! **Dropped values** are handed to the caller in `dropped`: dropping one may run code of its own.
//!
//! **Costs.** O(1); an eviction O(entries passed by the hand), two rounds at most.

mod air;
mod entry;
mod stats;
mod types;
mod validate;

pub use stats::FlightStats;
pub use types::{End, FlightConfig, FlightError, FlightId, Lookup};

use air::{Flight, Flights, Ghosts};
use entry::{Age, Entry, Held};
use stats::Lost;

use crate::table::Table;

/// The table.
pub struct FlightTable<V> {
    config: FlightConfig,
    entries: Vec<Entry<V>>,
    table: Table<Entry<V>>,
    flights: Flights,
    ghosts: Ghosts,
    /// CLOCK's hand: the place it looks at next.
    hand: usize,
    epoch: u64,
    stats: FlightStats,
}

impl<V> FlightTable<V> {
    /// An empty table.
    ///
    /// # Errors
    /// A limit is out of range, or its memory cannot be reserved.
    pub fn new(config: FlightConfig) -> Result<Self, FlightError> {
        config.check()?;
        let capacity = config.capacity;
        let out_of_memory = FlightError::OutOfMemory { capacity };
        let mut entries = Vec::new();
        entries
            .try_reserve_exact(capacity)
            .map_err(|_| out_of_memory)?;
        Ok(Self {
            config,
            entries,
            table: Table::with_capacity(capacity).ok_or(out_of_memory)?,
            flights: Flights::with_capacity(config.flights_max).ok_or(out_of_memory)?,
            ghosts: Ghosts::with_capacity(capacity).ok_or(out_of_memory)?,
            hand: 0,
            epoch: 0,
            stats: FlightStats::default(),
        })
    }

    /// The answer of `key` if its caller has nothing to do but use it: fresh, or stale and being
    /// renewed (or between two tries). `Some(None)`: it is known that there is no value. `None`:
    /// use `lookup`, which counts and starts what is missing.
    pub fn peek(&mut self, key: i64, now: i64) -> Option<Option<&V>> {
        let place = self.find(key)?;
        let entry = &mut self.entries[place];
        if entry.epoch != self.epoch {
            return None;
        }
        match entry.age(now) {
            Age::Fresh => self.stats.hits += 1,
            Age::Stale if !entry.wants_refresh(now) => self.stats.stale_hits += 1,
            Age::Stale | Age::Gone => return None,
        }
        entry.referenced = true;
        Some(entry.value())
    }

    /// What `key` is known to be, or whose flight will tell.
    pub fn lookup(&mut self, key: i64, now: i64, dropped: &mut Vec<V>) -> Lookup<'_, V> {
        let Some(place) = self.find(key) else {
            return self.lead_new(key, dropped);
        };
        self.renew(place, dropped);
        self.entries[place].referenced = true;
        match self.entries[place].age(now) {
            Age::Fresh => {
                self.stats.hits += 1;
                Lookup::Hit(self.entries[place].value())
            }
            Age::Stale => {
                self.stats.stale_hits += 1;
                let refresh = self.lead_refresh(place, now);
                Lookup::Stale(self.entries[place].value(), refresh)
            }
            Age::Gone => self.lead_known(place, dropped),
        }
    }

    /// Ends a flight: stores what it brings, unless it was superseded; tells whether it was stored.
    /// `jitter` is the part of its time to live, in thousandths, by which this answer lives longer
    /// (or shorter, below zero).
    ///
    /// # Errors
    /// `FlightUnknown`: it is not in the air.
    pub fn finish(
        &mut self,
        id: FlightId,
        end: End<V>,
        now: i64,
        jitter: i16,
        dropped: &mut Vec<V>,
    ) -> Result<bool, FlightError> {
        let Some(flight) = self.flights.land(id) else {
            if let End::Found(value) = end {
                dropped.push(value);
            }
            return Err(FlightError::FlightUnknown { flight: id.get() });
        };
        let place = self.place_of(&flight);
        match end {
            End::Failed => self.stats.loads_error += 1,
            End::TimedOut => self.stats.loads_timeout += 1,
            End::Found(_) | End::Absent if place.is_none() => self.stats.loads_superseded += 1,
            End::Found(_) => self.stats.loads_ok += 1,
            End::Absent => self.stats.loads_absent += 1,
        }
        let Some(place) = place else {
            if let End::Found(value) = end {
                dropped.push(value);
            }
            return Ok(false);
        };
        self.entries[place].flight = None;
        match end {
            End::Found(value) => self.store(place, Some(value), now, jitter, dropped),
            End::Absent => self.store(place, None, now, jitter, dropped),
            End::Failed | End::TimedOut => {
                if let Some(held) = &mut self.entries[place].held {
                    held.refresh_at = now.saturating_add(self.config.retry_ms);
                }
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Stores a value that came by another way; a flight of its key is superseded. False if there
    /// was no place: every entry is in flight.
    pub fn put(&mut self, key: i64, value: V, now: i64, jitter: i16, dropped: &mut Vec<V>) -> bool {
        let known = self.find(key);
        let Some(place) = known.or_else(|| self.take_place(key, Lost::Absent, dropped)) else {
            dropped.push(value);
            return false;
        };
        self.renew(place, dropped);
        self.entries[place].flight = None;
        self.store(place, Some(value), now, jitter, dropped);
        true
    }

    /// Forgets what is known of `key`, and what a flight of it will bring; tells whether there was
    /// any of it.
    pub fn invalidate(&mut self, key: i64, dropped: &mut Vec<V>) -> bool {
        let Some(place) = self.find(key) else {
            return false;
        };
        self.renew(place, dropped);
        self.entries[place].forget(Lost::Invalidated, dropped)
    }

    /// Forgets everything at once, in O(1): each value is dropped when its entry is next touched.
    pub fn invalidate_all(&mut self) {
        self.epoch += 1;
    }

    /// Takes everything out, values of superseded epochs too; flights in the air are superseded.
    pub fn clear(&mut self, dropped: &mut Vec<V>) {
        self.invalidate_all();
        for place in 0..self.entries.len() {
            self.renew(place, dropped);
        }
    }

    /// Every value that the table holds.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.entries.iter().filter_map(Entry::value)
    }

    /// Keys that have a place, those of which nothing is known any more too.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether no key has a place.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Flights in the air, superseded ones too.
    pub fn in_flight(&self) -> usize {
        self.flights.len()
    }

    /// The counters so far.
    pub fn stats(&self) -> FlightStats {
        self.stats
    }

    /// The place of a key.
    fn find(&self, key: i64) -> Option<usize> {
        let found = self.table.get(&self.entries, key);
        found.map(|index| index as usize)
    }

    /// The entry that a flight may store into, unless it was superseded.
    fn place_of(&self, flight: &Flight) -> Option<usize> {
        let place = self.find(flight.key)?;
        let is_wanted = self.entries[place].flight == Some(flight.id);
        (is_wanted && flight.epoch == self.epoch).then_some(place)
    }

    /// Makes an entry of an earlier epoch one of this: with nothing in it.
    fn renew(&mut self, place: usize, dropped: &mut Vec<V>) {
        let entry = &mut self.entries[place];
        if entry.epoch != self.epoch {
            entry.epoch = self.epoch;
            entry.forget(Lost::Invalidated, dropped);
        }
    }

    fn lead_refresh(&mut self, place: usize, now: i64) -> Option<FlightId> {
        let entry = &mut self.entries[place];
        if !entry.wants_refresh(now) || self.flights.len() == self.config.flights_max {
            return None;
        }
        entry.flight = Some(self.flights.start(entry.key, self.epoch));
        self.stats.refreshes += 1;
        entry.flight
    }

    fn lead_known(&mut self, place: usize, dropped: &mut Vec<V>) -> Lookup<'_, V> {
        let entry = &mut self.entries[place];
        if let Some(flight) = entry.flight {
            self.stats.joins += 1;
            return Lookup::Join(flight);
        }
        if self.flights.len() == self.config.flights_max {
            self.stats.refused += 1;
            return Lookup::Full;
        }
        if entry.held.is_some() {
            entry.lost = Lost::Expired;
            entry.drop_held(dropped);
        }
        let flight = self.flights.start(entry.key, self.epoch);
        entry.flight = Some(flight);
        self.stats.miss(entry.lost);
        Lookup::Lead(flight)
    }

    fn lead_new(&mut self, key: i64, dropped: &mut Vec<V>) -> Lookup<'_, V> {
        if self.flights.len() == self.config.flights_max {
            self.stats.refused += 1;
            return Lookup::Full;
        }
        let lost = if self.ghosts.contains(key) {
            Lost::Evicted
        } else {
            Lost::Absent
        };
        let place = self
            .take_place(key, lost, dropped)
            .expect("fewer flights than entries, so one is not in flight");
        self.lead_known(place, dropped)
    }

    fn store(
        &mut self,
        place: usize,
        value: Option<V>,
        now: i64,
        jitter: i16,
        dropped: &mut Vec<V>,
    ) {
        let config = &self.config;
        let (ttl_ms, stale_ms) = match value {
            Some(_) => (config.ttl_ms, config.stale_ms),
            None => (config.absent_ttl_ms, 0),
        };
        let jitter_ms = (ttl_ms * i64::from(jitter.clamp(-1000, 1000))).div_euclid(1000);
        let fresh_until = now.saturating_add(ttl_ms + jitter_ms);
        let entry = &mut self.entries[place];
        entry.drop_held(dropped);
        entry.held = Some(Held {
            value,
            fresh_until,
            usable_until: fresh_until.saturating_add(stale_ms),
            refresh_at: fresh_until,
        });
    }

    /// Gives a new key a place: an unused one, or that of the entry that CLOCK chooses.
    fn take_place(&mut self, key: i64, lost: Lost, dropped: &mut Vec<V>) -> Option<usize> {
        let entry = Entry::new(key, self.epoch, lost);
        let place = if self.entries.len() < self.config.capacity {
            self.entries.push(entry);
            self.entries.len() - 1
        } else {
            let place = self.evict(dropped)?;
            self.table.remove(&self.entries, index_of(place));
            self.entries[place] = entry;
            place
        };
        self.ghosts.remove(key);
        self.table.insert(&self.entries, index_of(place));
        Some(place)
    }

    /// Empties the entry that CLOCK chooses; `None` if all are in flight.
    fn evict(&mut self, dropped: &mut Vec<V>) -> Option<usize> {
        // The first round may only clear bits; the second then finds one, if any may go.
        for _ in 0..2 * self.entries.len() {
            let place = self.hand;
            self.hand = (place + 1) % self.entries.len();
            let entry = &mut self.entries[place];
            if entry.is_dead(self.epoch) {
                entry.drop_held(dropped);
                return Some(place);
            }
            if entry.flight.is_some() {
                continue;
            }
            if entry.referenced {
                entry.referenced = false;
                continue;
            }
            entry.drop_held(dropped);
            self.ghosts.add(entry.key);
            self.stats.evictions += 1;
            return Some(place);
        }
        None
    }
}

fn index_of(place: usize) -> u32 {
    u32::try_from(place).expect("the capacity fits in u32")
}
