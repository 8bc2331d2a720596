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

use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::channel::{RecvError, RecvTimeoutError, SendError};
use super::select::Branch;
use super::waitable::Sealed;
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::wait_list::{Ticket, WaitList};
use crate::hub::waiting::{Deadline, Entry, Lock, Place, wait};

struct State<T> {
    value: Arc<T>,
    /// Counts the values.
    version: u64,
    sender_count: usize,
    receiver_count: usize,
    receivers: WaitList<()>,
}

impl<T> State<T> {
    /// Returns the old value, whose destructor is the user's.
    fn set(&mut self, value: Arc<T>) -> Arc<T> {
        self.version += 1;
        self.receivers.grant_all();
        std::mem::replace(&mut self.value, value)
    }

    /// A value that is newer than `seen`, and its version; an error if there will be none.
    fn news(&self, seen: u64) -> Option<Result<(Arc<T>, u64), RecvError>> {
        if self.version != seen {
            return Some(Ok((Arc::clone(&self.value), self.version)));
        }
        (self.sender_count == 0).then_some(Err(RecvError))
    }
}

type Shared<T> = Arc<Lock<State<T>>>;

/// The value's owner, and one who follows it.
#[must_use]
pub fn channel<T>(value: T) -> (Sender<T>, Receiver<T>) {
    let shared = Arc::new(Lock::new(State {
        value: Arc::new(value),
        version: 0,
        sender_count: 1,
        receiver_count: 1,
        receivers: WaitList::new(),
    }));
    let sender = Sender {
        shared: Arc::clone(&shared),
    };
    (sender, Receiver { shared, seen: 0 })
}

/// Sets the value. Clones set the same one.
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
        let old = state.set(Arc::new(value));
        drop(state);
        // Its destructor is the user's.
        drop(old);
        Ok(())
    }

    /// Sets the value, whether anybody follows or not, and returns the old one.
    pub fn replace(&self, value: T) -> Arc<T> {
        self.shared.lock().set(Arc::new(value))
    }

    /// Changes the value: `change` gets a copy, and is called again with another if the value was set meanwhile.
    ///
    /// # Examples
    ///
    /// ```
    /// let (levels, _follower) = kapok::sync::watch::channel(vec!["info"]);
    /// levels.modify(|levels| levels.push("debug"));
    /// assert_eq!(*levels.get(), ["info", "debug"]);
    /// ```
    pub fn modify(&self, mut change: impl FnMut(&mut T))
    where
        T: Clone,
    {
        loop {
            let (mut value, version) = {
                let state = self.shared.lock();
                (Arc::clone(&state.value), state.version)
            };
            // Cloning and changing are the user's code: outside of the lock.
            change(Arc::make_mut(&mut value));
            let mut state = self.shared.lock();
            if state.version == version {
                let old = state.set(value);
                drop(state);
                drop(old);
                return;
            }
        }
    }

    /// The value as it is now.
    #[must_use]
    pub fn get(&self) -> Arc<T> {
        Arc::clone(&self.shared.lock().value)
    }

    /// How many follow.
    #[must_use]
    pub fn receiver_count(&self) -> usize {
        self.shared.lock().receiver_count
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

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().sender_count += 1;
        Self {
            shared: Arc::clone(&self.shared),
        }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
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

    /// The value as it is now. Whether it was seen stays as it is.
    #[must_use]
    pub fn peek(&self) -> Arc<T> {
        Arc::clone(&self.shared.lock().value)
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
    /// All senders are gone and the last value was seen.
    #[switchpoint(
        wakes = "a new value, or the last sender's end",
        cancel = "no value counts as seen"
    )]
    pub fn changed(&mut self) -> Result<Arc<T>, RecvError> {
        self.wait_until(Deadline::Never).map_err(|_| RecvError)
    }

    /// [`changed`](Self::changed) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The time is over, or all senders are gone and the last value was seen.
    #[switchpoint(
        wakes = "a new value, the timeout, or the last sender's end",
        cancel = "no value counts as seen"
    )]
    pub fn changed_timeout(&mut self, timeout: Duration) -> Result<Arc<T>, RecvTimeoutError> {
        self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&mut self, deadline: Deadline) -> Result<Arc<T>, RecvTimeoutError> {
        loop {
            let state = self.shared.lock();
            if let Some(news) = state.news(self.seen) {
                let (value, version) = news.map_err(|_| RecvTimeoutError::Disconnected)?;
                self.seen = version;
                drop(state);
                hub::spend_here();
                return Ok(value);
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

/// For [`select!`](crate::select!): gives what [`Receiver::changed`] returns.
pub fn changed<T>(receiver: &mut Receiver<T>) -> Changed<'_, T> {
    Changed {
        receiver: RefCell::new(receiver),
    }
}

/// What [`changed`] returns.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct Changed<'a, T> {
    receiver: RefCell<&'a mut Receiver<T>>,
}

impl<T> Sealed for Changed<'_, T> {}

impl<T> Branch for Changed<'_, T> {
    type Output = Result<Arc<T>, RecvError>;
    type Place = Place<()>;

    fn try_take(&self) -> Option<Self::Output> {
        let mut receiver = self.receiver.borrow_mut();
        let news = receiver.shared.lock().news(receiver.seen)?;
        Some(news.map(|(value, version)| {
            receiver.seen = version;
            value
        }))
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        let receiver = self.receiver.borrow();
        let mut state = receiver.shared.lock();
        if state.news(receiver.seen).is_some() {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.receivers, (), ticket, number) };
        true
    }

    fn leave(&self, place: &Self::Place) {
        place.leave(&mut self.receiver.borrow().shared.lock().receivers);
    }

    fn granted(&self, _: Self::Place) -> Option<Self::Output> {
        self.try_take()
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
