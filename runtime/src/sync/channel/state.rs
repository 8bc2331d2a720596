//! A channel's messages and those who wait, under its lock.

use std::collections::VecDeque;
use std::fmt;
use std::mem;

use super::batch::{BATCH_MIN, Batch};
use super::{RecvTimeoutError, SendTimeoutError, TryRecvError, TrySendError};
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::wait_list::{Ticket, WaitList, wake};
use crate::hub::waiting::{Deadline, Entry, Lock, wait};
use crate::hub::waker::Waker;

/// What both ends of a channel share.
pub(in crate::sync) struct Shared<T> {
    /// Messages that may lie in the queue; with 0 a sender waits for a receiver.
    pub(in crate::sync) capacity: usize,
    pub(in crate::sync) state: Lock<State<T>>,
    /// Messages that are older than those in the queue; of an unbounded channel alone.
    batch: Batch<T>,
}

/// If a receiver waits the queue is empty, as is the batch, and if a sender waits the queue is full.
pub(in crate::sync) struct State<T> {
    pub(super) queue: VecDeque<T>,
    /// Each gets a message, or none if the senders are gone.
    pub(in crate::sync) receivers: WaitList<Option<T>>,
    /// Each brings a message, and keeps it if the receivers are gone.
    pub(in crate::sync) senders: WaitList<Option<T>>,
    pub(super) sender_count: usize,
    pub(super) receiver_count: usize,
}

impl<T> State<T> {
    /// Whether sending needs no waiting, be it that it fails. A receiver with the same ticket does not count.
    pub(in crate::sync) fn can_send(&self, capacity: usize, ticket: &Ticket) -> bool {
        self.queue.len() < capacity || self.receiver_count == 0 || self.receivers.has_others(ticket)
    }

    /// The next message, and the sender that may be woken as there is room now.
    #[inline(always)]
    fn take(&mut self) -> Option<(T, Option<Waker>)> {
        let Some(message) = self.queue.pop_front() else {
            let mut claim = self.senders.claim()?;
            let message = claim.payload().take();
            let waker = claim.grant();
            return message.map(|message| (message, waker));
        };
        let mut waker = None;
        if let Some(mut claim) = self.senders.claim() {
            self.queue.extend(claim.payload().take());
            waker = claim.grant();
        }
        Some((message, waker))
    }

    /// Gives a message to who waits for one, or puts it into the queue. Returns who is to be woken, or the message if there is no room.
    #[inline(always)]
    fn put(&mut self, message: T, capacity: usize) -> Result<Option<Waker>, T> {
        if let Some(mut claim) = self.receivers.claim() {
            *claim.payload() = Some(message);
            return Ok(claim.grant());
        }
        if self.queue.len() >= capacity {
            return Err(message);
        }
        self.queue.push_back(message);
        Ok(None)
    }
}

impl<T> Shared<T> {
    pub(super) fn new(capacity: usize) -> Self {
        let state = State {
            queue: VecDeque::new(),
            receivers: WaitList::new(),
            senders: WaitList::new(),
            sender_count: 1,
            receiver_count: 1,
        };
        Self {
            capacity,
            state: Lock::new(state),
            batch: Batch::new(),
        }
    }

    /// How many messages lie here.
    pub(super) fn len(&self) -> usize {
        let state = self.state.lock();
        state.queue.len() + self.batch.len()
    }

    /// None if it has no limit.
    pub(super) fn capacity(&self) -> Option<usize> {
        (self.capacity != usize::MAX).then_some(self.capacity)
    }

    /// What an end of that name shows of itself.
    pub(super) fn write(&self, formatter: &mut fmt::Formatter<'_>, name: &str) -> fmt::Result {
        formatter
            .debug_struct(name)
            .field("len", &self.len())
            .field("capacity", &self.capacity())
            .finish_non_exhaustive()
    }

    /// Whether receiving needs no waiting, be it that it fails. A sender with the same ticket does not count.
    pub(in crate::sync) fn can_receive(&self, state: &State<T>, ticket: &Ticket) -> bool {
        !state.queue.is_empty()
            || self.batch.len() > 0
            || state.sender_count == 0
            || state.senders.has_others(ticket)
    }

    /// The next message, and the sender that may be woken as there is room now. `state` is locked.
    #[inline(always)]
    fn take(&self, state: &mut State<T>) -> Option<(T, Option<Waker>)> {
        if self.capacity == usize::MAX
            && (self.batch.len() > 0 || state.queue.len() >= BATCH_MIN)
            && let Some(message) = self.take_batched(state)
        {
            return Some((message, None));
        }
        state.take()
    }

    #[inline(never)]
    fn take_batched(&self, state: &mut State<T>) -> Option<T> {
        // Another receiver may have taken a batch over since this one looked, or have emptied it.
        match self.batch.take() {
            Some(message) => Some(message),
            None => self.batch.take_over(&mut state.queue),
        }
    }

    #[inline(always)]
    pub(super) fn receive(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        if let Some(message) = self.batch.take() {
            hub::spend_here();
            return Ok(message);
        }
        let mut state = self.state.lock();
        if let Some((message, waker)) = self.take(&mut state) {
            drop(state);
            wake(waker);
            hub::spend_here();
            return Ok(message);
        }
        if state.sender_count == 0 {
            return Err(RecvTimeoutError::Disconnected);
        }
        let entry = Entry {
            list: |state: &mut State<T>| &mut state.receivers,
            left: |_| (),
        };
        let mut message = None;
        let (wait_for, slot) = (Wait::Receive, &mut message);
        if !wait(&self.state, state, entry, slot, wait_for, deadline) {
            return Err(RecvTimeoutError::Timeout);
        }
        message.ok_or(RecvTimeoutError::Disconnected)
    }

