//! What a flight table remembers beside its entries: flights in the air, and evicted keys.
//!
//! Both are bounded, and reserved when they are made.

use hashbrown::HashTable;

use super::types::FlightId;
use crate::hash::{bits, mix};

/// A flight in the air.
#[derive(Clone, Copy)]
pub(super) struct Flight {
    pub(super) id: FlightId,
    pub(super) key: i64,
    /// The table's epoch at its take-off.
    pub(super) epoch: u64,
}

/// The flights in the air, superseded ones too.
pub(super) struct Flights {
    table: HashTable<Flight>,
    last: u64,
}

impl Flights {
    pub(super) fn with_capacity(capacity: usize) -> Option<Self> {
        let mut table = HashTable::new();
        table.try_reserve(capacity, |_| 0).ok()?;
        Some(Self { table, last: 0 })
    }

    /// Starts the next flight. The caller has checked that there is room.
    pub(super) fn start(&mut self, key: i64, epoch: u64) -> FlightId {
        self.last += 1;
        let id = FlightId::new(self.last).expect("counted up from zero");
        let flight = Flight { id, key, epoch };
        self.table
            .insert_unique(mix(id.get()), flight, |other| mix(other.id.get()));
        id
    }

    pub(super) fn land(&mut self, id: FlightId) -> Option<Flight> {
        let found = self.table.find_entry(mix(id.get()), |other| other.id == id);
        found.ok().map(|entry| entry.remove().0)
    }

    pub(super) fn get(&self, id: FlightId) -> Option<&Flight> {
        self.table.find(mix(id.get()), |other| other.id == id)
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}

/// Keys that were evicted and not asked for since. Forgets all of them when it is full: that makes
/// a later miss look like one of a new key, and nothing else.
pub(super) struct Ghosts {
    table: HashTable<i64>,
    capacity: usize,
}

impl Ghosts {
    pub(super) fn with_capacity(capacity: usize) -> Option<Self> {
        let mut table = HashTable::new();
        table.try_reserve(capacity, |_| 0).ok()?;
        Some(Self { table, capacity })
    }

    /// Remembers a key, which is not remembered yet.
    pub(super) fn add(&mut self, key: i64) {
        if self.table.len() == self.capacity {
            self.table.clear();
        }
        let hash_of = |&key: &i64| mix(bits(key));
        self.table.insert_unique(hash_of(&key), key, hash_of);
    }

    /// Forgets a key; tells whether it was remembered.
    pub(super) fn remove(&mut self, key: i64) -> bool {
        let found = self.table.find_entry(mix(bits(key)), |&other| other == key);
        found
            .map(hashbrown::hash_table::OccupiedEntry::remove)
            .is_ok()
    }

    pub(super) fn contains(&self, key: i64) -> bool {
        let found = self.table.find(mix(bits(key)), |&other| other == key);
        found.is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}
