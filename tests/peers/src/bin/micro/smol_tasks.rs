//! smol's tasks on the executor of one thread.

use std::hint::black_box;

use peers::bench::{
    MUTEX, PING_PONG, Runner, SPAWN_AND_JOIN, SPAWN_MANY, YIELD, YIELDING_TASKS, YIELDS_PER_TASK,
};
use smol::LocalExecutor;
use smol::channel;
use smol::future::yield_now;
use smol::lock::Mutex;

use crate::timers;

/// Runs all benchmarks.
pub(crate) fn run(runner: Runner) {
    let executor = LocalExecutor::new();
    // The `block_on` without a reactor: there is no I/O to poll for.
    smol::future::block_on(executor.run(async {
        yields(runner, &executor).await;
        spawn_and_join(runner, &executor).await;
        spawn_many(runner, &executor).await;
        ping_pong(runner, &executor).await;
        mutex(runner).await;
    }));
    timers::smol_timers::run(runner);
}

async fn yields(runner: Runner, executor: &LocalExecutor<'_>) {
    let mut batches = runner.start(YIELD);
    let mut tasks = Vec::new();
    while batches.another() {
        tasks.extend((0..YIELDING_TASKS).map(|_| {
            executor.spawn(async {
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

async fn spawn_and_join(runner: Runner, executor: &LocalExecutor<'_>) {
    let mut batches = runner.start(SPAWN_AND_JOIN);
    while batches.another() {
        for _ in 0..SPAWN_AND_JOIN.operations {
            executor.spawn(async {}).await;
        }
    }
}

async fn spawn_many(runner: Runner, executor: &LocalExecutor<'_>) {
    let mut batches = runner.start(SPAWN_MANY);
    let mut tasks = Vec::new();
    while batches.another() {
        tasks.extend((0..SPAWN_MANY.operations).map(|_| executor.spawn(async {})));
        for task in tasks.drain(..) {
            task.await;
        }
    }
}

async fn ping_pong(runner: Runner, executor: &LocalExecutor<'_>) {
    let (ping, pings) = channel::bounded(1);
    let (pong, pongs) = channel::bounded(1);
    executor
        .spawn(async move {
            while let Ok(message) = pings.recv().await {
                if pong.send(message).await.is_err() {
                    break;
                }
            }
        })
        .detach();
    let mut batches = runner.start(PING_PONG);
    while batches.another() {
        for message in 0..PING_PONG.operations {
            ping.send(message).await.expect("the other task listens");
            pongs.recv().await.expect("the other task answers");
        }
    }
}

async fn mutex(runner: Runner) {
    let mutex = Mutex::new(0_u64);
    let mut batches = runner.start(MUTEX);
    while batches.another() {
        for _ in 0..MUTEX.operations {
            *black_box(&mutex).lock().await += 1;
        }
    }
}
