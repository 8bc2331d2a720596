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
//! let (news, mut first) = broadcast::channel(16);
//! let mut second = news.subscribe();
//! news.send("rain").unwrap();
//! assert_eq!((first.recv(), second.recv()), (Ok("rain"), Ok("rain")));
//! ```
//!
//! # Source
//!
//! tokio's `broadcast`.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::channel::SendError;
use super::select::{Branch, Receive};
use super::waitable::Sealed;
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::wait_list::{Ticket, WaitList};
use crate::hub::waiting::{Deadline, Entry, Lock, Place, wait};

/// A sender and a first receiver of a channel that keeps `capacity` messages: see [`Sender::new`].
#[must_use]
pub fn channel<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let sender = Sender::new(capacity);
    let receiver = sender.subscribe();
    (sender, receiver)
}

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

/// Why [`Receiver::recv`] has no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvError {
    /// All senders are gone, and this receiver has had all messages.
    Closed,
    /// This receiver was too slow and has missed so many messages. The next call returns the oldest that is left.
    Lagged(u64),
}

/// Why [`Receiver::try_recv`] has no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TryRecvError {
    /// There is none yet.
    Empty,
    /// As [`RecvError::Closed`].
    Closed,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
}

/// Why [`Receiver::recv_timeout`] has no message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RecvTimeoutError {
    /// The time is over.
    Timeout,
    /// As [`RecvError::Closed`].
    Closed,
    /// As [`RecvError::Lagged`].
    Lagged(u64),
}

impl From<RecvError> for TryRecvError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Lagged(missed) => Self::Lagged(missed),
        }
    }
}

impl From<RecvError> for RecvTimeoutError {
    fn from(error: RecvError) -> Self {
        match error {
            RecvError::Closed => Self::Closed,
            RecvError::Lagged(missed) => Self::Lagged(missed),
        }
    }
}

impl fmt::Display for RecvError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => formatter.write_str("all senders are gone"),
            Self::Lagged(missed) => write!(formatter, "missed {missed} messages"),
        }
    }
}

impl fmt::Display for TryRecvError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Empty => formatter.write_str("there is no message yet"),
            Self::Closed => RecvError::Closed.fmt(formatter),
            Self::Lagged(missed) => RecvError::Lagged(missed).fmt(formatter),
        }
    }
}

impl fmt::Display for RecvTimeoutError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Self::Timeout => formatter.write_str("no message came in time"),
            Self::Closed => RecvError::Closed.fmt(formatter),
            Self::Lagged(missed) => RecvError::Lagged(missed).fmt(formatter),
        }
    }
}

impl std::error::Error for RecvError {}
impl std::error::Error for TryRecvError {}
impl std::error::Error for RecvTimeoutError {}

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
        loop {
            if let Some(next) = self.receive(Deadline::Never) {
                return next;
            }
        }
    }

    /// [`recv`](Self::recv) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// Any [`RecvTimeoutError`].
    #[switchpoint(
        wakes = "a message, the timeout, or the last sender's end",
        cancel = "no message is passed over"
    )]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        let next = self.receive(Deadline::after(timeout));
        Ok(next.ok_or(RecvTimeoutError::Timeout)??)
    }

    /// The next message, if it is there.
    ///
    /// # Errors
    ///
    /// Any [`TryRecvError`].
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let next = self.shared.state.lock().next_of(self.next);
        Ok(self.advance(next.ok_or(TryRecvError::Empty)?)?)
    }

    /// None if the deadline has passed.
    fn receive(&mut self, deadline: Deadline) -> Option<Result<T, RecvError>> {
        let next = loop {
            let state = self.shared.state.lock();
            if let Some(next) = state.next_of(self.next) {
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
                return None;
            }
        };
        Some(self.advance(next))
    }

    fn advance(&mut self, next: Result<Arc<T>, RecvError>) -> Result<T, RecvError> {
        match next {
            Ok(message) => {
                // Cloning is the user's code: outside of the lock. If it unwinds the message is still the next.
                let message = Arc::unwrap_or_clone(message);
                self.next += 1;
                Ok(message)
            }
            Err(RecvError::Lagged(missed)) => {
                self.next += missed;
                Err(RecvError::Lagged(missed))
            }
            Err(error) => Err(error),
        }
    }
}

impl<T> State<T> {
    /// What there is for a receiver that wants message number `next`, if anything.
    fn next_of(&self, next: u64) -> Option<Result<Arc<T>, RecvError>> {
        let oldest = self.next - self.messages.len() as u64;
        if next < oldest {
            return Some(Err(RecvError::Lagged(oldest - next)));
        }
        match self.messages.get((next - oldest) as usize) {
            Some(message) => Some(Ok(Arc::clone(message))),
            None if self.sender_count == 0 => Some(Err(RecvError::Closed)),
            None => None,
        }
    }
}

impl<'a, T: Clone> Receive for &'a mut Receiver<T> {
    type Branch = RecvNext<'a, T>;

    fn into_branch(self) -> Self::Branch {
        RecvNext {
            receiver: RefCell::new(self),
        }
    }
}

/// What [`select::recv`](super::select::recv) returns for a broadcast.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct RecvNext<'a, T> {
    receiver: RefCell<&'a mut Receiver<T>>,
}

impl<T: Clone> Sealed for RecvNext<'_, T> {}

impl<T: Clone> Branch for RecvNext<'_, T> {
    type Output = Result<T, RecvError>;
    type Place = Place<()>;

    fn try_take(&self) -> Option<Self::Output> {
        let mut receiver = self.receiver.borrow_mut();
        let next = receiver.shared.state.lock().next_of(receiver.next)?;
        Some(receiver.advance(next))
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        let receiver = self.receiver.borrow();
        let mut state = receiver.shared.state.lock();
        if state.next_of(receiver.next).is_some() {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.receivers, (), ticket, number) };
        true
    }

    fn leave(&self, place: &Self::Place) {
        place.leave(&mut self.receiver.borrow().shared.state.lock().receivers);
    }

    fn granted(&self, _: Self::Place) -> Option<Self::Output> {
        self.try_take()
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
