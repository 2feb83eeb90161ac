//! The flight table against a plain list: random operations on a small table, all operations on a
//! tiny one. After each operation every answer must agree and `validate` must find nothing.

mod flight_list;

use flight_list::{Answer, Model};
use pacewheel_core::{End, FlightConfig, FlightError, FlightId, FlightTable, Lookup};
use proptest::prelude::*;
use proptest::sample::select;

#[derive(Clone, Debug)]
enum Op {
    Peek(i64),
    Lookup(i64),
    /// The n-th flight in the air, counted from the oldest, and around.
    Finish(usize, End<()>, i16),
    Put(i64),
    Invalidate(i64),
    InvalidateAll,
    Pass(i64),
}

/// Table, model and what they share: the time, and a value for every load.
struct Pair {
    table: FlightTable<u64>,
    model: Model,
    now: i64,
    given: u64,
    dropped: Vec<u64>,
}

impl Pair {
    fn new(config: FlightConfig) -> Self {
        Self {
            table: FlightTable::new(config).expect("in range"),
            model: Model::new(config),
            now: -3,
            given: 0,
            dropped: Vec::new(),
        }
    }

    fn value(&mut self) -> u64 {
        self.given += 1;
        self.given
    }

    /// Applies one operation to both and compares all that can be seen.
    fn apply(&mut self, op: &Op) {
        let now = self.now;
        match *op {
            Op::Peek(key) => {
                let answer = self.table.peek(key, now);
                let answer = answer.map(|value| Answer::Hit(value.copied()));
                assert_eq!(self.model.peek(key, now), answer);
            }
            Op::Lookup(key) => {
                let answer = match self.table.lookup(key, now, &mut self.dropped) {
                    Lookup::Hit(value) => Answer::Hit(value.copied()),
                    Lookup::Stale(value, flight) => {
                        Answer::Stale(value.copied(), flight.map(FlightId::get))
                    }
                    Lookup::Join(flight) => Answer::Join(flight.get()),
                    Lookup::Lead(flight) => Answer::Lead(flight.get()),
                    Lookup::Full => Answer::Full,
                };
                assert_eq!(self.model.lookup(key, now), answer);
            }
            Op::Finish(nth, end, jitter) => self.finish(nth, end, jitter),
            Op::Put(key) => {
                let value = self.value();
                let put = self.table.put(key, value, now, 0, &mut self.dropped);
                assert_eq!(self.model.put(key, value, now, 0), put);
            }
            Op::Invalidate(key) => {
                let was_known = self.table.invalidate(key, &mut self.dropped);
                assert_eq!(self.model.invalidate(key), was_known);
            }
            Op::InvalidateAll => {
                self.table.invalidate_all();
                let keys: Vec<i64> = self.model.known.iter().map(|known| known.key).collect();
                for key in keys {
                    self.model.invalidate(key);
                }
            }
            Op::Pass(by) => self.now += by,
        }
        self.compare();
    }

    fn finish(&mut self, nth: usize, end: End<()>, jitter: i16) {
        let air = &self.model.air;
        let flight = if air.is_empty() {
            self.model.flights + 1
        } else {
            air[nth % air.len()].0
        };
        let end = match end {
            End::Found(()) if !air.is_empty() => End::Found(self.value()),
            End::Found(()) | End::Absent => End::Absent,
            End::Failed => End::Failed,
            End::TimedOut => End::TimedOut,
        };
        let id = FlightId::new(flight).expect("not zero");
        let stored = self
            .table
            .finish(id, end, self.now, jitter, &mut self.dropped);
        let expected = self.model.finish(flight, end, self.now, jitter);
        assert_eq!(
            expected.ok_or(FlightError::FlightUnknown { flight }),
            stored
        );
    }

    fn compare(&mut self) {
        assert_eq!(Ok(()), self.table.validate());
        assert_eq!(self.model.stats, self.table.stats());
        assert_eq!(self.model.known.len(), self.table.len());
        assert_eq!(self.model.air.len(), self.table.in_flight());
        // No value is lost and none is handed over twice.
        let mut values: Vec<u64> = self.dropped.clone();
        values.extend(self.table.values());
        values.sort_unstable();
        assert_eq!((1..=self.given).collect::<Vec<_>>(), values);
    }
}

fn ops() -> impl Strategy<Value = Op> {
    let keys = || prop_oneof![8 => 0_i64..6, 1 => select(vec![i64::MIN, -1, i64::MAX])];
    let ends = select(vec![
        End::Found(()),
        End::Found(()),
        End::Absent,
        End::Failed,
        End::TimedOut,
    ]);
    prop_oneof![
        3 => keys().prop_map(Op::Peek),
        8 => keys().prop_map(Op::Lookup),
        6 => (0_usize..4, ends, -100_i16..=100).prop_map(|(n, end, by)| Op::Finish(n, end, by)),
        1 => keys().prop_map(Op::Put),
        2 => keys().prop_map(Op::Invalidate),
        1 => Just(Op::InvalidateAll),
        3 => select(vec![0, 1, 9, 10, 11, 40, 500]).prop_map(Op::Pass),
    ]
}

