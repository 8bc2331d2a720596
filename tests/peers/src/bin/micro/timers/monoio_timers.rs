//! monoio's timers: tokio's wheel, without locks. Its tasks cannot be cancelled.

use std::pin::Pin;

use monoio::time::{Sleep, sleep, timeout};
use monoio::{LegacyDriver, RuntimeBuilder};
use peers::bench::{Runner, TIMEOUT_OF_READY, TIMEOUT_OF_YIELD, TIMERS, distant};

use super::LIMIT;
use crate::monoio_tasks::yield_now;

/// Runs the benchmarks of timers, on a runtime that has them.
pub(crate) fn run(runner: Runner) {
    let mut runtime = RuntimeBuilder::<LegacyDriver>::new()
        .enable_timer()
        .build()
        .expect("epoll is there");
    runtime.block_on(async {
        timeouts_of_ready(runner).await;
        timeouts_of_yields(runner).await;
        timers(runner).await;
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
