//! Plain counters: no atomics, one writer, read by copy.

/// What a wheel has done since it was made. Every timer ends as cancelled, expired or still live:
/// `scheduled == cancelled + expired + live` at all times.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Stats {
    /// Timers that were new.
    pub scheduled: u64,
    /// Live timers that got another deadline.
    pub rescheduled: u64,
    /// Timers taken out before their deadline was handed over.
    pub cancelled: u64,
    /// Timers handed over by `advance`.
    pub expired: u64,
    /// Moves from the far wheel to the near wheel; at most one a timer and deadline.
    pub spread: u64,
}
