//! The buffer against plain vectors: random raises, takes, confirms, restores and discards. After
//! each operation every answer must agree and `validate` must find nothing; at the end nothing that
//! was raised may be lost.

use std::collections::HashMap;

use pacewheel_core::{BufferError, Cause, DebounceBuffer, Raise, Tier};
use proptest::prelude::*;
use proptest::sample::select;

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

#[derive(Clone, Debug)]
struct Item {
    raise: Raise,
    first_seen: i64,
    deadline: i64,
}

impl Item {
    fn is(&self, raise: &Raise) -> bool {
        (self.raise.domain, self.raise.task) == (raise.domain, raise.task)
    }
}

fn tier_of(priority: f64) -> usize {
    FROM.iter().filter(|&&from| priority < from).count()
}

fn max_ms(tier: usize) -> i64 {
    i64::from(TIERS[tier].max_ms)
}

fn span(tier: usize) -> i64 {
    i64::from(TIERS[tier].max_ms - TIERS[tier].min_ms)
}

/// What the buffer promises, in the plainest form: a queue a tier, and the batches that are out.
struct Model {
    now: i64,
    capacity: usize,
    soft_mark: usize,
    tiers: [Vec<Item>; 3],
    batches: HashMap<u64, Vec<Item>>,
    is_draining: bool,
}

impl Model {
    fn len(&self) -> usize {
        self.tiers.iter().map(Vec::len).sum()
    }

    fn taken(&self) -> usize {
        self.batches.values().map(Vec::len).sum()
    }

    fn find(&self, raise: &Raise) -> Option<(usize, usize)> {
        (0..3).find_map(|tier| {
            let place = self.tiers[tier].iter().position(|item| item.is(raise))?;
            Some((tier, place))
        })
    }

    fn raise_many(&mut self, now: i64, raises: &[Raise]) -> Result<(), BufferError> {
        let mut new: Vec<_> = raises
            .iter()
            .filter(|raise| self.find(raise).is_none())
            .map(|raise| (raise.domain, raise.task))
            .collect();
        new.sort_unstable();
        new.dedup();
        if self.len() + self.taken() + new.len() > self.capacity {
            return Err(BufferError::Full {
                capacity: self.capacity,
            });
        }
        self.now = self.now.max(now);
        for raise in raises {
            self.merge(raise);
        }
        Ok(())
    }

    fn merge(&mut self, raise: &Raise) {
        let tier = tier_of(raise.priority);
        let deadline = self.now + max_ms(tier);
        let Some((old_tier, place)) = self.find(raise) else {
            self.tiers[tier].push(Item {
                raise: *raise,
                first_seen: self.now,
                deadline,
            });
            return;
        };
        let item = &mut self.tiers[old_tier][place];
        if raise.priority <= item.raise.priority {
            return;
        }
        item.raise.priority = raise.priority;
        if tier < old_tier && deadline < item.deadline {
            item.deadline = deadline;
            let item = self.tiers[old_tier].remove(place);
            self.tiers[tier].push(item);
        }
    }

    fn take_due(&mut self, now: i64, rows_max: usize) -> (Vec<Item>, [Option<i64>; 3], Cause) {
        self.now = self.now.max(now);
        let is_pressed = self.len() >= self.soft_mark;
        let mut taken: Vec<Item> = Vec::new();
        let mut oldest = [None; 3];
        let mut take = |taken: &mut Vec<Item>, tier: usize, item: Item, now: i64| {
            oldest[tier] = oldest[tier].max(Some(now - item.first_seen));
            taken.push(item);
        };
        for (tier, queue) in self.tiers.iter_mut().enumerate() {
            while taken.len() < rows_max
                && !queue.is_empty()
                && (self.is_draining || queue[0].deadline <= self.now)
            {
                take(&mut taken, tier, queue.remove(0), self.now);
            }
        }
        let cause = if self.is_draining {
            Cause::Drain
        } else if taken.is_empty() {
            Cause::Soft
        } else {
            Cause::Mandatory
        };
        let jobs: Vec<i64> = taken.iter().map(|item| item.raise.job).collect();
        let mut looks = 0;
        if is_pressed || !jobs.is_empty() {
            for (tier, queue) in self.tiers.iter_mut().enumerate() {
                let mut place = 0;
                while place < queue.len()
                    && queue[place].deadline - span(tier) <= self.now
                    && taken.len() < rows_max
                    && (is_pressed || looks < rows_max)
                {
                    looks += 1;
                    if is_pressed || jobs.contains(&queue[place].raise.job) {
                        take(&mut taken, tier, queue.remove(place), self.now);
                    } else {
                        place += 1;
                    }
                }
            }
        }
        (taken, oldest, cause)
    }

