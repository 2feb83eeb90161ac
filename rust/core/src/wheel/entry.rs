//! One timer as the slab holds it.

use crate::hash::{bits, mix};
use crate::slab::{Entry, Links};
use crate::table::Keyed;
use crate::types::Kind;

/// One timer, two to a cache line.
#[derive(Clone, Copy)]
pub(super) struct Timer {
    /// The payload is the key: no object of the caller is held.
    pub(super) id: i64,
    /// Milliseconds of the caller's clock, never before the wheel's time when it was scheduled.
    pub(super) deadline: i64,
    pub(super) links: Links,
    pub(super) kind: Kind,
}

const _: () = assert!(size_of::<Timer>() == 32, "a timer is half a cache line");

impl Keyed for Timer {
    type Key = (Kind, i64);

    fn key(&self) -> Self::Key {
        (self.kind, self.id)
    }

    fn hash((kind, id): Self::Key) -> u64 {
        mix(bits(id).rotate_left(2) ^ u64::from(kind.get()))
    }
}

impl Entry for Timer {
    fn links(&self) -> &Links {
        &self.links
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}
