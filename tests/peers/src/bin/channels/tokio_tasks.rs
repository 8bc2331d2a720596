//! tokio's channels between tasks of its multi-thread runtime, which may put both ends on one of its two threads.

use flume::bounded;
use peers::bench::{BOUNDED, CHANNEL_BOUND, MANY, MANY_TO_MANY, MESSAGES, Runner, UNBOUNDED};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;

use crate::with_flume;

/// Runs all benchmarks.
pub(crate) fn run(runner: Runner) {
    // Without the drivers of I/O and time. The thread that calls block_on only waits.
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .build()
        .expect("two threads can be started");
    bounded_one_to_one(runner, &runtime);
    unbounded_one_to_one(runner, &runtime);
    many_to_many(runner, &runtime);
}

fn bounded_one_to_one(runner: Runner, runtime: &Runtime) {
    let mut batches = runner.start(BOUNDED);
    while batches.another() {
        let (sender, receiver) = mpsc::channel(CHANNEL_BOUND);
        let received = runtime.spawn(receive(receiver));
        runtime.spawn(send(sender, MESSAGES));
        let count = runtime.block_on(received).expect("it only receives");
        assert_eq!(count, MESSAGES);
    }
}

fn unbounded_one_to_one(runner: Runner, runtime: &Runtime) {
    let mut batches = runner.start(UNBOUNDED);
    while batches.another() {
        let (sender, receiver) = mpsc::unbounded_channel();
        let received = runtime.spawn(receive_unbounded(receiver));
        runtime.spawn(async move { send_unbounded(&sender) });
        let count = runtime.block_on(received).expect("it only receives");
        assert_eq!(count, MESSAGES);
    }
}

/// tokio has no channel with several receivers that share the messages.
fn many_to_many(runner: Runner, runtime: &Runtime) {
    let mut batches = runner.start(MANY_TO_MANY);
    while batches.another() {
        let (sender, receiver) = bounded(CHANNEL_BOUND);
        let receivers: Vec<_> = (0..MANY)
            .map(|_| runtime.spawn(with_flume::receive(receiver.clone())))
            .collect();
        for _ in 0..MANY {
            runtime.spawn(with_flume::send(sender.clone(), MESSAGES / MANY));
        }
        drop((sender, receiver));
        let counts = receivers.into_iter().map(|each| runtime.block_on(each));
        let count: u64 = counts.map(|count| count.expect("it only receives")).sum();
        assert_eq!(count, MESSAGES);
    }
}

/// Sends `count` messages.
pub(crate) async fn send(sender: mpsc::Sender<u64>, count: u64) {
    for message in 0..count {
        sender.send(message).await.expect("somebody receives");
    }
}

/// Receives until the sender is gone; returns how many messages that were.
pub(crate) async fn receive(mut receiver: mpsc::Receiver<u64>) -> u64 {
    let mut count = 0;
    while receiver.recv().await.is_some() {
        count += 1;
    }
    count
}

/// Sends one batch; there is nothing to wait for.
pub(crate) fn send_unbounded(sender: &mpsc::UnboundedSender<u64>) {
    for message in 0..MESSAGES {
        sender.send(message).expect("somebody receives");
    }
}

/// Receives until the sender is gone; returns how many messages that were.
pub(crate) async fn receive_unbounded(mut receiver: mpsc::UnboundedReceiver<u64>) -> u64 {
    let mut count = 0;
    while receiver.recv().await.is_some() {
        count += 1;
    }
    count
}
