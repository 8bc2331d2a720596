//! A channel whose every receiver gets every message.
//!
//! It keeps the last `capacity` messages. A receiver that falls further behind is told how many it has missed: a slow one neither
//! holds up the sender nor fills the memory.
//!
//! # Examples
//!
//! ```
//! use kapok::sync::broadcast;
//!
//! let news = broadcast::Sender::new(16);
//! let (mut first, mut second) = (news.subscribe(), news.subscribe());
//! news.send("rain").unwrap();
//! assert_eq!((first.recv(), second.recv()), (Ok("rain"), Ok("rain")));
//! ```
//!
//! # Source
//!
//! tokio's `broadcast`.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::channel::SendError;
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::wait_list::WaitList;
use crate::hub::waiting::{Deadline, Entry, Lock, wait};

struct Shared<T> {
    capacity: usize,
    state: Lock<State<T>>,
}

struct State<T> {
    /// The last messages, the newest at the end.
    messages: VecDeque<Arc<T>>,
    /// The number of the next message.
    next: u64,
    receivers: WaitList<()>,
    sender_count: usize,
    receiver_count: usize,
}

/// Sends messages to all receivers there are. Clones are senders of the same channel.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// A channel without receivers, which keeps `capacity` messages; 0 counts as 1. They are kept until newer ones come.
    #[must_use]
    pub fn new(capacity: usize) -> Self {
        let state = State {
            messages: VecDeque::new(),
            next: 0,
            receivers: WaitList::new(),
            sender_count: 1,
            receiver_count: 0,
        };
        Self {
            shared: Arc::new(Shared {
                capacity: capacity.max(1),
                state: Lock::new(state),
            }),
        }
    }

    /// A receiver of all messages sent from now on.
    #[must_use]
    pub fn subscribe(&self) -> Receiver<T> {
        let mut state = self.shared.state.lock();
        state.receiver_count += 1;
        Receiver {
            shared: Arc::clone(&self.shared),
            next: state.next,
        }
    }

    /// Sends a message to all receivers, without waiting. Returns how many there are.
    ///
    /// # Errors
    ///
    /// The message, if there is no receiver.
    pub fn send(&self, message: T) -> Result<usize, SendError<T>> {
        let mut state = self.shared.state.lock();
        if state.receiver_count == 0 {
            return Err(SendError(message));
        }
        let oldest = match state.messages.len() {
            length if length == self.shared.capacity => state.messages.pop_front(),
            _ => None,
        };
        state.messages.push_back(Arc::new(message));
        state.next += 1;
        state.receivers.grant_all();
        let receivers = state.receiver_count;
        drop(state);
        // Its destructor is the user's.
        drop(oldest);
        Ok(receivers)
    }

    /// How many receivers there are.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.shared.state.lock().receiver_count
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.state.lock().sender_count += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.sender_count -= 1;
        if state.sender_count == 0 {
            state.receivers.grant_all();
        }
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Why there is no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RecvError {
    /// All senders are gone, and this receiver has had all messages.
    Closed,
    /// This receiver was too slow and has missed so many messages. The next call returns the oldest that is left.
    Lagged(u64),
    /// The time is over.
    Timeout,
}

impl fmt::Display for RecvError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => formatter.write_str("all senders are gone"),
            Self::Lagged(missed) => write!(formatter, "missed {missed} messages"),
            Self::Timeout => formatter.write_str("no message came in time"),
        }
    }
}

impl std::error::Error for RecvError {}

/// Gets every message sent since it was made. A clone gets those that its original has not had yet.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
    /// The number of the message to be had next.
    next: u64,
}

impl<T: Clone> Receiver<T> {
    /// Waits for the next message.
    ///
    /// # Errors
    ///
    /// [`RecvError::Closed`] or [`RecvError::Lagged`].
    #[switchpoint(
        wakes = "a message, or the last sender's end",
        cancel = "no message is passed over"
    )]
    pub fn recv(&mut self) -> Result<T, RecvError> {
        self.receive(Deadline::Never)
    }

    /// [`recv`](Self::recv) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Any [`RecvError`].
    #[switchpoint(
        wakes = "a message, the timeout, or the last sender's end",
        cancel = "no message is passed over"
    )]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvError> {
        self.receive(Deadline::after(timeout))
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    ///
    /// [`RecvError::Timeout`] if there is none yet, or as [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<T, RecvError> {
        let next = self.take(&self.shared.state.lock());
        self.advance(next.unwrap_or(Err(RecvError::Timeout)))
    }

    fn receive(&mut self, deadline: Deadline) -> Result<T, RecvError> {
        let next = loop {
            let state = self.shared.state.lock();
            if let Some(next) = self.take(&state) {
                drop(state);
                hub::spend_here();
                break next;
            }
            let entry = Entry {
                list: |state: &mut State<T>| &mut state.receivers,
                left: |_| (),
            };
            let shared = &self.shared.state;
            if !wait(shared, state, entry, &mut (), Wait::Receive, deadline) {
                break Err(RecvError::Timeout);
            }
        };
        self.advance(next)
    }

    /// What there is for this receiver, if anything.
    fn take(&self, state: &State<T>) -> Option<Result<Arc<T>, RecvError>> {
        let oldest = state.next - state.messages.len() as u64;
        if self.next < oldest {
            return Some(Err(RecvError::Lagged(oldest - self.next)));
        }
        match state.messages.get((self.next - oldest) as usize) {
            Some(message) => Some(Ok(Arc::clone(message))),
            None if state.sender_count == 0 => Some(Err(RecvError::Closed)),
            None => None,
        }
    }

    fn advance(&mut self, next: Result<Arc<T>, RecvError>) -> Result<T, RecvError> {
        match next {
            Ok(message) => {
                self.next += 1;
                // Cloning is the user's code: outside of the lock.
                Ok(Arc::unwrap_or_clone(message))
            }
            Err(RecvError::Lagged(missed)) => {
                self.next += missed;
                Err(RecvError::Lagged(missed))
            }
            Err(error) => Err(error),
        }
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.state.lock().receiver_count += 1;
        Self {
            shared: Arc::clone(&self.shared),
            next: self.next,
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.state.lock();
        state.receiver_count -= 1;
        let unread = match state.receiver_count {
            0 => std::mem::take(&mut state.messages),
            _ => VecDeque::new(),
        };
        drop(state);
        // Their destructors are the user's.
        drop(unread);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").finish_non_exhaustive()
    }
}
