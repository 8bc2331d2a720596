//! tokio's tasks on the current-thread runtime.

use std::io;

use peers::bench::distant;
use tokio::sync::oneshot;
use tokio::task::yield_now;
use tokio::time::sleep;

use crate::stages::{Crowd, all_wait, note_waiting};

/// Runs a crowd: receivers of oneshots, tokio's smallest channel, and sleepers that are aborted.
pub(crate) fn run(count: u64) -> io::Result<()> {
    let mut crowd = Crowd::new("tokio", count)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()?;
    runtime.block_on(async {
        let (mut senders, mut receivers, mut sleepers) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..count {
            if number % 2 == 0 {
                let (sender, receiver) = oneshot::channel();
                senders.push(sender);
                receivers.push(tokio::spawn(async {
                    note_waiting();
                    receiver.await.expect("a message comes")
                }));
            } else {
                sleepers.push(tokio::spawn(async move {
                    note_waiting();
                    sleep(distant(number)).await;
                }));
            }
        }
        while !all_wait(count) {
            yield_now().await;
        }
        crowd.note_all_wait()?;

        for (sender, message) in senders.into_iter().zip(0_u64..) {
            sender.send(message).expect("the receiver waits");
        }
        sleepers.iter().for_each(tokio::task::JoinHandle::abort);
        for (receiver, message) in receivers.into_iter().zip(0..) {
            assert_eq!(receiver.await.expect("it only receives"), message);
        }
        for sleeper in sleepers {
            assert!(sleeper.await.is_err_and(|error| error.is_cancelled()));
        }
        crowd.note_all_ended()
    })
}
