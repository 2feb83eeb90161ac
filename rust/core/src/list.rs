//! Doubly linked lists threaded through the slab's entries: first in, first out, unlink in O(1).
//!
//! A list is two indices; the links live in the entries. Whoever links an entry also writes the
//! entry's `slot`, and nobody else does: that pair is what makes taking one out independent of list
//! length.

use crate::slab::{Entry, FREE, Links, NONE, Slab};

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
    pub(crate) fn push_back<E: Entry>(&mut self, slab: &mut Slab<E>, index: u32, slot: u16) {
        let links = slab[index].links_mut();
        links.slot = slot;
        links.next = NONE;
        links.prev = self.tail;
        if self.tail == NONE {
            self.head = index;
        } else {
            slab[self.tail].links_mut().next = index;
        }
        self.tail = index;
    }

    /// Puts the entry before all others and notes `slot` as its place.
    pub(crate) fn push_front<E: Entry>(&mut self, slab: &mut Slab<E>, index: u32, slot: u16) {
        let links = slab[index].links_mut();
        links.slot = slot;
        links.next = self.head;
        links.prev = NONE;
        if self.head == NONE {
            self.tail = index;
        } else {
            slab[self.head].links_mut().prev = index;
        }
        self.head = index;
    }

    /// Takes the entry out, wherever in the list it stands. Its own links are left as they were.
    pub(crate) fn unlink<E: Entry>(&mut self, slab: &mut Slab<E>, index: u32) {
        let Links { next, prev, slot } = *slab[index].links();
        debug_assert_ne!(FREE, slot, "entry {index} is free and in no list");
        if prev == NONE {
            debug_assert_eq!(self.head, index, "entry {index} is first but not the head");
            self.head = next;
        } else {
            slab[prev].links_mut().next = next;
        }
        if next == NONE {
            debug_assert_eq!(self.tail, index, "entry {index} is last but not the tail");
            self.tail = prev;
        } else {
            slab[next].links_mut().prev = prev;
        }
    }
}
