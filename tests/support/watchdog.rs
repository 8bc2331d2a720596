//! A limit for tests that may hang.

use std::process::abort;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

/// Aborts the test binary if it is not dropped within a minute: a test that hangs must not hang the suite.
pub struct Watchdog {
    _alive: Sender<()>,
}

impl Watchdog {
    pub fn new(name: &'static str) -> Self {
        Self::with_limit(name, Duration::from_secs(60))
    }

    pub fn with_limit(name: &'static str, limit: Duration) -> Self {
        let (alive, gone) = channel();
        std::thread::spawn(move || {
            if gone.recv_timeout(limit) == Err(RecvTimeoutError::Timeout) {
                eprintln!("{name} hangs: no end after {limit:?}");
                abort();
            }
        });
        Self { _alive: alive }
    }
}