const SMALL: FlightConfig = FlightConfig {
    capacity: 4,
    flights_max: 3,
    ttl_ms: 100,
    stale_ms: 50,
    absent_ttl_ms: 10,
    retry_ms: 10,
};

proptest! {
    #[test]
    fn the_table_does_what_a_list_does(
        capacity in 1_usize..6,
        flights_max in 1_usize..6,
        ops in prop::collection::vec(ops(), 1..120),
    ) {
        let flights_max = flights_max.min(capacity);
        let mut pair = Pair::new(FlightConfig { capacity, flights_max, ..SMALL });
        for op in &ops {
            pair.apply(op);
        }
    }
}

/// Walks through all sequences up to `depth`; each is replayed from the start.
fn walk(alphabet: &[Op], sequence: &mut Vec<Op>, depth: usize) -> usize {
    let mut count = 1;
    let mut pair = Pair::new(FlightConfig {
        capacity: 1,
        flights_max: 1,
        ..SMALL
    });
    for op in &*sequence {
        pair.apply(op);
    }
    if sequence.len() < depth {
        for op in alphabet {
            sequence.push(op.clone());
            count += walk(alphabet, sequence, depth);
            sequence.pop();
        }
    }
    count
}

#[test]
fn a_tiny_table_is_right_for_every_sequence_of_six_operations() {
    let alphabet = [
        Op::Lookup(1),
        Op::Lookup(2),
        Op::Peek(1),
        Op::Finish(0, End::Found(()), 0),
        Op::Finish(0, End::Failed, 0),
        Op::Invalidate(1),
        Op::InvalidateAll,
        Op::Pass(120),
    ];
    let count = walk(&alphabet, &mut Vec::new(), 6);
    let expected: usize = (0..=6).map(|length| alphabet.len().pow(length)).sum();
    assert_eq!(expected, count);
}

#[test]
fn limits_out_of_range_are_refused_by_name() {
    let refusal = |config| {
        FlightTable::<u64>::new(config)
            .err()
            .map(|error| error.to_string())
    };
    let cases = [
        (
            FlightConfig {
                capacity: 0,
                ..SMALL
            },
            "capacity 0",
        ),
        (
            FlightConfig {
                capacity: 1 << 25,
                ..SMALL
            },
            "choose 1 to 16777216",
        ),
        (
            FlightConfig {
                flights_max: 0,
                ..SMALL
            },
            "flights_max 0",
        ),
        (
            FlightConfig {
                flights_max: 5,
                ..SMALL
            },
            "choose 1 to the capacity, 4",
        ),
        (FlightConfig { ttl_ms: 0, ..SMALL }, "ttl_ms 0"),
        (
            FlightConfig {
                stale_ms: -1,
                ..SMALL
            },
            "stale_ms -1",
        ),
        (
            FlightConfig {
                absent_ttl_ms: i64::MAX,
                ..SMALL
            },
            "absent_ttl_ms",
        ),
        (
            FlightConfig {
                retry_ms: -5,
                ..SMALL
            },
            "retry_ms -5",
        ),
    ];
    for (config, words) in cases {
        let message = refusal(config).expect("it is refused");
        assert!(message.contains(words), "{message}");
    }
}

#[test]
fn clear_hands_over_every_value_and_supersedes_every_flight() {
    let mut table = FlightTable::new(SMALL).expect("in range");
    let mut dropped = Vec::new();
    table.put(1, 10, 0, 0, &mut dropped);
    table.invalidate_all();
    table.put(2, 20, 0, 0, &mut dropped);
    let Lookup::Lead(flight) = table.lookup(3, 0, &mut dropped) else {
        panic!("nobody else loads");
    };
    table.clear(&mut dropped);
    assert_eq!(
        Ok(false),
        table.finish(flight, End::Found(30), 0, 0, &mut dropped)
    );
    assert_eq!((vec![10, 20, 30], 0), (dropped, table.values().count()));
}

#[test]
fn the_largest_and_smallest_times_do_not_overflow() {
    let mut table = FlightTable::new(SMALL).expect("in range");
    let mut dropped = Vec::new();
    for now in [i64::MAX, i64::MIN] {
        table.put(1, 7, now, 1000, &mut dropped);
        assert_eq!(
            Lookup::Hit(Some(&7)),
            table.lookup(1, i64::MIN, &mut dropped)
        );
    }
    assert_eq!(Ok(()), table.validate());
}
