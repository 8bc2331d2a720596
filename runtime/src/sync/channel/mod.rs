//! Channels: any number of senders and receivers, on any threads.
//!
//! [`bounded`] makes senders wait when it is full, and with a capacity of 0 until a receiver takes the message itself;
//! [`unbounded`] never. Each message goes to one receiver: the one who waits longest, or the first to ask. Messages arrive in the order in which
//! they were sent, those of senders that wait for room in the order in which they came.
//!
//! When all senders are gone receivers get what is left, then an error; when all receivers are gone senders get their messages
//! back.
//!
//! # Examples
//!
//! Work for three fibers:
//!
//! ```
//! use kapok::sync::channel;
//!
//! let (jobs, received) = channel::bounded(8);
//! let workers: Vec<_> = (0..3)
//!     .map(|_| {
//!         let received = received.clone();
//!         kapok::spawn(move || received.iter().sum::<u64>())
//!     })
//!     .collect();
//! (1..=100).for_each(|number| jobs.send(number).unwrap());
//! drop(jobs);
//! let total: u64 = workers.into_iter().map(|worker| worker.join().unwrap()).sum();
//! assert_eq!(total, 5050);
//! ```
//!
//! # Source
//!
//! crossbeam-channel and [`std::sync::mpsc`], whose names these are.

mod batch;
mod error;
mod state;

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;

pub use error::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};

use crate::hub::waiting::Deadline;
use state::Shared;

/// A channel with room for `capacity` messages; with 0 each sender waits until its message is taken.
#[must_use]
pub fn bounded<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Shared::new(capacity));
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared })
}

/// A channel in which messages pile up as long as nobody takes them. Prefer [`bounded`]: it slows senders down to what receivers can do.
#[must_use]
pub fn unbounded<T>() -> (Sender<T>, Receiver<T>) {
    bounded(usize::MAX)
}

/// The end of a channel that messages are put into. Clones are senders of the same channel.
pub struct Sender<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Sender<T> {
    /// Sends a message; waits while the channel is full.
    ///
    /// # Errors
    ///
    /// The message, if all receivers are gone.
    #[switchpoint(
        wakes = "room, or the last receiver's end",
        cancel = "the message is not sent, and dropped"
    )]
    #[inline(always)]
    pub fn send(&self, message: T) -> Result<(), SendError<T>> {
        match self.shared.send(message, Deadline::Never) {
            Ok(()) => Ok(()),
            Err(error) => Err(SendError(error.into_inner())),
        }
    }

    /// [`send`](Self::send) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The message, if the time is over or all receivers are gone.
    #[switchpoint(
        wakes = "room, the timeout, or the last receiver's end",
        cancel = "the message is not sent, and dropped"
    )]
    pub fn send_timeout(&self, message: T, timeout: Duration) -> Result<(), SendTimeoutError<T>> {
        self.shared.send(message, Deadline::after(timeout))
    }

    /// [`send`](Self::send) until `deadline` at most.
    ///
    /// # Errors
    ///
    /// The message, if the time is over or all receivers are gone.
    #[switchpoint(
        wakes = "room, the deadline, or the last receiver's end",
        cancel = "the message is not sent, and dropped"
    )]
    pub fn send_deadline(&self, message: T, deadline: Instant) -> Result<(), SendTimeoutError<T>> {
        self.shared.send(message, Deadline::at(deadline))
    }

    /// Sends a message if that needs no waiting.
    ///
    /// # Errors
    ///
    /// The message, if there is no room or all receivers are gone.
    pub fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        self.shared.try_send(message)
    }

    /// How many messages lie in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no message lies in the channel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for a message. One without room (`bounded(0)`) is always full, and always empty.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.shared.capacity
    }

    /// How many messages the channel has room for; none if it is [`unbounded`].
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.shared.capacity()
    }

    /// Whether all receivers are gone.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.shared.state.lock().receiver_count == 0
    }

    /// Whether the two are of one channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(super) fn shared(&self) -> &Shared<T> {
        &self.shared
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.add_sender();
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        self.shared.remove_sender();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.write(formatter, "Sender")
    }
}

