//! Channels between two hubs: messages a second, and the processor time of one, senders on one hub and receivers on the other.
//!
//! Run with `cargo bench -p kapok-runtime --bench channels`. A first batch of each does not count.

#[path = "support/clocks.rs"]
mod clocks;

use std::time::Duration;

use clocks::Clocks;
use kapok_runtime::sync::channel::{self, Receiver, Sender};
use kapok_runtime::{HubHandle, Hubs, HubsConfig, sleep};

const BOUND: usize = 1024;
const MESSAGES: u64 = 1_000_000;
const BATCHES: u32 = 5;

fn main() {
    // A hub whose main function and fibers have ended would end as well.
    let running = Hubs::new(HubsConfig::new().count(2))
        .start(|_| {
            sleep(Duration::MAX);
            Ok(())
        })
        .expect("two threads can be started");
    let hubs = running.hubs();
    let bounded = || channel::bounded(BOUND);
    measure("kapok bounded(1024), 1 to 1", &hubs, 1, bounded);
    measure("kapok unbounded, 1 to 1", &hubs, 1, channel::unbounded);
    measure("kapok bounded(1024), 4 to 4", &hubs, 4, bounded);
    running.stop(Duration::ZERO);
    running.join().expect("the hubs only wait");
}

fn measure(
    name: &str,
    hubs: &[HubHandle],
    many: u64,
    channel: impl Fn() -> (Sender<u64>, Receiver<u64>),
) {
    batch(hubs, many, channel());
    let clocks = Clocks::start();
    for _ in 0..BATCHES {
        batch(hubs, many, channel());
    }
    let messages = (u64::from(BATCHES) * MESSAGES) as f64;
    report(name, messages / clocks.seconds(), "messages/s");
    if let Some(seconds) = clocks.processor_seconds() {
        let name = format!("{name}, processor time");
        report(&name, seconds * 1e9 / messages, "ns");
    }
}

/// Sends one batch from `many` fibers of the first hub to as many of the second.
fn batch(hubs: &[HubHandle], many: u64, channel: (Sender<u64>, Receiver<u64>)) {
    let (sender, receiver) = channel;
    let receivers: Vec<_> = (0..many)
        .map(|_| {
            let receiver = receiver.clone();
            hubs[1].spawn(move || receiver.iter().count() as u64)
        })
        .collect();
    for _ in 0..many {
        let sender = sender.clone();
        drop(hubs[0].spawn(move || {
            for message in 0..MESSAGES / many {
                sender.send(message).expect("somebody receives");
            }
        }));
    }
    drop((sender, receiver));
    let counts = receivers.into_iter().map(|receiver| receiver.join());
    let count: u64 = counts.map(|count| count.expect("only receives")).sum();
    assert_eq!(count, MESSAGES);
}

#[expect(clippy::print_stdout, reason = "a benchmark's output")]
fn report(name: &str, value: f64, unit: &str) {
    println!("{name}: {value:.1} {unit}");
}
