//! may's channels between coroutines on two workers. They are unbounded, and its channel for several receivers is too, so it
//! has no row of a bounded one.

use may::go;
use may::sync::mpsc;
use peers::bench::{MESSAGES, Runner, UNBOUNDED};

/// Runs the benchmark that may has a channel for.
pub(crate) fn run(runner: Runner) {
    may::config().set_workers(2).set_worker_pin(false);
    let mut batches = runner.start(UNBOUNDED);
    while batches.another() {
        let (sender, receiver) = mpsc::channel();
        let receiving = go!(move || receiver.iter().count() as u64);
        let sending = go!(move || {
            for message in 0..MESSAGES {
                sender.send(message).expect("somebody receives");
            }
        });
        sending.join().expect("it only sends");
        let count = receiving.join().expect("it only receives");
        assert_eq!(count, MESSAGES);
    }
}
