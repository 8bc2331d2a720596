//! A channel for one message.
//!
//! # Examples
//!
//! ```
//! use kapok::sync::oneshot;
//!
//! let (answer, question) = oneshot::channel();
//! std::thread::spawn(move || answer.send(42));
//! assert_eq!(question.recv(), Ok(42));
//! ```

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::channel::{RecvError, RecvTimeoutError, TryRecvError};
use super::select::{Branch, Receive};
use super::waitable::Sealed;
use crate::fiber::slot::Wait;
use crate::hub::wait_list::{Ticket, WaitList, wake};
use crate::hub::waiting::{Deadline, Entry, Lock, Place, wait};

struct State<T> {
    message: Option<T>,
    has_sender: bool,
    has_receiver: bool,
    receiver: WaitList<Option<T>>,
    /// A sender that waits for the receiver to lose interest.
    sender: WaitList<()>,
}

type Shared<T> = Arc<Lock<State<T>>>;

/// A sender and a receiver of one message.
#[must_use]
pub fn channel<T>() -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Lock::new(State {
        message: None,
        has_sender: true,
        has_receiver: true,
        receiver: WaitList::new(),
        sender: WaitList::new(),
    }));
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared })
}

/// Sends one message, without waiting.
pub struct Sender<T> {
    shared: Shared<T>,
}

impl<T> Sender<T> {
    /// Sends the message.
    ///
    /// # Errors
    ///
    /// The message, if the receiver is gone.
    pub fn send(self, message: T) -> Result<(), T> {
        let mut state = self.shared.lock();
        if !state.has_receiver {
            return Err(message);
        }
        let Some(mut claim) = state.receiver.claim() else {
            state.message = Some(message);
            return Ok(());
        };
        *claim.payload() = Some(message);
        let waker = claim.grant();
        drop(state);
        wake(waker);
        Ok(())
    }

    /// Waits until the receiver is gone, for work that nobody wants any more to end.
    #[switchpoint(wakes = "the receiver's end", cancel = "nothing is left behind")]
    pub fn closed(&self) {
        let state = self.shared.lock();
        if state.has_receiver {
            let entry = Entry {
                list: |state: &mut State<T>| &mut state.sender,
                left: |_| (),
            };
            wait(
                &self.shared,
                state,
                entry,
                &mut (),
                Wait::Send,
                Deadline::Never,
            );
        }
    }

    /// Whether the receiver is gone.
    #[must_use]
    pub fn is_closed(&self) -> bool {
        !self.shared.lock().has_receiver
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.has_sender = false;
        // A receiver that still waits gets nothing.
        state.receiver.grant_all();
    }
}

impl<T> fmt::Debug for Sender<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sender").finish_non_exhaustive()
    }
}

/// Receives one message.
pub struct Receiver<T> {
    shared: Shared<T>,
}

impl<T> Receiver<T> {
    /// Waits for the message.
    ///
    /// # Errors
    ///
    /// The sender is gone and has sent nothing.
    #[switchpoint(
        wakes = "the message, or the sender's end",
        cancel = "the message is dropped when it comes"
    )]
    #[inline(always)]
    pub fn recv(self) -> Result<T, RecvError> {
        self.receive(Deadline::Never).map_err(|_| RecvError)
    }

    /// Waits for the message for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The time is over, or the sender is gone and has sent nothing (more).
    #[switchpoint(
        wakes = "the message, the timeout, or the sender's end",
        cancel = "the message can still be received"
    )]
    pub fn recv_timeout(&mut self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.receive(Deadline::after(timeout))
    }

    /// Takes the message if it is there.
    ///
    /// # Errors
    ///
    /// It is not there, or the sender is gone and has sent nothing (more).
    pub fn try_recv(&mut self) -> Result<T, TryRecvError> {
        let mut state = self.shared.lock();
        match state.message.take() {
            Some(message) => Ok(message),
            None if state.has_sender => Err(TryRecvError::Empty),
            None => Err(TryRecvError::Disconnected),
        }
    }

    #[inline(always)]
    fn receive(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        let mut state = self.shared.lock();
        if let Some(message) = state.message.take() {
            return Ok(message);
        }
        if !state.has_sender {
            return Err(RecvTimeoutError::Disconnected);
        }
        let entry = Entry {
            list: |state: &mut State<T>| &mut state.receiver,
            left: |_| (),
        };
        let mut message = None;
        let (wait_for, slot) = (Wait::Receive, &mut message);
        if !wait(&self.shared, state, entry, slot, wait_for, deadline) {
            return Err(RecvTimeoutError::Timeout);
        }
        message.ok_or(RecvTimeoutError::Disconnected)
    }
}

impl<'a, T> Receive for &'a mut Receiver<T> {
    type Branch = RecvOne<'a, T>;

    fn into_branch(self) -> RecvOne<'a, T> {
        RecvOne { receiver: self }
    }
}

/// What [`select::recv`](super::select::recv) returns for a oneshot. It gives the message once, and an error from then on.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct RecvOne<'a, T> {
    receiver: &'a mut Receiver<T>,
}

impl<T> Sealed for RecvOne<'_, T> {}

impl<T> Branch for RecvOne<'_, T> {
    type Output = Result<T, RecvError>;
    type Place = Place<Option<T>>;

    fn try_take(&self) -> Option<Self::Output> {
        let mut state = self.receiver.shared.lock();
        match state.message.take() {
            Some(message) => Some(Ok(message)),
            None => (!state.has_sender).then_some(Err(RecvError)),
        }
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        let mut state = self.receiver.shared.lock();
        if state.message.is_some() || !state.has_sender {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.receiver, None, ticket, number) };
        true
    }

    fn leave(&self, place: &Self::Place) {
        place.leave(&mut self.receiver.shared.lock().receiver);
    }

    fn granted(&self, place: Self::Place) -> Option<Self::Output> {
        Some(place.into_payload().ok_or(RecvError))
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.has_receiver = false;
        state.sender.grant_all();
        let unread = state.message.take();
        drop(state);
        // Its destructor is the user's.
        drop(unread);
    }
}

impl<T> fmt::Debug for Receiver<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Receiver").finish_non_exhaustive()
    }
}
