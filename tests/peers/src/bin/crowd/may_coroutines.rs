//! may's coroutines on one worker.

use std::io;
use std::thread;
use std::time::Duration;

use may::go;
use may::sync::mpsc;
use peers::bench::distant;

use crate::stages::{Crowd, all_wait, note_waiting};

/// Runs a crowd. To cancel a coroutine is `unsafe` in may, so its sleepers are receivers with a timeout whose sender is dropped.
pub(crate) fn run(count: u64) -> io::Result<()> {
    let mut crowd = Crowd::new("may", count)?;
    may::config().set_workers(1).set_worker_pin(false);
    let (mut senders, mut receivers) = (Vec::new(), Vec::new());
    let (mut sleepers_senders, mut sleepers) = (Vec::new(), Vec::new());
    for number in 0..count {
        let (sender, receiver) = mpsc::channel::<u64>();
        if number % 2 == 0 {
            senders.push(sender);
            receivers.push(go!(move || {
                note_waiting();
                receiver.recv().expect("a message comes")
            }));
        } else {
            sleepers_senders.push(sender);
            sleepers.push(go!(move || {
                note_waiting();
                receiver.recv_timeout(distant(number)).is_err()
            }));
        }
    }
    while !all_wait(count) {
        thread::sleep(Duration::from_millis(1));
    }
    crowd.note_all_wait()?;

    for (sender, message) in senders.into_iter().zip(0_u64..) {
        sender.send(message).expect("the receiver waits");
    }
    drop(sleepers_senders);
    for (receiver, message) in receivers.into_iter().zip(0..) {
        assert_eq!(receiver.join().expect("it only receives"), message);
    }
    for sleeper in sleepers {
        assert!(sleeper.join().expect("it only sleeps"));
    }
    crowd.note_all_ended()
}
