//! Counters of a flight table: plain numbers, one writer, read by copy.

/// Why a lookup had to load.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Lost {
    /// The key was never there, or is no longer remembered.
    Absent,
    /// Its value was older than it may be.
    Expired,
    /// Somebody said that it had changed.
    Invalidated,
    /// Its place was needed for another key.
    Evicted,
}

/// What a table has done since it was made. Every flight is led by a miss or a refresh and ends as
/// one kind of load: `misses + refreshes == loads + flights in the air` at all times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlightStats {
    /// Lookups and peeks answered by a fresh value.
    pub hits: u64,
    /// Those answered by a stale one.
    pub stale_hits: u64,
    /// Lookups that joined a flight.
    pub joins: u64,
    /// Lookups turned away because as many flights as may be were in the air.
    pub refused: u64,
    /// Lookups that led a flight for a key not there.
    pub misses_absent: u64,
    /// Those whose value had expired.
    pub misses_expired: u64,
    /// Those whose value had been invalidated.
    pub misses_invalidated: u64,
    /// Those whose value had been evicted, as far as that is remembered.
    pub misses_evicted: u64,
    /// Flights led to renew a stale value.
    pub refreshes: u64,
    /// Flights that found a value, which was stored.
    pub loads_ok: u64,
    /// Flights that found that there is none, which was stored.
    pub loads_absent: u64,
    /// Flights that failed.
    pub loads_error: u64,
    /// Flights that took too long.
    pub loads_timeout: u64,
    /// Flights whose answer was not stored, as the key had been invalidated or put meanwhile.
    pub loads_superseded: u64,
    /// Values dropped for space.
    pub evictions: u64,
}

impl FlightStats {
    pub(super) fn miss(&mut self, lost: Lost) {
        match lost {
            Lost::Absent => self.misses_absent += 1,
            Lost::Expired => self.misses_expired += 1,
            Lost::Invalidated => self.misses_invalidated += 1,
            Lost::Evicted => self.misses_evicted += 1,
        }
    }

    /// Flights that took off.
    pub(super) fn led(&self) -> u64 {
        self.misses_absent
            + self.misses_expired
            + self.misses_invalidated
            + self.misses_evicted
            + self.refreshes
    }

    /// Flights that landed.
    pub(super) fn landed(&self) -> u64 {
        self.loads_ok
            + self.loads_absent
            + self.loads_error
            + self.loads_timeout
            + self.loads_superseded
    }
}
