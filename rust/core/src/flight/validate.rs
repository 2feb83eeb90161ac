//! Every relationship that must hold between the table's parts, checked from the outside in.

use super::FlightTable;
use super::entry::Entry;
use crate::ensure;

impl<V> FlightTable<V> {
    /// Walks through the whole table, for tests: O(entries).
    ///
    /// # Errors
    /// One sentence that names the first relationship found broken and its values.
    pub fn validate(&self) -> Result<(), String> {
        let (entries, keys) = (self.entries.len(), self.table.len());
        ensure(entries == keys, || {
            format!("{entries} entries, {keys} keys in the table")
        })?;
        ensure(entries <= self.config.capacity, || {
            format!("{entries} entries, capacity {}", self.config.capacity)
        })?;
        let in_flight = self.flights.len();
        ensure(in_flight <= self.config.flights_max, || {
            format!("{in_flight} flights, at most {}", self.config.flights_max)
        })?;
        let ghosts = self.ghosts.len();
        ensure(ghosts <= self.config.capacity, || {
            format!("{ghosts} evicted keys, capacity {}", self.config.capacity)
        })?;
        let mut pinned = 0;
        for (place, entry) in self.entries.iter().enumerate() {
            self.validate_entry(place, entry)?;
            pinned += usize::from(entry.epoch == self.epoch && entry.flight.is_some());
        }
        ensure(pinned <= in_flight, || {
            format!("{pinned} entries in flight, {in_flight} flights")
        })?;
        let air = self.stats.led() - self.stats.landed();
        ensure(usize::try_from(air) == Ok(in_flight), || {
            format!("{air} flights by the counters, {in_flight} in the air")
        })
    }

    fn validate_entry(&self, place: usize, entry: &Entry<V>) -> Result<(), String> {
        let key = entry.key;
        ensure(self.find(key) == Some(place), || {
            format!("key {key}: the table does not lead to it")
        })?;
        ensure(!self.ghosts.contains(key), || {
            format!("key {key}: it is here and among the evicted")
        })?;
        ensure(entry.epoch <= self.epoch, || {
            format!("key {key}: epoch {} after {}", entry.epoch, self.epoch)
        })?;
        if let Some(held) = &entry.held {
            let (fresh, usable) = (held.fresh_until, held.usable_until);
            ensure(fresh <= usable && fresh <= held.refresh_at, || {
                format!("key {key}: fresh until {fresh}, usable until {usable}")
            })?;
        }
        let Some(id) = entry.flight else {
            return Ok(());
        };
        if entry.epoch != self.epoch {
            return Ok(());
        }
        ensure(
            self.flights
                .get(id)
                .is_some_and(|flight| flight.key == key && flight.epoch == self.epoch),
            || format!("key {key}: its flight {} is not in the air", id.get()),
        )
    }
}
