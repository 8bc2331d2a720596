//! The process's hubs, for those who ask all of them.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

use super::remote::Remote;

static OPEN: Mutex<Registry> = Mutex::new(Registry {
    hubs: Vec::new(),
    next_number: 0,
});

struct Registry {
    hubs: Vec<OpenHub>,
    next_number: u64,
}

/// A hub that can be sent messages. It may have ended since.
#[derive(Clone, Debug)]
pub(crate) struct OpenHub {
    /// In the order in which hubs were made; no number is used twice.
    pub(crate) number: u64,
    pub(crate) thread: Thread,
    pub(crate) remote: &'static Remote,
    pub(crate) epoch: u64,
}

/// All hubs that are open now.
pub(crate) fn open_hubs() -> Vec<OpenHub> {
    registry().hubs.clone()
}

/// This thread has made a hub.
pub(super) fn enter(remote: &'static Remote, epoch: u64) {
    let mut registry = registry();
    let number = registry.next_number;
    registry.next_number += 1;
    registry.hubs.push(OpenHub {
        number,
        thread: std::thread::current(),
        remote,
        epoch,
    });
}

/// The hub takes no messages any more.
pub(super) fn leave(remote: &Remote) {
    registry()
        .hubs
        .retain(|hub| !std::ptr::eq(hub.remote, remote));
}

fn registry() -> MutexGuard<'static, Registry> {
    // Nothing under the lock panics half-way.
    OPEN.lock().unwrap_or_else(PoisonError::into_inner)
}
