//! smol's timers: an ordered map that belongs to the process's one reactor.

use std::cell::Cell;

use peers::bench::{Runner, SLEEPERS, TIMEOUT_OF_READY, TIMEOUT_OF_YIELD, TIMERS, distant};
use smol::future::{or, poll_once, yield_now};
use smol::{LocalExecutor, Timer};

use super::LIMIT;

/// Runs the benchmarks of timers, on the `block_on` that serves the reactor by itself.
pub(crate) fn run(runner: Runner) {
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        timeouts_of_ready(runner).await;
        timeouts_of_yields(runner).await;
        timers(runner).await;
        sleepers(runner, &executor).await;
    }));
}

/// smol has no call for it; this is what its documentation shows. The timer is never polled, thus never set.
async fn timeouts_of_ready(runner: Runner) {
    let mut batches = runner.start(TIMEOUT_OF_READY);
    while batches.another() {
        for _ in 0..TIMEOUT_OF_READY.operations {
            or(async { true }, expiry()).await;
        }
    }
}

async fn timeouts_of_yields(runner: Runner) {
    let mut batches = runner.start(TIMEOUT_OF_YIELD);
    while batches.another() {
        for _ in 0..TIMEOUT_OF_YIELD.operations {
            let operation = async {
                yield_now().await;
                true
            };
            assert!(or(operation, expiry()).await, "an hour is enough");
        }
    }
}

async fn expiry() -> bool {
    Timer::after(LIMIT).await;
    false
}

/// A timer is registered when it is first polled.
async fn timers(runner: Runner) {
    let mut batches = runner.start(TIMERS);
    let mut timers = Vec::new();
    while batches.another() {
        for number in 0..TIMERS.operations {
            let mut timer = Timer::after(distant(number));
            let passed = poll_once(&mut timer).await;
            assert!(passed.is_none(), "an hour has not passed");
            timers.push(timer);
        }
        timers.clear();
    }
}

async fn sleepers(runner: Runner, executor: &LocalExecutor<'_>) {
    let asleep = &*Box::leak(Box::new(Cell::new(0)));
    let mut batches = runner.start(SLEEPERS);
    let mut tasks = Vec::new();
    while batches.another() {
        asleep.set(0);
        tasks.extend((0..SLEEPERS.operations).map(|number| {
            executor.spawn(async move {
                asleep.set(asleep.get() + 1);
                Timer::after(distant(number)).await;
            })
        }));
        while asleep.get() < SLEEPERS.operations {
            yield_now().await;
        }
        for task in tasks.drain(..) {
            assert!(task.cancel().await.is_none(), "it sleeps");
        }
    }
}
