//! smol's tasks on the executor of one thread.

use std::io;

use peers::bench::distant;
use smol::channel::bounded;
use smol::future::yield_now;
use smol::{LocalExecutor, Timer};

use crate::stages::{Crowd, all_wait, note_waiting};

/// Runs a crowd: receivers of channels for one message, as smol has no smaller ones, and sleepers that are cancelled.
pub(crate) fn run(count: u64) -> io::Result<()> {
    let mut crowd = Crowd::new("smol", count)?;
    let executor = LocalExecutor::new();
    smol::block_on(executor.run(async {
        let (mut senders, mut receivers, mut sleepers) = (Vec::new(), Vec::new(), Vec::new());
        for number in 0..count {
            if number % 2 == 0 {
                let (sender, receiver) = bounded(1);
                senders.push(sender);
                receivers.push(executor.spawn(async move {
                    note_waiting();
                    receiver.recv().await.expect("a message comes")
                }));
            } else {
                sleepers.push(executor.spawn(async move {
                    note_waiting();
                    Timer::after(distant(number)).await;
                }));
            }
        }
        while !all_wait(count) {
            yield_now().await;
        }
        crowd.note_all_wait()?;

        for (sender, message) in senders.into_iter().zip(0_u64..) {
            sender.send(message).await.expect("the receiver waits");
        }
        for (receiver, message) in receivers.into_iter().zip(0..) {
            assert_eq!(receiver.await, message);
        }
        for sleeper in sleepers {
            assert!(sleeper.cancel().await.is_none(), "it sleeps");
        }
        crowd.note_all_ended()
    }))
}
