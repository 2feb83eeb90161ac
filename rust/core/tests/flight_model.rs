//! The flight table against a plain list: random operations on a small table, all operations on a
//! tiny one. After each operation every answer must agree and `validate` must find nothing.

use pacewheel_core::{End, FlightConfig, FlightError, FlightId, FlightStats, FlightTable, Lookup};
use proptest::prelude::*;
use proptest::sample::select;

/// One key in the plainest form; it is dead when it has neither an answer nor a flight.
struct Known {
    key: i64,
    answer: Option<(Option<u64>, i64, i64, i64)>,
    flight: Option<u64>,
    is_referenced: bool,
    lost: &'static str,
}

/// What the table promises, by linear search and with everything done at once.
struct Model {
    config: FlightConfig,
    known: Vec<Known>,
    air: Vec<(u64, i64)>,
    evicted: Vec<i64>,
    hand: usize,
    flights: u64,
    stats: FlightStats,
}

/// A `Lookup` that owns its value.
#[derive(Debug, PartialEq)]
enum Answer {
    Hit(Option<u64>),
    Stale(Option<u64>, Option<u64>),
    Join(u64),
    Lead(u64),
    Full,
}

impl Model {
    fn new(config: FlightConfig) -> Self {
        Self {
            config,
            known: Vec::new(),
            air: Vec::new(),
            evicted: Vec::new(),
            hand: 0,
            flights: 0,
            stats: FlightStats::default(),
        }
    }

    fn find(&self, key: i64) -> Option<usize> {
        self.known.iter().position(|known| known.key == key)
    }

    fn start(&mut self, place: usize) -> u64 {
        self.flights += 1;
        self.air.push((self.flights, self.known[place].key));
        self.known[place].flight = Some(self.flights);
        self.flights
    }

    fn is_full(&self) -> bool {
        self.air.len() == self.config.flights_max
    }

    fn peek(&mut self, key: i64, now: i64) -> Option<Answer> {
        let place = self.find(key)?;
        let known = &mut self.known[place];
        let (value, fresh, usable, refresh) = known.answer?;
        if now < fresh {
            self.stats.hits += 1;
        } else if now < usable && (known.flight.is_some() || now < refresh) {
            self.stats.stale_hits += 1;
        } else {
            return None;
        }
        known.is_referenced = true;
        Some(Answer::Hit(value))
    }

    fn lookup(&mut self, key: i64, now: i64) -> Answer {
        if self.find(key).is_none() && self.is_full() {
            self.stats.refused += 1;
            return Answer::Full;
        }
        let place = self.find(key);
        if let Some(place) = place {
            self.known[place].is_referenced = true;
        }
        let place = place.unwrap_or_else(|| self.place(key).expect("fewer flights than places"));
        let known = &self.known[place];
        if let Some((value, fresh, usable, refresh)) = known.answer {
            if now < fresh {
                self.stats.hits += 1;
                return Answer::Hit(value);
            }
            if now < usable {
                self.stats.stale_hits += 1;
                if known.flight.is_some() || now < refresh || self.is_full() {
                    return Answer::Stale(value, None);
                }
                self.stats.refreshes += 1;
                return Answer::Stale(value, Some(self.start(place)));
            }
        }
        if let Some(flight) = known.flight {
            self.stats.joins += 1;
            return Answer::Join(flight);
        }
        if self.is_full() {
            self.stats.refused += 1;
            return Answer::Full;
        }
        if self.known[place].answer.take().is_some() {
            self.known[place].lost = "expired";
        }
        match self.known[place].lost {
            "absent" => self.stats.misses_absent += 1,
            "expired" => self.stats.misses_expired += 1,
            "invalidated" => self.stats.misses_invalidated += 1,
            _ => self.stats.misses_evicted += 1,
        }
        Answer::Lead(self.start(place))
    }

