//! Doubly linked lists threaded through the slab's entries: first in, first out, unlink in O(1).
//!
//! A list is two indices; the links live in the entries. Whoever links an entry also writes the
//! entry's `slot`, and nobody else does: that pair is what makes cancel independent of list length.

use crate::slab::{FREE, NONE, Slab};

/// Head and tail of one slot.
#[derive(Clone, Copy)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

impl List {
    pub(crate) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
    };

    pub(crate) fn is_empty(self) -> bool {
        self.head == NONE
    }

    pub(crate) fn head(self) -> u32 {
        self.head
    }

    pub(crate) fn tail(self) -> u32 {
        self.tail
    }

    /// Appends the entry and notes `slot` as its place.
    pub(crate) fn push_back(&mut self, slab: &mut Slab, index: u32, slot: u16) {
        let entry = &mut slab[index];
        entry.slot = slot;
        entry.next = NONE;
        entry.prev = self.tail;
        if self.tail == NONE {
            self.head = index;
        } else {
            slab[self.tail].next = index;
        }
        self.tail = index;
    }

    /// Takes the entry out, wherever in the list it stands. Its own links are left as they were.
    pub(crate) fn unlink(&mut self, slab: &mut Slab, index: u32) {
        let entry = slab[index];
        debug_assert_ne!(FREE, entry.slot, "entry {index} is free and in no list");
        if entry.prev == NONE {
            debug_assert_eq!(self.head, index, "entry {index} is first but not the head");
            self.head = entry.next;
        } else {
            slab[entry.prev].next = entry.next;
        }
        if entry.next == NONE {
            debug_assert_eq!(self.tail, index, "entry {index} is last but not the tail");
            self.tail = entry.prev;
        } else {
            slab[entry.next].prev = entry.prev;
        }
    }
}
