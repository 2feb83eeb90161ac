//! The storage of all timers: one vector of 32-byte entries, addressed by `u32` indices.
//!
//! Owns every entry and the free list threaded through the unused ones. The whole capacity is
//! reserved at the start, so an insert never moves memory: growing a vector of a million entries
//! would stop the event loop for milliseconds. Untouched pages cost address space, not memory.
//!
//! There are no generation tags: no index ever leaves the wheel, so nothing could hold a stale one.
//! A free entry carries the slot [`FREE`], and every unlink asserts that it found another.

use std::ops::{Index, IndexMut};

use crate::types::Kind;

/// "No entry": the end of a list.
pub(crate) const NONE: u32 = u32::MAX;

/// The slot of an entry that holds no timer.
pub(crate) const FREE: u16 = u16::MAX;

/// One timer, two to a cache line.
#[derive(Clone, Copy)]
pub(crate) struct Entry {
    /// The payload is the key: no object of the caller is held.
    pub(crate) id: i64,
    /// Milliseconds of the caller's clock, never before the wheel's time when it was scheduled.
    pub(crate) deadline: i64,
    pub(crate) next: u32,
    pub(crate) prev: u32,
    /// The list that holds the entry, so that a cancel never searches.
    pub(crate) slot: u16,
    pub(crate) kind: Kind,
}

const _: () = assert!(size_of::<Entry>() == 32, "an entry is half a cache line");

/// Entries with a free list; last freed, first used again, so that warm memory stays in use.
pub(crate) struct Slab {
    entries: Vec<Entry>,
    free: u32,
    capacity: usize,
}

impl Slab {
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
    pub(crate) fn insert(&mut self, entry: Entry) -> u32 {
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
            FREE, self[index].slot,
            "entry {index} of the free list is in use"
        );
        self.free = self[index].next;
        self[index] = entry;
        index
    }

    /// Gives an unlinked entry back.
    pub(crate) fn remove(&mut self, index: u32) {
        let free = self.free;
        let entry = &mut self[index];
        debug_assert_ne!(FREE, entry.slot, "entry {index} is freed twice");
        entry.slot = FREE;
        entry.next = free;
        self.free = index;
    }

    /// Entries on the free list, for `validate`; counts at most one more than there can be.
    pub(crate) fn count_free(&self) -> usize {
        let mut count = 0;
        let mut index = self.free;
        while index != NONE && count <= self.entries.len() {
            count += 1;
            index = self[index].next;
        }
        count
    }

    /// Entries ever used: live ones and those on the free list.
    pub(crate) fn used(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn memory_bytes(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>()
    }
}

impl Index<u32> for Slab {
    type Output = Entry;

    fn index(&self, index: u32) -> &Entry {
        &self.entries[index as usize]
    }
}

impl IndexMut<u32> for Slab {
    fn index_mut(&mut self, index: u32) -> &mut Entry {
        &mut self.entries[index as usize]
    }
}
