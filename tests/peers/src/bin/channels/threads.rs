//! Channels of plain threads, a thread for each end.

use std::sync::mpsc;
use std::thread;

use peers::bench::{
    BOUNDED, Benchmark, CHANNEL_BOUND, MANY, MANY_TO_MANY, MESSAGES, Runner, UNBOUNDED,
};

/// Runs the benchmarks with crossbeam-channel.
pub(crate) fn run_crossbeam(runner: Runner) {
    use crossbeam_channel::{Receiver, Sender, bounded, unbounded};
    let send = |sender: &Sender<u64>, message| sender.send(message).is_ok();
    let receive = |receiver: &Receiver<u64>| receiver.recv().ok();
    one_to_one(runner, BOUNDED, || bounded(CHANNEL_BOUND), send, receive);
    one_to_one(runner, UNBOUNDED, unbounded, send, receive);
    many_to_many(runner, || bounded(CHANNEL_BOUND), send, receive);
}

/// Runs the benchmarks with flume.
pub(crate) fn run_flume(runner: Runner) {
    use flume::{Receiver, Sender, bounded, unbounded};
    let send = |sender: &Sender<u64>, message| sender.send(message).is_ok();
    let receive = |receiver: &Receiver<u64>| receiver.recv().ok();
    one_to_one(runner, BOUNDED, || bounded(CHANNEL_BOUND), send, receive);
    one_to_one(runner, UNBOUNDED, unbounded, send, receive);
    many_to_many(runner, || bounded(CHANNEL_BOUND), send, receive);
}

/// Runs the benchmarks with std's channels, of which the stable ones have a single receiver.
pub(crate) fn run_std(runner: Runner) {
    let receive = |receiver: &mpsc::Receiver<u64>| receiver.recv().ok();
    one_to_one(
        runner,
        BOUNDED,
        || mpsc::sync_channel(CHANNEL_BOUND),
        |sender: &mpsc::SyncSender<u64>, message| sender.send(message).is_ok(),
        receive,
    );
    one_to_one(
        runner,
        UNBOUNDED,
        mpsc::channel,
        |sender: &mpsc::Sender<u64>, message| sender.send(message).is_ok(),
        receive,
    );
}

fn one_to_one<S: Send, R: Send>(
    runner: Runner,
    benchmark: Benchmark,
    channel: impl Fn() -> (S, R),
    send: impl Fn(&S, u64) -> bool + Copy + Send,
    receive: impl Fn(&R) -> Option<u64> + Copy + Send,
) {
    let mut batches = runner.start(benchmark);
    while batches.another() {
        let (sender, receiver) = channel();
        exchange(vec![sender], vec![receiver], send, receive);
    }
}

fn many_to_many<S: Clone + Send, R: Clone + Send>(
    runner: Runner,
    channel: impl Fn() -> (S, R),
    send: impl Fn(&S, u64) -> bool + Copy + Send,
    receive: impl Fn(&R) -> Option<u64> + Copy + Send,
) {
    let mut batches = runner.start(MANY_TO_MANY);
    while batches.another() {
        let (sender, receiver) = channel();
        let (senders, receivers) = (
            (0..MANY).map(|_| sender.clone()),
            (0..MANY).map(|_| receiver.clone()),
        );
        let (senders, receivers) = (senders.collect(), receivers.collect());
        drop((sender, receiver));
        exchange(senders, receivers, send, receive);
    }
}

/// Sends one batch, spread over all senders. They are dropped when they have sent theirs, which ends the receivers.
fn exchange<S: Send, R: Send>(
    senders: Vec<S>,
    receivers: Vec<R>,
    send: impl Fn(&S, u64) -> bool + Copy + Send,
    receive: impl Fn(&R) -> Option<u64> + Copy + Send,
) {
    let share = MESSAGES / senders.len() as u64;
    let received: u64 = thread::scope(|scope| {
        let receivers: Vec<_> = receivers
            .into_iter()
            .map(|receiver| {
                scope.spawn(move || {
                    let mut count = 0;
                    while receive(&receiver).is_some() {
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        for sender in senders {
            scope.spawn(move || {
                for message in 0..share {
                    assert!(send(&sender, message), "somebody receives");
                }
            });
        }
        let counts = receivers.into_iter().map(thread::ScopedJoinHandle::join);
        counts.map(|count| count.expect("it only receives")).sum()
    });
    assert_eq!(received, MESSAGES);
}
