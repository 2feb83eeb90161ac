//! A million schedules of the flight table: callers that wait, loads of all ends, rows that change.
//!
//! Each caller is woken once, no key is loaded twice at once, and nobody who asks after a change
//! gets what was so before it.

use pacewheel_core::{End, FlightConfig, FlightId, FlightTable, Lookup};

const LIMITS: FlightConfig = FlightConfig {
    capacity: 2,
    flights_max: 2,
    ttl_ms: 100,
    stale_ms: 50,
    absent_ttl_ms: 10,
    retry_ms: 10,
};

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
            table: FlightTable::new(LIMITS).expect("in range"),
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
