//! What goes into a flight table and comes out of it: limits, answers, errors.

use std::fmt;
use std::num::NonZeroU64;

/// The largest number of entries.
pub(super) const ENTRIES_MAX: usize = 1 << 24;

/// The longest duration, 31 years: sums and the jitter's products stay far from overflow.
pub(super) const DURATION_MAX_MS: i64 = 1_000_000_000_000;

/// The limits of a table. Durations are milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FlightConfig {
    /// The most keys.
    pub capacity: usize,
    /// The most flights in the air, at most `capacity`: so a key in flight always has a place.
    pub flights_max: usize,
    /// How long a value is fresh, before jitter.
    pub ttl_ms: i64,
    /// How long after that it may still be used while it is renewed.
    pub stale_ms: i64,
    /// How long it counts that there is no value, before jitter.
    pub absent_ttl_ms: i64,
    /// How long after a failed renewal the next one is tried.
    pub retry_ms: i64,
}

/// One load in progress. Each flight has a number of its own, so it is its key's *generation* too:
/// only the flight that its entry names may store what it brings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlightId(pub(super) NonZeroU64);

impl FlightId {
    /// The flight numbered `number`, unless that is zero.
    pub fn new(number: u64) -> Option<Self> {
        NonZeroU64::new(number).map(Self)
    }

    /// Its number.
    pub fn get(self) -> u64 {
        self.0.get()
    }
}

/// What a lookup found, and what its caller has to do.
#[derive(Debug, PartialEq, Eq)]
pub enum Lookup<'a, V> {
    /// A fresh answer; `None` when it is known that there is no value.
    Hit(Option<&'a V>),
    /// An answer past its time that may still be used; load it anew if a flight is given.
    Stale(Option<&'a V>, Option<FlightId>),
    /// Wait for this flight: somebody else loads.
    Join(FlightId),
    /// Load, and finish this flight whatever comes.
    Lead(FlightId),
    /// As many flights as may be are in the air; nothing was started.
    Full,
}

/// How a flight ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End<V> {
    /// With a value.
    Found(V),
    /// With the knowledge that there is none.
    Absent,
    /// With an error, which is not kept.
    Failed,
    /// Not in time.
    TimedOut,
}

/// Why a table refused. After a refusal it is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlightError {
    /// The capacity is zero or above 16,777,216.
    CapacityOutOfRange {
        /// The capacity that was asked for.
        capacity: usize,
    },
    /// The most flights are zero or above the capacity.
    FlightsOutOfRange {
        /// The flights that were asked for.
        flights_max: usize,
        /// The capacity.
        capacity: usize,
    },
    /// A duration is negative or above 10^12 ms, or the `ttl_ms` is zero.
    DurationOutOfRange {
        /// Its name in the configuration.
        name: &'static str,
        /// The duration that was asked for.
        duration_ms: i64,
    },
    /// The memory for the capacity could not be had.
    OutOfMemory {
        /// The capacity that was asked for.
        capacity: usize,
    },
    /// No such flight is in the air.
    FlightUnknown {
        /// Its number.
        flight: u64,
    },
}

impl fmt::Display for FlightError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CapacityOutOfRange { capacity } => {
                write!(
                    f,
                    "capacity {capacity} is out of range: choose 1 to {ENTRIES_MAX}"
                )
            }
            Self::FlightsOutOfRange {
                flights_max,
                capacity,
            } => write!(
                f,
                "flights_max {flights_max} is out of range: choose 1 to the capacity, {capacity}"
            ),
            Self::DurationOutOfRange { name, duration_ms } => write!(
                f,
                "{name} {duration_ms} is out of range: choose 0 to {DURATION_MAX_MS} ms, \
                 and more than 0 for ttl_ms"
            ),
            Self::OutOfMemory { capacity } => {
                write!(
                    f,
                    "no memory for {capacity} entries: choose a smaller capacity"
                )
            }
            Self::FlightUnknown { flight } => write!(
                f,
                "flight {flight} is not in the air: finish each flight once, and only those that \
                 a lookup gave"
            ),
        }
    }
}

impl std::error::Error for FlightError {}

impl FlightConfig {
    pub(super) fn check(&self) -> Result<(), FlightError> {
        let capacity = self.capacity;
        if capacity == 0 || capacity > ENTRIES_MAX {
            return Err(FlightError::CapacityOutOfRange { capacity });
        }
        if self.flights_max == 0 || self.flights_max > capacity {
            return Err(FlightError::FlightsOutOfRange {
                flights_max: self.flights_max,
                capacity,
            });
        }
        let durations = [
            ("ttl_ms", self.ttl_ms, 1),
            ("stale_ms", self.stale_ms, 0),
            ("absent_ttl_ms", self.absent_ttl_ms, 0),
            ("retry_ms", self.retry_ms, 0),
        ];
        for (name, duration_ms, least) in durations {
            if !(least..=DURATION_MAX_MS).contains(&duration_ms) {
                return Err(FlightError::DurationOutOfRange { name, duration_ms });
            }
        }
        Ok(())
    }
}
