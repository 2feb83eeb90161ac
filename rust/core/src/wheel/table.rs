//! Key to index: where in the slab the timer of a (kind, id) is.
//!
//! Holds four bytes and one control byte a bucket; the keys themselves stay in the slab.

use hashbrown::HashTable;

use crate::hash::{bits, mix};
use crate::slab::Slab;
use crate::types::Kind;

fn hash(kind: Kind, id: i64) -> u64 {
    mix(bits(id).rotate_left(2) ^ u64::from(kind.get()))
}

pub(super) struct Table(HashTable<u32>);

impl Table {
    /// An empty table with room for `capacity` keys, or `None` without the memory for it.
    pub(super) fn with_capacity(capacity: usize) -> Option<Self> {
        let mut table = HashTable::new();
        // The table is empty, so there is nothing to hash again.
        table.try_reserve(capacity, |_| 0).ok()?;
        Some(Self(table))
    }

    pub(super) fn get(&self, slab: &Slab, kind: Kind, id: i64) -> Option<u32> {
        let is_key = |&index: &u32| slab[index].id == id && slab[index].kind == kind;
        self.0.find(hash(kind, id), is_key).copied()
    }

    /// Adds the key of the entry at `index`, which must not be in the table.
    pub(super) fn insert(&mut self, slab: &Slab, index: u32) {
        let hash_of = |&index: &u32| hash(slab[index].kind, slab[index].id);
        self.0.insert_unique(hash_of(&index), index, hash_of);
    }

    /// Takes the key of the entry at `index` out.
    pub(super) fn remove(&mut self, slab: &Slab, index: u32) {
        let entry = slab[index];
        let found = self
            .0
            .find_entry(hash(entry.kind, entry.id), |&other| other == index);
        let found = found.unwrap_or_else(|_| {
            panic!(
                "timer ({}, {}) is live but not in the table",
                entry.kind.get(),
                entry.id
            )
        });
        found.remove();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn memory_bytes(&self) -> usize {
        self.0.allocation_size()
    }
}
