//! The wheel against a sorted map: random operations on the real geometry, all operations on a tiny
//! one. After each operation every answer must agree and `validate` must find nothing.

use std::collections::{BTreeMap, HashMap};

use pacewheel_core::{Due, Kind, TimerWheel, WheelError};
use proptest::prelude::*;
use proptest::sample::select;

/// What the wheel promises, in the plainest form: timers by (deadline, order of scheduling).
struct Model {
    now: i64,
    reach: i64,
    capacity: usize,
    queue: BTreeMap<(i64, u64), Due>,
    keys: HashMap<Due, (i64, u64)>,
    sequence: u64,
    /// A timer was taken out of the middle since the wheel was last empty.
    is_disturbed: bool,
}

impl Model {
    fn new(now: i64, reach: i64, capacity: usize) -> Self {
        let (queue, keys) = (BTreeMap::new(), HashMap::new());
        Self {
            now,
            reach,
            capacity,
            queue,
            keys,
            sequence: 0,
            is_disturbed: false,
        }
    }

    fn refusal(&self, pairs: &[(Due, i64)]) -> Option<WheelError> {
        let latest = self.now.saturating_add(self.reach);
        if let Some(&(_, deadline)) = pairs.iter().find(|(_, deadline)| *deadline > latest) {
            return Some(WheelError::BeyondHorizon { deadline, latest });
        }
        let mut new: Vec<Due> = pairs.iter().map(|(key, _)| *key).collect();
        new.retain(|key| !self.keys.contains_key(key));
        new.sort_unstable();
        new.dedup();
        let capacity = self.capacity;
        (new.len() + self.keys.len() > capacity).then_some(WheelError::Full { capacity })
    }

    fn schedule(&mut self, pairs: &[(Due, i64)]) -> Result<(), WheelError> {
        if let Some(error) = self.refusal(pairs) {
            return Err(error);
        }
        for &(key, deadline) in pairs {
            self.cancel(key);
            let place = (deadline.max(self.now), self.sequence);
            self.sequence += 1;
            self.queue.insert(place, key);
            self.keys.insert(key, place);
        }
        Ok(())
    }

    fn cancel(&mut self, key: Due) -> bool {
        let Some(place) = self.keys.remove(&key) else {
            return false;
        };
        self.queue.remove(&place);
        self.is_disturbed = true;
        true
    }

    fn advance(&mut self, now: i64, limit: usize) -> Vec<Due> {
        let now = now.max(self.now);
        let mut due = Vec::new();
        while due.len() < limit && self.earliest().is_some_and(|earliest| earliest <= now) {
            let (_, key) = self.queue.pop_first().expect("just seen");
            self.keys.remove(&key);
            due.push(key);
        }
        self.now = self.earliest().map_or(now, |earliest| earliest.min(now));
        self.is_disturbed &= !self.queue.is_empty();
        due
    }

    fn earliest(&self) -> Option<i64> {
        self.queue.keys().next().map(|place| place.0)
    }
}

#[derive(Clone, Debug)]
enum Op {
    Schedule { key: Due, delay: i64 },
    ScheduleMany { kind: Kind, pairs: Vec<(i64, i64)> },
    Cancel { key: Due },
    Advance { by: i64, limit: usize },
}

/// Applies one operation to both and compares all that can be seen.
fn apply<const NEAR: usize, const FAR: usize>(
    wheel: &mut TimerWheel<NEAR, FAR>,
    model: &mut Model,
    op: &Op,
) {
    let start = model.now;
    match op {
        Op::Schedule { key, delay } => {
            let deadline = start.saturating_add(*delay);
            let answer = wheel.schedule(key.kind, key.id, deadline);
            assert_eq!(model.schedule(&[(*key, deadline)]), answer);
        }
        Op::ScheduleMany { kind, pairs } => {
            let (ids, deadlines): (Vec<_>, Vec<_>) = pairs
                .iter()
                .map(|(id, delay)| (*id, start.saturating_add(*delay)))
                .unzip();
            let due = ids.iter().map(|&id| Due { kind: *kind, id });
            let expected: Vec<_> = due.zip(deadlines.iter().copied()).collect();
            let answer = wheel.schedule_many(*kind, &ids, &deadlines);
            assert_eq!(model.schedule(&expected), answer);
        }
        Op::Cancel { key } => {
            assert_eq!(model.cancel(*key), wheel.cancel(key.kind, key.id));
        }
        Op::Advance { by, limit } => {
            let now = start.saturating_add(*by);
            let mut due = Vec::new();
            wheel.advance(now, *limit, &mut due);
            assert_eq!(model.advance(now, *limit), due);
            let was_cut = model.earliest().is_some_and(|earliest| earliest <= now);
            let next = wheel.next_deadline();
            let is_ahead = next.is_none_or(|next| next > now);
            assert!(was_cut || is_ahead || by < &0, "next {next:?} at {now}");
        }
    }
    compare(wheel, model);
}

fn compare<const NEAR: usize, const FAR: usize>(wheel: &TimerWheel<NEAR, FAR>, model: &Model) {
    assert_eq!(Ok(()), wheel.validate());
    assert_eq!(model.keys.len(), wheel.len());
    for kind in (0..4).filter_map(Kind::new) {
        let count = model.keys.keys().filter(|key| key.kind == kind).count();
        assert_eq!(count, wheel.count(kind));
    }
    let block = |tick: i64| tick.div_euclid(i64::try_from(NEAR).unwrap());
    match (model.earliest(), wheel.next_deadline()) {
        (Some(earliest), Some(next)) => {
            assert!(next <= earliest, "next {next} is after {earliest}");
            assert_eq!(block(earliest), block(next));
            if !model.is_disturbed || block(earliest) == block(model.now) {
                assert_eq!(earliest, next);
            }
        }
        (earliest, next) => assert_eq!(earliest, next),
    }
}

