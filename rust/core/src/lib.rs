//! The Rust core of pacewheel: the timer wheel, the debounce buffer and the flight table.
//!
//! # Ground rules
//!
//! - **No clock.** Time comes in as an argument, in whole milliseconds of any monotonic clock.
//! - **No I/O, no threads, no randomness.** The same calls give the same answers.
//! - **A limit on everything.** Memory is reserved when a structure is made and never grows.
//! - **A structure is a hint.** The rows of the database decide. A wheel that is lost is loaded
//!   again from the tasks whose `ready_at` lies within the horizon and from the domains' next
//!   slots, a buffer from the outbox `priority_updates`, a flight table from the rows as it is
//!   asked.

#![forbid(unsafe_code)]

mod debounce;
mod flight;
mod hash;
mod list;
mod slab;
mod stats;
mod table;
mod types;
mod wheel;

pub use debounce::{Batch, BufferError, BufferStats, Cause, DebounceBuffer, Raise, TIERS, Tier};
pub use flight::{End, FlightConfig, FlightError, FlightId, FlightStats, FlightTable, Lookup};
pub use stats::Stats;
pub use types::{Due, KINDS, Kind, WheelError};
pub use wheel::{CAPACITY_MAX, TimerWheel};

/// What every `validate` is made of: the sentence is only built when the condition is broken.
fn ensure(condition: bool, sentence: impl FnOnce() -> String) -> Result<(), String> {
    if condition { Ok(()) } else { Err(sentence()) }
}
