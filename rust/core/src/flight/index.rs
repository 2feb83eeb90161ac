//! Three tables: where a key's entry stands, which flights are in the air, which keys were evicted.
//!
//! All are bounded, and reserved when they are made.

use hashbrown::HashTable;

use super::entry::Entry;
use super::types::FlightId;
use crate::hash::{bits, mix};

fn hash(key: i64) -> u64 {
    mix(bits(key))
}

/// Key to place; the keys themselves stay in the entries.
pub(super) struct Index(HashTable<u32>);

impl Index {
    pub(super) fn with_capacity(capacity: usize) -> Option<Self> {
        let mut table = HashTable::new();
        table.try_reserve(capacity, |_| 0).ok()?;
        Some(Self(table))
    }

    pub(super) fn get<V>(&self, entries: &[Entry<V>], key: i64) -> Option<usize> {
        let is_key = |&place: &u32| entries[place as usize].key == key;
        self.0.find(hash(key), is_key).map(|&place| place as usize)
    }

    /// Adds the key of the entry at `place`, which must not be in the table.
    pub(super) fn insert<V>(&mut self, entries: &[Entry<V>], place: usize) {
        let hash_of = |&place: &u32| hash(entries[place as usize].key);
        let place = u32::try_from(place).expect("the capacity fits in u32");
        self.0.insert_unique(hash_of(&place), place, hash_of);
    }

    /// Takes the key of the entry at `place` out.
    pub(super) fn remove<V>(&mut self, entries: &[Entry<V>], place: usize) {
        let key = entries[place].key;
        let is_place = |&other: &u32| other as usize == place;
        let Ok(found) = self.0.find_entry(hash(key), is_place) else {
            panic!("key {key} has an entry but is not in the table");
        };
        found.remove();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }
}

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
        self.table
            .insert_unique(hash(key), key, |&other| hash(other));
    }

    /// Forgets a key; tells whether it was remembered.
    pub(super) fn remove(&mut self, key: i64) -> bool {
        let found = self.table.find_entry(hash(key), |&other| other == key);
        found
            .map(hashbrown::hash_table::OccupiedEntry::remove)
            .is_ok()
    }

    pub(super) fn contains(&self, key: i64) -> bool {
        self.table.find(hash(key), |&other| other == key).is_some()
    }

    pub(super) fn len(&self) -> usize {
        self.table.len()
    }
}
