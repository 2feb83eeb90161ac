//! One key of the table: its value, its flight, and how it came to have neither.

use super::stats::Lost;
use super::types::FlightId;
use crate::hash::{bits, mix};
use crate::table::Keyed;

/// An answer and its two ages.
pub(super) struct Held<V> {
    /// `None`: it is known that there is no value.
    pub(super) value: Option<V>,
    /// Until then it is fresh.
    pub(super) fresh_until: i64,
    /// Until then it may be used.
    pub(super) usable_until: i64,
    /// No renewal is tried before.
    pub(super) refresh_at: i64,
}

/// What an entry's answer is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Age {
    Fresh,
    Stale,
    Gone,
}

/// A place in the table. It is *pinned* while its flight is in the air, and *dead* when it has
/// neither a value nor a flight: then it only remembers why.
pub(super) struct Entry<V> {
    pub(super) key: i64,
    pub(super) held: Option<Held<V>>,
    /// The flight that may store here; a flight that is not named here is superseded.
    pub(super) flight: Option<FlightId>,
    /// The table's epoch when the entry was last made sure of.
    pub(super) epoch: u64,
    /// CLOCK's bit: looked up since the hand last passed.
    pub(super) referenced: bool,
    pub(super) lost: Lost,
}

impl<V> Keyed for Entry<V> {
    type Key = i64;

    fn key(&self) -> i64 {
        self.key
    }

    fn hash(key: i64) -> u64 {
        mix(bits(key))
    }
}

impl<V> Entry<V> {
    pub(super) fn new(key: i64, epoch: u64, lost: Lost) -> Self {
        Self {
            key,
            held: None,
            flight: None,
            epoch,
            referenced: false,
            lost,
        }
    }

    pub(super) fn age(&self, now: i64) -> Age {
        match &self.held {
            Some(held) if now < held.fresh_until => Age::Fresh,
            Some(held) if now < held.usable_until => Age::Stale,
            _ => Age::Gone,
        }
    }

    pub(super) fn value(&self) -> Option<&V> {
        self.held.as_ref().and_then(|held| held.value.as_ref())
    }

    /// Whether a stale answer should be renewed now.
    pub(super) fn wants_refresh(&self, now: i64) -> bool {
        let is_time = self
            .held
            .as_ref()
            .is_some_and(|held| now >= held.refresh_at);
        is_time && self.flight.is_none()
    }

    pub(super) fn is_dead(&self, epoch: u64) -> bool {
        self.epoch != epoch || (self.held.is_none() && self.flight.is_none())
    }

    /// Drops answer and flight; tells whether there was one.
    pub(super) fn forget(&mut self, lost: Lost, dropped: &mut Vec<V>) -> bool {
        let was_alive = self.held.is_some() || self.flight.is_some();
        if was_alive {
            self.lost = lost;
        }
        self.flight = None;
        self.drop_held(dropped);
        was_alive
    }

    pub(super) fn drop_held(&mut self, dropped: &mut Vec<V>) {
        dropped.extend(self.held.take().and_then(|held| held.value));
    }
}
