//! tokio's tasks on the current-thread runtime.
//!
//! `tokio::spawn` rather than `spawn_local` on a `LocalSet`: the set would be one more queue inside the runtime's.

use std::hint::black_box;

use peers::bench::{
    MUTEX, PING_PONG, Runner, SPAWN_AND_JOIN, SPAWN_MANY, YIELD, YIELDING_TASKS, YIELDS_PER_TASK,
};
use tokio::runtime::Builder;
use tokio::sync::{Mutex, mpsc};
use tokio::task::yield_now;

use crate::timers;

/// Runs all benchmarks.
pub(crate) fn run(runner: Runner) {
    // Without the drivers of I/O and time, which a turn would ask for events.
    let runtime = Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers asks the system for nothing");
    runtime.block_on(async {
        yields(runner).await;
        spawn_and_join(runner).await;
        spawn_many(runner).await;
        ping_pong(runner).await;
        mutex(runner).await;
    });
    timers::tokio_timers::run(runner);
}

async fn yields(runner: Runner) {
    let mut batches = runner.start(YIELD);
    let mut tasks = Vec::new();
    while batches.another() {
        tasks.extend((0..YIELDING_TASKS).map(|_| {
            tokio::spawn(async {
                for _ in 0..YIELDS_PER_TASK {
                    yield_now().await;
                }
            })
        }));
        for task in tasks.drain(..) {
            task.await.expect("the task does not panic");
        }
    }
}

async fn spawn_and_join(runner: Runner) {
    let mut batches = runner.start(SPAWN_AND_JOIN);
    while batches.another() {
        for _ in 0..SPAWN_AND_JOIN.operations {
            tokio::spawn(async {})
                .await
                .expect("the task does not panic");
        }
    }
}

async fn spawn_many(runner: Runner) {
    let mut batches = runner.start(SPAWN_MANY);
    let mut tasks = Vec::new();
    while batches.another() {
        tasks.extend((0..SPAWN_MANY.operations).map(|_| tokio::spawn(async {})));
        for task in tasks.drain(..) {
            task.await.expect("the task does not panic");
        }
    }
}

/// Over unbounded channels, tokio's faster kind: the bounded one keeps count in a semaphore, and here no more than one message
/// is ever under way.
async fn ping_pong(runner: Runner) {
    let (ping, mut pings) = mpsc::unbounded_channel();
    let (pong, mut pongs) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Some(message) = pings.recv().await {
            if pong.send(message).is_err() {
                break;
            }
        }
    });
    let mut batches = runner.start(PING_PONG);
    while batches.another() {
        for message in 0..PING_PONG.operations {
            ping.send(message).expect("the other task listens");
            pongs.recv().await.expect("the other task answers");
        }
    }
}

/// tokio's own mutex, which may be held across an await as a fiber's may across a switch.
async fn mutex(runner: Runner) {
    let mutex = Mutex::new(0_u64);
    let mut batches = runner.start(MUTEX);
    while batches.another() {
        for _ in 0..MUTEX.operations {
            *black_box(&mutex).lock().await += 1;
        }
    }
}
