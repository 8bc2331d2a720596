//! smol's channels between tasks of an executor that two threads run.

use std::thread;

use peers::bench::{
    BOUNDED, Benchmark, CHANNEL_BOUND, MANY, MANY_TO_MANY, MESSAGES, Runner, UNBOUNDED,
};
use smol::channel::{Receiver, Sender, bounded, unbounded};
use smol::future::block_on;
use smol::{Executor, Task};

/// Runs all benchmarks.
pub(crate) fn run(runner: Runner) {
    let executor = Executor::new();
    // Dropping the one end stops the threads.
    let (running, stopped) = bounded::<()>(1);
    thread::scope(|scope| {
        for _ in 0..2 {
            // The `block_on` without a reactor: there is no I/O to poll for.
            scope.spawn(|| block_on(executor.run(stopped.recv())));
        }
        measure(runner, BOUNDED, &executor, 1, || bounded(CHANNEL_BOUND));
        measure(runner, UNBOUNDED, &executor, 1, unbounded);
        measure(runner, MANY_TO_MANY, &executor, MANY, || {
            bounded(CHANNEL_BOUND)
        });
        drop(running);
    });
}

/// Measures with `many` senders and as many receivers.
fn measure(
    runner: Runner,
    benchmark: Benchmark,
    executor: &Executor<'_>,
    many: u64,
    channel: impl Fn() -> (Sender<u64>, Receiver<u64>),
) {
    let mut batches = runner.start(benchmark);
    while batches.another() {
        let (sender, receiver) = channel();
        let receivers: Vec<Task<u64>> = (0..many)
            .map(|_| executor.spawn(receive(receiver.clone())))
            .collect();
        for _ in 0..many {
            executor
                .spawn(send(sender.clone(), MESSAGES / many))
                .detach();
        }
        drop((sender, receiver));
        let count: u64 = receivers.into_iter().map(block_on).sum();
        assert_eq!(count, MESSAGES);
    }
}

async fn send(sender: Sender<u64>, count: u64) {
    for message in 0..count {
        sender.send(message).await.expect("somebody receives");
    }
}

async fn receive(receiver: Receiver<u64>) -> u64 {
    let mut count = 0;
    while receiver.recv().await.is_ok() {
        count += 1;
    }
    count
}
