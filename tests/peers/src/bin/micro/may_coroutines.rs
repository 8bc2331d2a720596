//! may's coroutines on one worker.
//!
//! Its timers are not here: may has no limit for any operation, cancelling a coroutine is `unsafe`, and it cannot hold as many
//! sleepers as are asked for.

use std::hint::black_box;

use may::coroutine::yield_now;
use may::go;
use may::sync::{Mutex, mpsc};
use peers::bench::{
    MUTEX, PING_PONG, Runner, SPAWN_AND_JOIN, SPAWN_MANY, YIELD, YIELDING_TASKS, YIELDS_PER_TASK,
};

/// Runs all benchmarks, each from within a coroutine: from a thread, every spawn would cross threads.
pub(crate) fn run(runner: Runner) {
    // One worker, as every system here has one thread. The pool holds all stacks of the largest benchmark: with the default
    // of 1,000 most of them would be mapped and unmapped again in every batch.
    let pool_capacity = usize::try_from(SPAWN_MANY.operations).expect("it is a small number");
    may::config()
        .set_workers(1)
        .set_pool_capacity(pool_capacity)
        .set_worker_pin(false);
    go!(move || {
        yields(runner);
        spawn_and_join(runner);
        spawn_many(runner);
        ping_pong(runner);
        mutex(runner);
    })
    .join()
    .expect("the benchmarks do not panic");
}

fn yields(runner: Runner) {
    let mut batches = runner.start(YIELD);
    let mut coroutines = Vec::new();
    while batches.another() {
        coroutines.extend((0..YIELDING_TASKS).map(|_| {
            go!(|| {
                for _ in 0..YIELDS_PER_TASK {
                    yield_now();
                }
            })
        }));
        for coroutine in coroutines.drain(..) {
            coroutine.join().expect("the coroutine does not panic");
        }
    }
}

fn spawn_and_join(runner: Runner) {
    let mut batches = runner.start(SPAWN_AND_JOIN);
    while batches.another() {
        for _ in 0..SPAWN_AND_JOIN.operations {
            go!(|| {}).join().expect("the coroutine does not panic");
        }
    }
}

fn spawn_many(runner: Runner) {
    let mut batches = runner.start(SPAWN_MANY);
    let mut coroutines = Vec::new();
    while batches.another() {
        coroutines.extend((0..SPAWN_MANY.operations).map(|_| go!(|| {})));
        for coroutine in coroutines.drain(..) {
            coroutine.join().expect("the coroutine does not panic");
        }
    }
}

fn ping_pong(runner: Runner) {
    let (ping, pings) = mpsc::channel();
    let (pong, pongs) = mpsc::channel();
    go!(move || {
        while let Ok(message) = pings.recv() {
            if pong.send(message).is_err() {
                break;
            }
        }
    });
    let mut batches = runner.start(PING_PONG);
    while batches.another() {
        for message in 0..PING_PONG.operations {
            ping.send(message).expect("the other coroutine listens");
            pongs.recv().expect("the other coroutine answers");
        }
    }
}

fn mutex(runner: Runner) {
    let mutex = Mutex::new(0_u64);
    let mut batches = runner.start(MUTEX);
    while batches.another() {
        for _ in 0..MUTEX.operations {
            *black_box(&mutex).lock().expect("no panic poisons it") += 1;
        }
    }
}
