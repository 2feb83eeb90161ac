//! The Rust core of pacewheel: the timer wheel and the flight table.
//!
//! # Ground rules
//!
//! - **No clock.** Time comes in as an argument, in whole milliseconds of any monotonic clock.
//! - **No I/O, no threads, no randomness.** The same calls give the same answers.
//! - **A limit on everything.** Memory is reserved when a structure is made and never grows.
//! - **A timer is a hint.** The rows of the database decide; a wheel that is lost is loaded again
//!   from the tasks whose `ready_at` lies within the horizon and from the domains' next slots.
//! - **A cached value is a hint.** A table that is lost fills again from the rows as it is asked.

#![forbid(unsafe_code)]

mod flight;
mod hash;
mod list;
mod slab;
mod stats;
mod types;
mod wheel;

pub use flight::{End, FlightConfig, FlightError, FlightId, FlightStats, FlightTable, Lookup};
pub use stats::Stats;
pub use types::{Due, KINDS, Kind, WheelError};
pub use wheel::{CAPACITY_MAX, TimerWheel};
