//! tokio's timers: a wheel of milliseconds that belongs to the runtime.

use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};

use peers::bench::{Runner, SLEEPERS, TIMEOUT_OF_READY, TIMEOUT_OF_YIELD, TIMERS, distant};
use tokio::runtime::Builder;
use tokio::task::yield_now;
use tokio::time::{Sleep, sleep, timeout};

use super::LIMIT;

/// Runs the benchmarks of timers, on a runtime that has the driver of time as well.
pub(crate) fn run(runner: Runner) {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("the driver of time asks the system for nothing");
    runtime.block_on(async {
        timeouts_of_ready(runner).await;
        timeouts_of_yields(runner).await;
        timers(runner).await;
        sleepers(runner).await;
    });
}

/// `timeout` looks at the operation first and sets its timer only if that has to wait.
async fn timeouts_of_ready(runner: Runner) {
    let mut batches = runner.start(TIMEOUT_OF_READY);
    while batches.another() {
        for _ in 0..TIMEOUT_OF_READY.operations {
            timeout(LIMIT, async {})
                .await
                .expect("nothing is waited for");
        }
    }
}

async fn timeouts_of_yields(runner: Runner) {
    let mut batches = runner.start(TIMEOUT_OF_YIELD);
    while batches.another() {
        for _ in 0..TIMEOUT_OF_YIELD.operations {
            timeout(LIMIT, yield_now())
                .await
                .expect("an hour is enough");
        }
    }
}

/// A timer is registered when it is first polled, and must stay where it is from then on: hence the boxes.
async fn timers(runner: Runner) {
    let mut batches = runner.start(TIMERS);
    let mut timers: Vec<Pin<Box<Sleep>>> = Vec::new();
    while batches.another() {
        for number in 0..TIMERS.operations {
            let mut timer = Box::pin(sleep(distant(number)));
            let passed = smol::future::poll_once(&mut timer).await;
            assert!(passed.is_none(), "an hour has not passed");
            timers.push(timer);
        }
        timers.clear();
    }
}

async fn sleepers(runner: Runner) {
    static ASLEEP: AtomicU64 = AtomicU64::new(0);
    let mut batches = runner.start(SLEEPERS);
    let mut tasks = Vec::new();
    while batches.another() {
        ASLEEP.store(0, Ordering::Relaxed);
        tasks.extend((0..SLEEPERS.operations).map(|number| {
            tokio::spawn(async move {
                ASLEEP.fetch_add(1, Ordering::Relaxed);
                sleep(distant(number)).await;
            })
        }));
        while ASLEEP.load(Ordering::Relaxed) < SLEEPERS.operations {
            yield_now().await;
        }
        tasks.iter().for_each(tokio::task::JoinHandle::abort);
        for task in tasks.drain(..) {
            let end = task.await;
            assert!(end.is_err_and(|error| error.is_cancelled()));
        }
    }
}
