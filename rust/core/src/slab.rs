//! The storage of all entries: one vector, addressed by `u32` indices.
//!
//! Owns every entry and the free list threaded through the unused ones. The whole capacity is
//! reserved at the start, so an insert never moves memory: growing a vector of a million entries
//! would stop the event loop for milliseconds. Untouched pages cost address space, not memory.
//!
//! There are no generation tags: no index ever leaves its structure, so nothing could hold a stale
//! one. A free entry carries the slot [`FREE`], and every unlink asserts that it found another.

use std::ops::{Deref, Index, IndexMut};

use crate::table::Keyed;

/// "No entry": the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// The slot of an entry that holds nothing.
pub(crate) const FREE: u16 = u16::MAX;

/// An entry's place in one list; written by the list and the slab alone.
#[derive(Clone, Copy)]
pub(crate) struct Links {
    pub(crate) next: u32,
    pub(crate) prev: u32,
    /// The list that holds the entry, so that taking it out never searches.
    pub(crate) slot: u16,
}

impl Links {
    /// Of an entry that is in no list yet.
    pub(crate) const NEW: Self = Self {
        next: NONE,
        prev: NONE,
        slot: 0,
    };
}

/// What slab and lists need of an entry.
pub(crate) trait Entry: Copy + Keyed {
    fn links(&self) -> &Links;

    fn links_mut(&mut self) -> &mut Links;
}

/// Entries with a free list; last freed, first used again, so that warm memory stays in use.
pub(crate) struct Slab<E> {
    entries: Vec<E>,
    free: u32,
    capacity: usize,
}

impl<E: Entry> Slab<E> {
    /// An empty slab with room for `capacity` entries, or `None` without the memory for it.
    pub(crate) fn with_capacity(capacity: usize) -> Option<Self> {
        let mut entries = Vec::new();
        entries.try_reserve_exact(capacity).ok()?;
        Some(Self {
            entries,
            free: NONE,
            capacity,
        })
    }

    /// Stores an entry and returns its index. The caller has checked that there is room.
    pub(crate) fn insert(&mut self, entry: E) -> u32 {
        if self.free == NONE {
            debug_assert!(
                self.entries.len() < self.capacity,
                "slab is full: {} entries, capacity {}",
                self.entries.len(),
                self.capacity
            );
            self.entries.push(entry);
            return u32::try_from(self.entries.len() - 1).expect("capacity fits in u32");
        }
        let index = self.free;
        debug_assert_eq!(
            FREE,
            self[index].links().slot,
            "entry {index} of the free list is in use"
        );
        self.free = self[index].links().next;
        self[index] = entry;
        index
    }

    /// Gives an unlinked entry back.
    pub(crate) fn remove(&mut self, index: u32) {
        let free = self.free;
        let links = self[index].links_mut();
        debug_assert_ne!(FREE, links.slot, "entry {index} is freed twice");
        links.slot = FREE;
        links.next = free;
        self.free = index;
    }

    /// Entries on the free list, for `validate`; counts at most one more than there can be.
    pub(crate) fn count_free(&self) -> usize {
        let mut count = 0;
        let mut index = self.free;
        while index != NONE && count <= self.entries.len() {
            count += 1;
            index = self[index].links().next;
        }
        count
    }

    /// Entries ever used: live ones and those on the free list.
    pub(crate) fn used(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<E>()
    }
}

/// Every entry by index, for the table.
impl<E> Deref for Slab<E> {
    type Target = [E];

    fn deref(&self) -> &[E] {
        &self.entries
    }
}

impl<E> Index<u32> for Slab<E> {
    type Output = E;

    fn index(&self, index: u32) -> &E {
        &self.entries[index as usize]
    }
}

impl<E> IndexMut<u32> for Slab<E> {
    fn index_mut(&mut self, index: u32) -> &mut E {
        &mut self.entries[index as usize]
    }
}