fn kinds() -> impl Strategy<Value = Kind> {
    (0_u8..4).prop_map(|kind| Kind::new(kind).expect("below four"))
}

fn keys() -> impl Strategy<Value = Due> {
    let ids = prop_oneof![9 => 0_i64..12, 1 => select(vec![i64::MIN, -1, i64::MAX])];
    (kinds(), ids).prop_map(|(kind, id)| Due { kind, id })
}

/// Distances around everything that has an edge: ticks, blocks, the reach; and clock steps back.
fn distances() -> impl Strategy<Value = i64> {
    const REACH: i64 = TimerWheel::<1024, 512>::REACH_MS;
    prop_oneof![
        4 => 0_i64..8,
        4 => (1_i64..6, -2_i64..3).prop_map(|(blocks, off)| blocks * 1024 + off),
        4 => 0_i64..5_000,
        2 => 0_i64..REACH,
        2 => REACH - 2..=REACH,
        1 => -5_000_i64..0,
    ]
}

fn ops() -> impl Strategy<Value = Op> {
    let beyond = TimerWheel::<1024, 512>::REACH_MS + 1;
    let delays = || prop_oneof![40 => distances(), 1 => Just(beyond), 1 => Just(i64::MIN)];
    let jumps = prop_oneof![20 => distances(), 1 => Just(beyond * 7), 1 => Just(i64::MAX / 4)];
    let pairs = prop::collection::vec((0_i64..12, distances()), 0..8);
    prop_oneof![
        6 => (keys(), delays()).prop_map(|(key, delay)| Op::Schedule { key, delay }),
        2 => (kinds(), pairs).prop_map(|(kind, pairs)| Op::ScheduleMany { kind, pairs }),
        2 => keys().prop_map(|key| Op::Cancel { key }),
        4 => (jumps, select(vec![0, 1, 3, 4096]))
            .prop_map(|(by, limit)| Op::Advance { by, limit }),
    ]
}

proptest! {
    #[test]
    fn the_wheel_does_what_a_sorted_map_does(
        start in prop_oneof![Just(0), -3_000_i64..3_000, 0..i64::MAX / 4],
        capacity in prop_oneof![1 => 1_usize..8, 3 => Just(64)],
        ops in prop::collection::vec(ops(), 1..80),
    ) {
        let mut wheel = TimerWheel::<1024, 512>::new(start, capacity).expect("in range");
        let mut model = Model::new(start, TimerWheel::<1024, 512>::REACH_MS, capacity);
        for op in &ops {
            apply(&mut wheel, &mut model, op);
        }
    }
}

/// Walks through all sequences up to `depth`; each is replayed from the start and its last
/// operation compared, since its shorter forms were compared before.
fn walk(alphabet: &[Op], sequence: &mut Vec<Op>, depth: usize) -> usize {
    let mut count = 1;
    let mut wheel = TimerWheel::<4, 4>::new(-2, 2).expect("in range");
    let mut model = Model::new(-2, TimerWheel::<4, 4>::REACH_MS, 2);
    for op in &*sequence {
        apply(&mut wheel, &mut model, op);
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
fn a_tiny_wheel_is_right_for_every_sequence_of_six_operations() {
    let key = |kind, id| Due {
        kind: Kind::new(kind).expect("below four"),
        id,
    };
    let schedule = |kind, id, delay| Op::Schedule {
        key: key(kind, id),
        delay,
    };
    let alphabet = [
        schedule(0, 1, 0),
        schedule(0, 1, 3),
        schedule(1, 1, 3),
        schedule(1, 1, 6),
        schedule(0, 2, 16),
        Op::Cancel { key: key(1, 1) },
        Op::Advance { by: 1, limit: 1 },
        Op::Advance { by: 5, limit: 9 },
        Op::Advance { by: 16, limit: 1 },
    ];
    let count = walk(&alphabet, &mut Vec::new(), 6);
    let expected: usize = (0..=6).map(|length| alphabet.len().pow(length)).sum();
    assert_eq!(expected, count);
}

#[test]
fn a_refused_capacity_names_the_range() {
    for capacity in [0, pacewheel_core::CAPACITY_MAX + 1] {
        let refused = TimerWheel::<1024, 512>::new(0, capacity).err();
        assert_eq!(Some(WheelError::CapacityOutOfRange { capacity }), refused);
    }
}

#[test]
fn the_largest_and_smallest_times_do_not_overflow() {
    let kind = Kind::new(0).expect("below four");
    let mut wheel = TimerWheel::<1024, 512>::new(i64::MIN, 8).expect("in range");
    wheel.schedule(kind, 1, i64::MIN).expect("due at once");
    let mut due = Vec::new();
    wheel.advance(i64::MAX, 1, &mut due);
    wheel.schedule(kind, 2, i64::MAX).expect("due at once");
    wheel.schedule(kind, 3, i64::MIN).expect("due at once");
    wheel.advance(i64::MAX, 9, &mut due);
    let ids: Vec<i64> = due.iter().map(|timer| timer.id).collect();
    assert_eq!((vec![1, 2, 3], Ok(())), (ids, wheel.validate()));
}
