//! tokio's channels between two threads that have a current-thread runtime each: senders on one, receivers on the other, as
//! with kapok's hubs.

use std::thread;

use flume::bounded;
use peers::bench::{BOUNDED, CHANNEL_BOUND, MANY, MANY_TO_MANY, MESSAGES, Runner, UNBOUNDED};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::tokio_tasks::{receive, receive_unbounded, send, send_unbounded};
use crate::with_flume;

/// Runs all benchmarks.
pub(crate) fn run(runner: Runner) {
    let mut batches = runner.start(BOUNDED);
    while batches.another() {
        let (sender, receiver) = mpsc::channel(CHANNEL_BOUND);
        exchange(
            |runtime| runtime.block_on(send(sender, MESSAGES)),
            |runtime| runtime.block_on(receive(receiver)),
        );
    }
    let mut batches = runner.start(UNBOUNDED);
    while batches.another() {
        let (sender, receiver) = mpsc::unbounded_channel();
        exchange(
            move |_| send_unbounded(&sender),
            |runtime| runtime.block_on(receive_unbounded(receiver)),
        );
    }
    let mut batches = runner.start(MANY_TO_MANY);
    while batches.another() {
        let (sender, receiver) = bounded(CHANNEL_BOUND);
        exchange(
            |runtime| {
                let sends = (0..MANY).map(|_| with_flume::send(sender.clone(), MESSAGES / MANY));
                join_all(&runtime, sends);
                drop(sender);
            },
            |runtime| {
                let receives = (0..MANY).map(|_| with_flume::receive(receiver.clone()));
                join_all(&runtime, receives).into_iter().sum()
            },
        );
    }
}

/// Runs both ends of one batch, the receivers' on this thread.
fn exchange(send: impl FnOnce(Runtime) + Send, receive: impl FnOnce(Runtime) -> u64) {
    thread::scope(|scope| {
        scope.spawn(|| send(runtime()));
        assert_eq!(receive(runtime()), MESSAGES);
    });
}

/// Runs each future as a task, as one alone would be polled whichever of them was woken.
fn join_all<F>(runtime: &Runtime, futures: impl Iterator<Item = F>) -> Vec<F::Output>
where
    F: Future<Output: Send> + Send + 'static,
{
    runtime.block_on(async { futures.collect::<JoinSet<_>>().join_all().await })
}

/// Without the drivers of I/O and time; a wake from another thread then is a condition variable's.
fn runtime() -> Runtime {
    Builder::new_current_thread()
        .build()
        .expect("a runtime without drivers asks the system for nothing")
}