    #[inline]
    pub(in crate::sync) fn try_receive(&self) -> Result<T, TryRecvError> {
        if let Some(message) = self.batch.take() {
            return Ok(message);
        }
        let mut state = self.state.lock();
        match self.take(&mut state) {
            Some((message, waker)) => {
                drop(state);
                wake(waker);
                Ok(message)
            }
            None if state.sender_count == 0 => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    #[inline(always)]
    pub(super) fn send(&self, message: T, deadline: Deadline) -> Result<(), SendTimeoutError<T>> {
        let mut state = self.state.lock();
        if state.receiver_count == 0 {
            return Err(SendTimeoutError::Disconnected(message));
        }
        let mut message = match state.put(message, self.capacity) {
            Ok(waker) => {
                drop(state);
                wake(waker);
                hub::spend_here();
                return Ok(());
            }
            Err(message) => Some(message),
        };
        let entry = Entry {
            list: |state: &mut State<T>| &mut state.senders,
            left: |_| (),
        };
        let (wait_for, slot) = (Wait::Send, &mut message);
        let served = wait(&self.state, state, entry, slot, wait_for, deadline);
        match message {
            None => Ok(()),
            Some(message) if served => Err(SendTimeoutError::Disconnected(message)),
            Some(message) => Err(SendTimeoutError::Timeout(message)),
        }
    }

    #[inline]
    pub(in crate::sync) fn try_send(&self, message: T) -> Result<(), TrySendError<T>> {
        let mut state = self.state.lock();
        if state.receiver_count == 0 {
            return Err(TrySendError::Disconnected(message));
        }
        let waker = state
            .put(message, self.capacity)
            .map_err(TrySendError::Full)?;
        drop(state);
        wake(waker);
        Ok(())
    }

    pub(super) fn add_sender(&self) {
        self.state.lock().sender_count += 1;
    }

    pub(super) fn add_receiver(&self) {
        self.state.lock().receiver_count += 1;
    }

    pub(super) fn remove_sender(&self) {
        let mut state = self.state.lock();
        state.sender_count -= 1;
        if state.sender_count == 0 {
            state.receivers.grant_all();
        }
    }

    pub(super) fn remove_receiver(&self) {
        let mut state = self.state.lock();
        state.receiver_count -= 1;
        if state.receiver_count == 0 {
            state.senders.grant_all();
            let unread = (self.batch.clear(), mem::take(&mut state.queue));
            drop(state);
            // Their destructors are the user's.
            drop(unread);
        }
    }
}

#[cfg(all(test, kapok_loom))]
mod tests {
    use std::time::Instant;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::hub::sync_facade::model;

    type Message = Arc<u32>;

    fn past() -> Deadline {
        Deadline::Thread(Instant::now())
    }

    #[test]
    fn who_sends_and_who_receives_without_room_meet() {
        model(|| {
            let shared = Arc::new(Shared::<Message>::new(0));
            let sender = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.send(Arc::new(1), Deadline::Never))
            };
            assert_eq!(*shared.receive(Deadline::Never).unwrap(), 1);
            sender.join().unwrap().unwrap();
        });
    }

    #[test]
    fn a_message_is_received_or_comes_back_when_both_time_out() {
        model(|| {
            let shared = Arc::new(Shared::<Message>::new(0));
            let sender = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.send(Arc::new(1), past()).is_ok())
            };
            let received = shared.receive(past()).is_ok();
            assert_eq!(sender.join().unwrap(), received);
        });
    }

    #[test]
    fn a_message_is_received_or_comes_back_when_the_receiver_goes() {
        model(|| {
            let shared = Arc::new(Shared::<Message>::new(1));
            shared.try_send(Arc::new(1)).unwrap();
            let sender = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || shared.send(Arc::new(2), Deadline::Never).is_ok())
            };
            assert_eq!(*shared.try_receive().unwrap(), 1);
            shared.remove_receiver();
            sender.join().unwrap();
            assert!(shared.state.lock().queue.is_empty());
        });
    }

    #[test]
    fn two_who_receive_without_a_limit_have_each_message_once_and_wait_for_none_in_vain() {
        model(|| {
            let shared = Arc::new(Shared::<Message>::new(usize::MAX));
            let receiver = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || *shared.receive(Deadline::Never).unwrap())
            };
            let sender = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    (1..=2).for_each(|number| shared.try_send(Arc::new(number)).unwrap())
                })
            };
            let received = *shared.receive(Deadline::Never).unwrap();
            sender.join().unwrap();
            assert_eq!(received + receiver.join().unwrap(), 3);
            assert_eq!(shared.len(), 0);
        });
    }

    #[test]
    fn one_who_receives_without_a_limit_has_messages_in_their_order() {
        model(|| {
            let shared = Arc::new(Shared::<Message>::new(usize::MAX));
            let sender = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    (1..=3).for_each(|number| shared.try_send(Arc::new(number)).unwrap())
                })
            };
            for number in 1..=3 {
                assert_eq!(*shared.receive(Deadline::Never).unwrap(), number);
            }
            sender.join().unwrap();
        });
    }

    #[test]
    fn who_receives_is_told_that_the_last_sender_went() {
        model(|| {
            let shared = Arc::new(Shared::<Message>::new(1));
            let sender = {
                let shared = Arc::clone(&shared);
                thread::spawn(move || {
                    shared.try_send(Arc::new(1)).unwrap();
                    shared.remove_sender();
                })
            };
            assert_eq!(*shared.receive(Deadline::Never).unwrap(), 1);
            assert!(shared.receive(Deadline::Never).is_err());
            sender.join().unwrap();
        });
    }
}
