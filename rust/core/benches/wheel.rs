//! The core without Python: schedule, cancel and advance per timer at a million live ones.
//!
//! `cargo bench --bench wheel`. Each measurement is a batch of 1,000 or what one tick expires.

#![allow(
    missing_docs,
    reason = "criterion's macros make functions without documentation"
)]

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use pacewheel_core::{Kind, TimerWheel};

const LIVE: i64 = 1_000_000;
const BATCH: i64 = 1_000;
const SPREAD_MS: i64 = 30_000;

/// A deadline offset that scatters ids over 30 s, the same in each run.
fn delay_of(id: i64) -> i64 {
    1 + id.wrapping_mul(2_654_435_761).rem_euclid(SPREAD_MS)
}

fn kind() -> Kind {
    Kind::new(0).expect("below four")
}

fn full_wheel() -> TimerWheel {
    let mut wheel = TimerWheel::new(0, 2_000_000).expect("in range");
    for id in 0..LIVE {
        wheel.schedule(kind(), id, delay_of(id)).expect("in reach");
    }
    wheel
}

fn schedule_and_cancel(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a million live");
    group.throughput(Throughput::Elements(BATCH.unsigned_abs()));
    let mut wheel = full_wheel();
    group.bench_function("schedule, then cancel", |bencher| {
        bencher.iter(|| {
            for id in LIVE..LIVE + BATCH {
                wheel.schedule(kind(), id, delay_of(id)).expect("in reach");
            }
            for id in LIVE..LIVE + BATCH {
                assert!(wheel.cancel(kind(), black_box(id)));
            }
        });
    });
    group.finish();
}

fn advance_and_schedule(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("a million live");
    let mut wheel = full_wheel();
    let (mut now, mut due) = (0, Vec::with_capacity(4096));
    group.throughput(Throughput::Elements((LIVE / SPREAD_MS).unsigned_abs()));
    group.bench_function("advance 1 ms, schedule what expired again", |bencher| {
        bencher.iter(|| {
            now += 1;
            due.clear();
            wheel.advance(now, 4096, &mut due);
            for timer in &due {
                wheel
                    .schedule(timer.kind, timer.id, now + SPREAD_MS)
                    .expect("in reach");
            }
        });
    });
    group.finish();
}

criterion_group!(benches, schedule_and_cancel, advance_and_schedule);
criterion_main!(benches);
