//! monoio's tasks. It has neither channels nor locks of its own.

use std::future::poll_fn;
use std::task::Poll;

use monoio::{LegacyDriver, RuntimeBuilder};
use peers::bench::{Runner, SPAWN_AND_JOIN, SPAWN_MANY, YIELD, YIELDING_TASKS, YIELDS_PER_TASK};

use crate::timers;

/// Runs the benchmarks of tasks.
pub(crate) fn run(runner: Runner) {
    // The driver that runs everywhere; without I/O neither of the two is asked for anything but events.
    let mut runtime = RuntimeBuilder::<LegacyDriver>::new()
        .build()
        .expect("epoll is there");
    runtime.block_on(async {
        yields(runner).await;
        spawn_and_join(runner).await;
        spawn_many(runner).await;
    });
    timers::monoio_timers::run(runner);
}

async fn yields(runner: Runner) {
    let mut batches = runner.start(YIELD);
    let mut tasks = Vec::new();
    while batches.another() {
        tasks.extend((0..YIELDING_TASKS).map(|_| {
            monoio::spawn(async {
                for _ in 0..YIELDS_PER_TASK {
                    yield_now().await;
                }
            })
        }));
        for task in tasks.drain(..) {
            task.await;
        }
    }
}

/// What other runtimes call by this name: to the end of the queue and back.
pub(crate) async fn yield_now() {
    let mut yielded = false;
    poll_fn(|context| {
        if yielded {
            return Poll::Ready(());
        }
        yielded = true;
        context.waker().wake_by_ref();
        Poll::Pending
    })
    .await;
}

async fn spawn_and_join(runner: Runner) {
    let mut batches = runner.start(SPAWN_AND_JOIN);
    while batches.another() {
        for _ in 0..SPAWN_AND_JOIN.operations {
            monoio::spawn(async {}).await;
        }
    }
}

async fn spawn_many(runner: Runner) {
    let mut batches = runner.start(SPAWN_MANY);
    let mut tasks = Vec::new();
    while batches.another() {
        tasks.extend((0..SPAWN_MANY.operations).map(|_| monoio::spawn(async {})));
        for task in tasks.drain(..) {
            task.await;
        }
    }
}
