//! What goes into a wheel and comes out of it: kinds, due timers, errors.

use std::fmt;

/// How many kinds of timers one wheel can tell apart.
pub const KINDS: usize = 4;

/// What a timer stands for; a small number whose meaning belongs to the caller.
///
/// The same id under two kinds is two timers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Kind(u8);

impl Kind {
    /// The kind numbered `kind`, or `None` from [`KINDS`] on.
    pub const fn new(kind: u8) -> Option<Self> {
        if (kind as usize) < KINDS {
            Some(Self(kind))
        } else {
            None
        }
    }

    /// Its number.
    pub const fn get(self) -> u8 {
        self.0
    }
}

/// A timer whose deadline has passed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Due {
    /// Its kind.
    pub kind: Kind,
    /// Its id.
    pub id: i64,
}

/// Why a wheel refused. After a refusal the wheel is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WheelError {
    /// The deadline is more than the reach ahead of the wheel's time.
    BeyondHorizon {
        /// The deadline that was asked for.
        deadline: i64,
        /// The latest one that would have been taken.
        latest: i64,
    },
    /// As many timers are live as the wheel may hold.
    Full {
        /// That many.
        capacity: usize,
    },
    /// The capacity is zero or above `CAPACITY_MAX`.
    CapacityOutOfRange {
        /// The capacity that was asked for.
        capacity: usize,
    },
    /// The memory for the capacity could not be had.
    OutOfMemory {
        /// The capacity that was asked for.
        capacity: usize,
    },
}

impl fmt::Display for WheelError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BeyondHorizon { deadline, latest } => write!(
                f,
                "deadline {deadline} ms is beyond the wheel's reach, which ends at {latest} ms: \
                 advance the wheel to the present, or leave the timer to the sweep"
            ),
            Self::Full { capacity } => write!(
                f,
                "the wheel holds its {capacity} timers: leave the new one to the sweep, or make \
                 the wheel with a larger capacity"
            ),
            Self::CapacityOutOfRange { capacity } => write!(
                f,
                "capacity {capacity} is out of range: choose 1 to {}",
                super::CAPACITY_MAX
            ),
            Self::OutOfMemory { capacity } => {
                write!(
                    f,
                    "no memory for {capacity} timers: choose a smaller capacity"
                )
            }
        }
    }
}

impl std::error::Error for WheelError {}
