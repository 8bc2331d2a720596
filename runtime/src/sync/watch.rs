//! A value that changes, and those who follow it.
//!
//! Readers see the newest value, not each one in between: for settings, states, the number of this or that.
//!
//! # Examples
//!
//! ```
//! use kapok::sync::watch;
//!
//! let (state, mut follower) = watch::channel("starting");
//! assert_eq!(*follower.get(), "starting");
//! let following = kapok::spawn(move || *follower.changed().unwrap());
//! state.send("ready").unwrap();
//! assert_eq!(following.join().unwrap(), "ready");
//! ```
//!
//! # Source
//!
//! tokio's `watch`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::channel::{RecvError, RecvTimeoutError, SendError};
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::wait_list::WaitList;
use crate::hub::waiting::{Deadline, Entry, Lock, wait};

struct State<T> {
    value: Arc<T>,
    /// Counts the values.
    version: u64,
    has_sender: bool,
    receiver_count: usize,
    receivers: WaitList<()>,
}

type Shared<T> = Arc<Lock<State<T>>>;

/// The value's owner, and one who follows it.
#[must_use]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Lock::new(State {
        value: Arc::new(value),
        version: 0,
        has_sender: true,
        receiver_count: 1,
        receivers: WaitList::new(),
    }));
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared, seen: 0 })
}

/// Sets the value.
pub struct Sender<T> {
    shared: Shared<T>,
}

impl<T> Sender<T> {
    /// Sets the value and wakes who waits for a change.
    ///
    /// # Errors
    ///
    /// The value, if nobody follows any more.
    pub fn send(&self, value: T) -> Result<(), SendError<T>> {
        let mut state = self.shared.lock();
        if state.receiver_count == 0 {
            return Err(SendError(value));
        }
        let old = std::mem::replace(&mut state.value, Arc::new(value));
        state.version += 1;
        state.receivers.grant_all();
        drop(state);
        // Its destructor is the user's.
        drop(old);
        Ok(())
    }

    /// The value as it is now.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.shared.lock().value)
    }

    /// One more who follows, and has seen the value as it is now.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        let mut state = self.shared.lock();
        state.receiver_count += 1;
        Receiver {
            shared: Arc::clone(&self.shared),
            seen: state.version,
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.has_sender = false;
        state.receivers.grant_all();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Follows the value. A clone has seen what its original has.
pub struct Receiver<T> {
    shared: Shared<T>,
    seen: u64,
}

impl<T> Receiver<T> {
    /// The value as it is now; it counts as seen.
    pub fn get(&mut self) -> Arc<T> {
        let state = self.shared.lock();
        self.seen = state.version;
        Arc::clone(&state.value)
    }

    /// Whether there is a value that was not seen.
    #[must_use]
    pub fn has_changed(&self) -> bool {
        self.shared.lock().version != self.seen
    }

    /// Waits for a value that was not seen, and returns the newest.
    ///
    /// # Errors
    ///
    /// The sender is gone and the last value was seen.
    #[switchpoint(
        wakes = "a new value, or the sender's end",
        cancel = "no value counts as seen"
    )]
    pub fn changed(&mut self) -> Result<Arc<T>, RecvError> {
        self.wait_until(Deadline::Never).map_err(|_| RecvError)
    }

    /// [`changed`](Self::changed) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The time is over, or the sender is gone and the last value was seen.
    #[switchpoint(
        wakes = "a new value, the timeout, or the sender's end",
        cancel = "no value counts as seen"
    )]
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<Arc<T>, RecvTimeoutError> {
        self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&mut self, deadline: Deadline) -> Result<Arc<T>, RecvTimeoutError> {
        loop {
            let state = self.shared.lock();
            if state.version != self.seen {
                self.seen = state.version;
                let value = Arc::clone(&state.value);
                drop(state);
                hub::spend_here();
                return Ok(value);
            }
            if !state.has_sender {
                return Err(RecvTimeoutError::Disconnected);
            }
            let entry = Entry {
                list: |state: &mut State<T>| &mut state.receivers,
                left: |_| (),
            };
            if !wait(&self.shared, state, entry, &mut (), Wait::Receive, deadline) {
                return Err(RecvTimeoutError::Timeout);
            }
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.lock().receiver_count += 1;
        Self {
            shared: Arc::clone(&self.shared),
            seen: self.seen,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.lock().receiver_count -= 1;
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").finish_non_exhaustive()
    }
}