    fn restore(&mut self, batch: Vec<Item>) {
        for mut item in batch.into_iter().rev() {
            if let Some((tier, place)) = self.find(&item.raise) {
                let newer = self.tiers[tier].remove(place);
                item.raise.priority = item.raise.priority.max(newer.raise.priority);
                item.deadline = item.deadline.min(newer.deadline);
            }
            let queue = &mut self.tiers[tier_of(item.raise.priority)];
            if let Some(head) = queue.first() {
                item.deadline = item.deadline.min(head.deadline);
            }
            queue.insert(0, item);
        }
    }

    fn discard(&mut self, is_unwanted: impl Fn(&Raise) -> bool) -> usize {
        let before = self.len() + self.taken();
        for queue in self.tiers.iter_mut().chain(self.batches.values_mut()) {
            queue.retain(|item| !is_unwanted(&item.raise));
        }
        before - self.len() - self.taken()
    }

    fn next_deadline(&self) -> Option<i64> {
        let is_pressed = self.len() >= self.soft_mark;
        (0..3)
            .filter_map(|tier| {
                let head = self.tiers[tier].first()?;
                Some(if self.is_draining {
                    self.now
                } else if is_pressed {
                    head.deadline - span(tier)
                } else {
                    head.deadline
                })
            })
            .min()
    }
}

#[derive(Clone, Debug)]
enum Op {
    Raise { by: i64, raises: Vec<Raise> },
    Take { by: i64, rows_max: usize },
    Confirm,
    Restore,
    DiscardJob(i64),
    DiscardDomains(Vec<i64>),
    Drain,
}

/// Both, and the highest priority that each task was ever asked to have.
struct Pair {
    buffer: DebounceBuffer,
    model: Model,
    wanted: HashMap<(i64, i64), f64>,
    written: HashMap<(i64, i64), f64>,
}

impl Pair {
    fn new(capacity: usize, soft_mark: usize) -> Self {
        let buffer = DebounceBuffer::new(capacity, soft_mark.min(capacity), FROM, TIERS);
        let mut buffer = buffer.expect("sound");
        buffer.raise_many(0, &[]).expect("only tells the time");
        Self {
            buffer,
            model: Model {
                now: 0,
                capacity,
                soft_mark: soft_mark.min(capacity),
                tiers: Default::default(),
                batches: HashMap::new(),
                is_draining: false,
            },
            wanted: HashMap::new(),
            written: HashMap::new(),
        }
    }

    fn apply(&mut self, op: &Op) {
        match op {
            Op::Raise { by, raises } => {
                let now = self.model.now + by;
                let answer = self.buffer.raise_many(now, raises);
                assert_eq!(self.model.raise_many(now, raises), answer);
                if answer.is_ok() {
                    for raise in raises {
                        note(&mut self.wanted, raise);
                    }
                }
            }
            Op::Take { by, rows_max } => self.take(self.model.now + by, *rows_max),
            Op::Confirm => {
                if let Some((id, items)) = self.any_batch() {
                    assert_eq!(Ok(items.len()), self.buffer.confirm(id));
                    for item in &items {
                        note(&mut self.written, &item.raise);
                    }
                    assert_eq!(
                        Err(BufferError::UnknownBatch { id }),
                        self.buffer.restore(id)
                    );
                }
            }
            Op::Restore => {
                if let Some((id, items)) = self.any_batch() {
                    assert_eq!(Ok(items.len()), self.buffer.restore(id));
                    self.model.restore(items);
                }
            }
            Op::DiscardJob(job) => {
                let count = self.model.discard(|raise| raise.job == *job);
                assert_eq!(count, self.buffer.discard_job(*job));
                self.wanted.retain(|key, _| key.1 % 3 != *job);
            }
            Op::DiscardDomains(domains) => {
                let count = self.model.discard(|raise| domains.contains(&raise.domain));
                assert_eq!(count, self.buffer.discard_domains(domains));
                self.wanted.retain(|key, _| !domains.contains(&key.0));
            }
            Op::Drain => {
                self.buffer.drain();
                self.model.is_draining = true;
            }
        }
        assert_eq!(Ok(()), self.buffer.validate());
        assert_eq!(self.model.len(), self.buffer.len());
        assert_eq!(self.model.taken(), self.buffer.taken());
        assert_eq!(self.model.next_deadline(), self.buffer.next_deadline());
    }