/// The end of a channel that messages are taken from. Clones are receivers of the same channel: each message goes to one of them.
pub struct Receiver<T> {
    shared: Arc<Shared<T>>,
}

impl<T> Receiver<T> {
    /// Waits for a message.
    ///
    /// # Errors
    ///
    /// All senders are gone, and so are the messages.
    #[switchpoint(
        wakes = "a message, or the last sender's end",
        cancel = "no message is taken"
    )]
    #[inline(always)]
    pub fn recv(&self) -> Result<T, RecvError> {
        self.shared.receive(Deadline::Never).map_err(|_| RecvError)
    }

    /// [`recv`](Self::recv) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The time is over, or all senders and messages are gone.
    #[switchpoint(
        wakes = "a message, the timeout, or the last sender's end",
        cancel = "no message is taken"
    )]
    pub fn recv_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.shared.receive(Deadline::after(timeout))
    }

    /// [`recv`](Self::recv) until `deadline` at most.
    ///
    /// # Errors
    ///
    /// The time is over, or all senders and messages are gone.
    #[switchpoint(
        wakes = "a message, the deadline, or the last sender's end",
        cancel = "no message is taken"
    )]
    pub fn recv_deadline(&self, deadline: Instant) -> Result<T, RecvTimeoutError> {
        self.shared.receive(Deadline::at(deadline))
    }

    /// Takes a message if there is one.
    ///
    /// # Errors
    ///
    /// There is none, or all senders are gone too.
    pub fn try_recv(&self) -> Result<T, TryRecvError> {
        self.shared.try_receive()
    }

    /// Messages, waited for one by one, until all senders are gone.
    #[must_use]
    pub fn iter(&self) -> Iter<'_, T> {
        Iter { receiver: self }
    }

    /// The messages that are there now.
    pub fn try_iter(&self) -> impl Iterator<Item = T> + '_ {
        std::iter::from_fn(|| self.try_recv().ok())
    }

    /// How many messages lie in the channel.
    #[must_use]
    pub fn len(&self) -> usize {
        self.shared.len()
    }

    /// Whether no message lies in the channel.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is no room for a message. One without room (`bounded(0)`) is always full, and always empty.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.len() >= self.shared.capacity
    }

    /// How many messages the channel has room for; none if it is [`unbounded`].
    #[must_use]
    pub fn capacity(&self) -> Option<usize> {
        self.shared.capacity()
    }

    /// Whether all senders are gone. Messages may be left.
    #[must_use]
    pub fn is_disconnected(&self) -> bool {
        self.shared.state.lock().sender_count == 0
    }

    /// Whether the two are of one channel.
    #[must_use]
    pub fn same_channel(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }

    pub(super) fn shared(&self) -> &Shared<T> {
        &self.shared
    }
}

impl<T> Clone for Receiver<T> {
    fn clone(&self) -> Self {
        self.shared.add_receiver();
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        self.shared.remove_receiver();
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.shared.write(formatter, "Receiver")
    }
}

/// Messages of a [`Receiver`]; `next` is a switchpoint.
#[derive(Debug)]
pub struct Iter<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Iterator for Iter<'_, T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

/// Messages of a [`Receiver`] that nobody needs any more; `next` is a switchpoint.
#[derive(Debug)]
pub struct IntoIter<T> {
    receiver: Receiver<T>,
}

impl<T> Iterator for IntoIter<T> {
    type Item = T;

    #[inline(always)]
    fn next(&mut self) -> Option<T> {
        self.receiver.recv().ok()
    }
}

impl<T> IntoIterator for Receiver<T> {
    type Item = T;
    type IntoIter = IntoIter<T>;

    fn into_iter(self) -> IntoIter<T> {
        IntoIter { receiver: self }
    }
}

impl<'a, T> IntoIterator for &'a Receiver<T> {
    type Item = T;
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}
