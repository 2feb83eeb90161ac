//! The buffer's promises in single cases: the longest wait, refusals that change nothing.

use pacewheel_core::{BufferError, DebounceBuffer, Raise, Tier};

const FROM: [f64; 2] = [0.8, 0.4];
const TIERS: [Tier; 3] = [
    Tier {
        min_ms: 0,
        max_ms: 0,
    },
    Tier {
        min_ms: 5,
        max_ms: 10,
    },
    Tier {
        min_ms: 30,
        max_ms: 60,
    },
];

#[test]
fn no_raise_waits_longer_than_its_tier_allows_however_steady_the_input() {
    let mut buffer = DebounceBuffer::new(10, 10, FROM, TIERS).expect("sound");
    let raise = |priority| Raise {
        domain: 1,
        task: 1,
        job: 1,
        priority,
    };
    let mut priority = 0.1;
    for now in 0..60 {
        priority += 0.001;
        buffer.raise_many(now, &[raise(priority)]).expect("room");
        assert_eq!(Some(60), buffer.next_deadline());
    }
    buffer.raise_many(55, &[raise(0.5)]).expect("room");
    assert_eq!(Some(60), buffer.next_deadline(), "ten later is not earlier");
    buffer.raise_many(59, &[raise(0.9)]).expect("room");
    assert_eq!(Some(59), buffer.next_deadline());
    let mut rows = Vec::new();
    let batch = buffer.take_due(59, 10, &mut rows).expect("due");
    assert_eq!(vec![raise(0.9)], rows);
    assert_eq!([Some(59), None, None], batch.oldest_ms);
}

#[test]
fn limits_that_cannot_work_are_refused() {
    let swapped = [TIERS[1], TIERS[0], TIERS[2]];
    for buffer in [
        DebounceBuffer::new(0, 1, FROM, TIERS),
        DebounceBuffer::new(5, 6, FROM, TIERS),
        DebounceBuffer::new(5, 5, [0.4, 0.8], TIERS),
        DebounceBuffer::new(5, 5, [f64::NAN, 0.8], TIERS),
        DebounceBuffer::new(5, 5, FROM, swapped),
    ] {
        assert_eq!(Some(BufferError::BadLimits), buffer.err());
    }
}

#[test]
fn a_priority_that_is_no_number_is_refused_and_changes_nothing() {
    let mut buffer = DebounceBuffer::new(10, 10, FROM, TIERS).expect("sound");
    let raise = |task, priority| Raise {
        domain: 1,
        task,
        job: 1,
        priority,
    };
    let refused = buffer.raise_many(0, &[raise(1, 0.5), raise(2, f64::NAN)]);
    assert_eq!(Err(BufferError::NotANumber { task: 2 }), refused);
    assert_eq!((0, Ok(())), (buffer.len(), buffer.validate()));
}