    fn take(&mut self, now: i64, rows_max: usize) {
        let mut rows = Vec::new();
        let batch = self.buffer.take_due(now, rows_max, &mut rows);
        let (items, oldest_ms, cause) = self.model.take_due(now, rows_max);
        let expected: Vec<Raise> = items.iter().map(|item| item.raise).collect();
        assert_eq!(expected, rows);
        if let Some(batch) = batch {
            assert_eq!((cause, oldest_ms), (batch.cause, batch.oldest_ms));
            self.model.batches.insert(batch.id, items);
        } else {
            assert!(items.is_empty());
        }
        if rows.len() < rows_max {
            let next = self.buffer.next_deadline();
            assert!(next.is_none_or(|next| next > self.model.now), "{next:?}");
        }
    }

    fn any_batch(&mut self) -> Option<(u64, Vec<Item>)> {
        let id = *self.model.batches.keys().min()?;
        Some((id, self.model.batches.remove(&id)?))
    }
}

fn note(highest: &mut HashMap<(i64, i64), f64>, raise: &Raise) {
    let priority = highest
        .entry((raise.domain, raise.task))
        .or_insert(f64::NEG_INFINITY);
    *priority = priority.max(raise.priority);
}

/// Few tasks and few jobs, so that raises meet; one task id in several domains.
fn raises() -> impl Strategy<Value = Raise> {
    let priorities = select(vec![0.1, 0.39, 0.4, 0.6561, 0.7, 0.8, 0.9, 1.0, -1.0]);
    (0_i64..3, 0_i64..6, priorities).prop_map(|(domain, task, priority)| Raise {
        domain,
        task,
        job: task % 3,
        priority,
    })
}

fn ops() -> impl Strategy<Value = Op> {
    let steps = || prop_oneof![4 => 0_i64..3, 4 => 0_i64..35, 1 => 60_i64..70, 1 => -5_i64..0];
    prop_oneof![
        8 => (steps(), prop::collection::vec(raises(), 0..6))
            .prop_map(|(by, raises)| Op::Raise { by, raises }),
        6 => (steps(), select(vec![1, 2, 100]))
            .prop_map(|(by, rows_max)| Op::Take { by, rows_max }),
        3 => Just(Op::Confirm),
        3 => Just(Op::Restore),
        1 => (0_i64..3).prop_map(Op::DiscardJob),
        1 => prop::collection::vec(0_i64..3, 0..3).prop_map(Op::DiscardDomains),
        1 => Just(Op::Drain),
    ]
}

proptest! {
    #[test]
    fn the_buffer_does_what_plain_vectors_do_and_loses_nothing(
        capacity in prop_oneof![1 => 1_usize..6, 3 => Just(64)],
        soft_mark in prop_oneof![1 => 1_usize..6, 3 => Just(64)],
        ops in prop::collection::vec(ops(), 1..80),
    ) {
        let mut pair = Pair::new(capacity, soft_mark);
        for op in &ops {
            pair.apply(op);
        }
        while pair.buffer.taken() > 0 {
            pair.apply(&Op::Restore);
        }
        pair.apply(&Op::Drain);
        while !pair.buffer.is_empty() || pair.buffer.taken() > 0 {
            pair.apply(&Op::Take { by: 0, rows_max: 100 });
            pair.apply(&Op::Confirm);
        }
        for (key, priority) in &pair.wanted {
            assert!(pair.written[key] >= *priority, "{key:?} was not raised to {priority}");
        }
    }
}
