//! The two ends of a flume channel as futures, for tokio, whose own channels have one receiver. async-channel, which others take
//! for this, was a fifth slower here.

use flume::{Receiver, Sender};

/// Sends `count` messages.
pub(crate) async fn send(sender: Sender<u64>, count: u64) {
    for message in 0..count {
        let sent = sender.send_async(message).await;
        sent.expect("somebody receives");
    }
}

/// Receives until all senders are gone; returns how many messages that were.
pub(crate) async fn receive(receiver: Receiver<u64>) -> u64 {
    let mut count = 0;
    while receiver.recv_async().await.is_ok() {
        count += 1;
    }
    count
}