    fn finish(&mut self, flight: u64, end: End<u64>, now: i64, jitter: i16) -> Option<bool> {
        let at = self.air.iter().position(|(id, _)| *id == flight)?;
        let (_, key) = self.air.remove(at);
        let place = self
            .find(key)
            .filter(|&place| self.known[place].flight == Some(flight));
        match (end, place) {
            (End::Failed, _) => self.stats.loads_error += 1,
            (End::TimedOut, _) => self.stats.loads_timeout += 1,
            (_, None) => self.stats.loads_superseded += 1,
            (End::Found(_), _) => self.stats.loads_ok += 1,
            (End::Absent, _) => self.stats.loads_absent += 1,
        }
        let Some(place) = place else {
            return Some(false);
        };
        self.known[place].flight = None;
        match end {
            End::Found(value) => self.store(place, Some(value), now, jitter),
            End::Absent => self.store(place, None, now, jitter),
            End::Failed | End::TimedOut => {
                if let Some(answer) = &mut self.known[place].answer {
                    answer.3 = now + self.config.retry_ms;
                }
                return Some(false);
            }
        }
        Some(true)
    }

    fn store(&mut self, place: usize, value: Option<u64>, now: i64, jitter: i16) {
        let config = self.config;
        let (ttl, stale) = if value.is_some() {
            (config.ttl_ms, config.stale_ms)
        } else {
            (config.absent_ttl_ms, 0)
        };
        let fresh = now + ttl + (ttl * i64::from(jitter)).div_euclid(1000);
        self.known[place].answer = Some((value, fresh, fresh + stale, fresh));
    }

    fn put(&mut self, key: i64, value: u64, now: i64, jitter: i16) -> bool {
        let Some(place) = self.find(key).or_else(|| self.place(key)) else {
            return false;
        };
        self.known[place].flight = None;
        self.store(place, Some(value), now, jitter);
        true
    }

    fn invalidate(&mut self, key: i64) -> bool {
        let Some(place) = self.find(key) else {
            return false;
        };
        let known = &mut self.known[place];
        let was_alive = known.answer.take().is_some() | known.flight.take().is_some();
        if was_alive {
            known.lost = "invalidated";
        }
        was_alive
    }

    fn place(&mut self, key: i64) -> Option<usize> {
        let lost = if self.evicted.contains(&key) {
            "evicted"
        } else {
            "absent"
        };
        let new = Known {
            key,
            answer: None,
            flight: None,
            is_referenced: false,
            lost,
        };
        let place = if self.known.len() < self.config.capacity {
            self.known.push(new);
            self.known.len() - 1
        } else {
            let place = self.evict()?;
            self.known[place] = new;
            place
        };
        self.evicted.retain(|&other| other != key);
        Some(place)
    }

    fn evict(&mut self) -> Option<usize> {
        if self.known.iter().all(|known| known.flight.is_some()) {
            // The hand goes round twice for nothing, and clears no bit of those in flight.
            return None;
        }
        loop {
            let place = self.hand;
            self.hand = (place + 1) % self.known.len();
            let known = &mut self.known[place];
            if known.answer.is_none() && known.flight.is_none() {
                return Some(place);
            }
            if known.flight.is_some() {
                continue;
            }
            if known.is_referenced {
                known.is_referenced = false;
                continue;
            }
            if self.evicted.len() == self.config.capacity {
                self.evicted.clear();
            }
            self.evicted.push(known.key);
            self.stats.evictions += 1;
            return Some(place);
        }
    }
}

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

/// A generator of its own: the same schedules on every machine.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % sides
    }

    fn below(&mut self, sides: usize) -> usize {
        usize::try_from(self.roll(sides as u64)).expect("below a usize")
    }
}

const KEYS: usize = 3;

/// Callers that wait, loads that take their time, and rows that change meanwhile.
struct Schedule {
    table: FlightTable<u64>,
    now: i64,
    /// Each key's row: its version, and the one that whoever asks from now on must at least see.
    versions: [u64; KEYS],
    floors: [u64; KEYS],
    /// Flight, key, version read at the take-off, waiting callers, whether it may still store.
    air: Vec<(FlightId, usize, u64, u32, bool)>,
    woken: u32,
    asked: u32,
}

