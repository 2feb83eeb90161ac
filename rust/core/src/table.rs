//! Key to index: where among its owner's entries the one of a key is.
//!
//! Holds four bytes and one control byte a bucket; the keys themselves stay in the entries.

use std::fmt::Debug;
use std::marker::PhantomData;

use hashbrown::HashTable;

/// What the table needs of an entry.
pub(crate) trait Keyed {
    /// What it is found by.
    type Key: Copy + Eq + Debug;

    fn key(&self) -> Self::Key;

    /// 64 well-mixed bits of a key.
    fn hash(key: Self::Key) -> u64;
}

pub(crate) struct Table<E> {
    indices: HashTable<u32>,
    entries: PhantomData<E>,
}

impl<E: Keyed> Table<E> {
    /// An empty table with room for `capacity` keys, or `None` without the memory for it.
    pub(crate) fn with_capacity(capacity: usize) -> Option<Self> {
        let mut indices = HashTable::new();
        // The table is empty, so there is nothing to hash again.
        indices.try_reserve(capacity, |_| 0).ok()?;
        Some(Self {
            indices,
            entries: PhantomData,
        })
    }

    pub(crate) fn get(&self, entries: &[E], key: E::Key) -> Option<u32> {
        let is_key = |&index: &u32| entries[index as usize].key() == key;
        self.indices.find(E::hash(key), is_key).copied()
    }

    /// Adds the key of the entry at `index`, which must not be in the table.
    pub(crate) fn insert(&mut self, entries: &[E], index: u32) {
        let hash_of = |&index: &u32| E::hash(entries[index as usize].key());
        self.indices.insert_unique(hash_of(&index), index, hash_of);
    }

    /// Takes the key of the entry at `index` out.
    pub(crate) fn remove(&mut self, entries: &[E], index: u32) {
        let key = entries[index as usize].key();
        let found = self
            .indices
            .find_entry(E::hash(key), |&other| other == index);
        let found = found.unwrap_or_else(|_| panic!("{key:?} is live but not in the table"));
        found.remove();
    }

    pub(crate) fn len(&self) -> usize {
        self.indices.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.indices.allocation_size()
    }
}
