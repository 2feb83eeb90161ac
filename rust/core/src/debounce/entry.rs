//! One raise as the slab holds it.

use super::types::Raise;
use crate::hash::{bits, mix};
use crate::slab::{Entry, Links};
use crate::table::Keyed;

/// What is known of one task: a cache line.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    /// Its task and job, and the highest priority that was asked for.
    pub(super) raise: Raise,
    /// When the first of the merged raises came.
    pub(super) first_seen: i64,
    /// When it must go; only ever moved earlier.
    pub(super) deadline: i64,
    pub(super) links: Links,
}

const _: () = assert!(size_of::<Pending>() == 64, "an entry is a cache line");

impl Keyed for Pending {
    type Key = (i64, i64);

    fn key(&self) -> Self::Key {
        (self.raise.domain, self.raise.task)
    }

    fn hash((domain, task): Self::Key) -> u64 {
        mix(bits(task) ^ mix(bits(domain)))
    }
}

impl Entry for Pending {
    fn links(&self) -> &Links {
        &self.links
    }

    fn links_mut(&mut self) -> &mut Links {
        &mut self.links
    }
}
