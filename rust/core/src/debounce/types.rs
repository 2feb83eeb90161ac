//! What goes into a buffer and comes out of it: raises, tiers, batches, counters, errors.

use std::fmt;

/// How many tiers there are: hot, warm, cold.
pub const TIERS: usize = 3;

/// The wish that a task's priority be at least this.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Raise {
    /// The task's domain; a task is named by both.
    pub domain: i64,
    /// The task.
    pub task: i64,
    /// Its job, which never changes.
    pub job: i64,
    /// The priority; any number but NaN.
    pub priority: f64,
}

/// How long raises of one tier may wait for company, in milliseconds from their arrival.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tier {
    /// From then on a raise may go along with others: a permission.
    pub min_ms: u32,
    /// By then it must go: a promise.
    pub max_ms: u32,
}

/// Why a batch was given out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// A raise had waited as long as its tier allows.
    Mandatory,
    /// The buffer was filled to its soft mark.
    Soft,
    /// The buffer is being drained.
    Drain,
}

/// What was taken out together, to be confirmed or restored together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Batch {
    /// Names it to `confirm` and `restore`.
    pub id: u64,
    /// Why it was given out.
    pub cause: Cause,
    /// How long the oldest raise of each tier had been here, in milliseconds.
    pub oldest_ms: [Option<i64>; TIERS],
}

/// What a buffer has done since it was made.
///
/// `added == live + taken + confirmed + discarded + rejoined` at all times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct BufferStats {
    /// Raises that were accepted, by the tier of their own priority.
    pub raised: [u64; TIERS],
    /// Those that made a new entry.
    pub added: u64,
    /// Those that raised an entry.
    pub merged: u64,
    /// Those that were no higher than their entry.
    pub suppressed: u64,
    /// Entries whose batch was confirmed.
    pub confirmed: u64,
    /// Entries whose batch was restored.
    pub restored: u64,
    /// Entries of jobs and domains that were discarded.
    pub discarded: u64,
    /// Entries that a restored one of the same task took in.
    pub rejoined: u64,
}

/// Why a buffer refused. After a refusal it is as it was before the call.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum BufferError {
    /// As many entries are held as may be.
    Full {
        /// That many.
        capacity: usize,
    },
    /// A priority is not a number.
    NotANumber {
        /// The task it was for.
        task: i64,
    },
    /// Capacity, soft mark, thresholds or times can't work.
    BadLimits,
    /// No batch of this number is out.
    UnknownBatch {
        /// The number.
        id: u64,
    },
    /// The memory for the capacity could not be had.
    OutOfMemory {
        /// The capacity that was asked for.
        capacity: usize,
    },
}

impl fmt::Display for BufferError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full { capacity } => write!(
                f,
                "the buffer holds its {capacity} raises: write the new ones through to the database"
            ),
            Self::NotANumber { task } => {
                write!(f, "the priority for task {task} is NaN: give a number")
            }
            Self::BadLimits => write!(
                f,
                "the buffer's limits can't work: capacity 1 to {}, soft mark 1 to capacity, \
                 hot_from above warm_from, and in each tier min_ms <= max_ms, no less than in the \
                 hotter one",
                crate::CAPACITY_MAX
            ),
            Self::UnknownBatch { id } => write!(
                f,
                "no batch {id} is out: confirm or restore each batch once"
            ),
            Self::OutOfMemory { capacity } => write!(
                f,
                "no memory for {capacity} raises: choose a smaller capacity"
            ),
        }
    }
}

impl std::error::Error for BufferError {}