impl Schedule {
    fn run(dice: &mut Dice) -> Self {
        let mut schedule = Self {
            table: FlightTable::new(FlightConfig {
                capacity: 2,
                flights_max: 2,
                ..SMALL
            })
            .expect("in range"),
            now: 0,
            versions: [1; KEYS],
            floors: [1; KEYS],
            air: Vec::new(),
            woken: 0,
            asked: 0,
        };
        for _ in 0..24 {
            let key = dice.below(KEYS);
            match dice.roll(8) {
                0..=3 => schedule.ask(key),
                4 | 5 => schedule.land(dice),
                6 => schedule.change(key, dice.roll(4) == 0),
                _ => schedule.now += [1, 20, 60, 200][dice.below(4)],
            }
        }
        while !schedule.air.is_empty() {
            schedule.land(dice);
        }
        schedule
    }

    fn ask(&mut self, key: usize) {
        let mut dropped = Vec::new();
        let id = i64::try_from(key).expect("small");
        self.asked += 1;
        match self.table.lookup(id, self.now, &mut dropped) {
            Lookup::Hit(version) | Lookup::Stale(version, None) => {
                self.woken += 1;
                assert!(version.copied().unwrap_or(u64::MAX) >= self.floors[key]);
            }
            Lookup::Stale(version, Some(flight)) => {
                self.woken += 1;
                assert!(version.copied().unwrap_or(u64::MAX) >= self.floors[key]);
                self.take_off(flight, key, 0);
            }
            Lookup::Join(flight) => {
                let found = self.air.iter_mut().find(|(other, ..)| *other == flight);
                let (_, flown, version, waiting, is_wanted) = found.expect("it is in the air");
                assert_eq!((key, true), (*flown, *is_wanted));
                assert!(*version >= self.floors[key]);
                *waiting += 1;
            }
            Lookup::Lead(flight) => self.take_off(flight, key, 1),
            Lookup::Full => self.woken += 1,
        }
    }

    fn take_off(&mut self, flight: FlightId, key: usize, waiting: u32) {
        let same =
            |(_, flown, _, _, is_wanted): &(_, usize, _, _, bool)| *flown == key && *is_wanted;
        assert!(!self.air.iter().any(same), "two loads of key {key} at once");
        self.air
            .push((flight, key, self.versions[key], waiting, true));
    }

    fn land(&mut self, dice: &mut Dice) {
        if self.air.is_empty() {
            return;
        }
        let nth = dice.below(self.air.len());
        let (flight, _, version, waiting, is_wanted) = self.air.swap_remove(nth);
        let end = match dice.roll(6) {
            0 => End::Failed,
            1 => End::TimedOut,
            2 => End::Absent,
            _ => End::Found(version),
        };
        let is_answer = matches!(end, End::Found(_) | End::Absent);
        let stored = self
            .table
            .finish(flight, end, self.now, 0, &mut Vec::new())
            .expect("it is in the air");
        assert_eq!(is_wanted && is_answer, stored);
        self.woken += waiting;
    }

    fn change(&mut self, key: usize, all: bool) {
        let keys = if all { 0..KEYS } else { key..key + 1 };
        for key in keys {
            self.versions[key] += 1;
            self.floors[key] = self.versions[key];
            for (_, flown, _, _, is_wanted) in &mut self.air {
                *is_wanted &= *flown != key;
            }
        }
        if all {
            self.table.invalidate_all();
        } else {
            let id = i64::try_from(key).expect("small");
            self.table.invalidate(id, &mut Vec::new());
        }
    }
}

#[test]
fn a_million_schedules_lose_no_wake_up_and_serve_nothing_older_than_a_change() {
    let mut dice = Dice(0x9E37_79B9_7F4A_7C15);
    let mut superseded = 0;
    for number in 0..1_000_000 {
        let schedule = Schedule::run(&mut dice);
        assert_eq!(schedule.asked, schedule.woken, "schedule {number}");
        assert_eq!(Ok(()), schedule.table.validate(), "schedule {number}");
        superseded += schedule.table.stats().loads_superseded;
    }
    assert!(superseded > 100_000, "only {superseded} late answers");
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
