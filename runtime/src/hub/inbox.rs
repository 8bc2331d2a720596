//! How other threads reach a hub: a list of messages, and a flag that says whether the hub must be woken to see them.
//!
//! # Protocol
//!
//! One word says how the hub stands to its list:
//!
//! ```text
//!            receive: swap                     may_park: compare_exchange
//! NOTIFIED ────────────────> AWAKE ────────────────────────────────────────> PARKED
//!     ^                        │  <──────────────── unparked: compare_exchange │
//!     │      send: swap        │                                               │
//!     └────────────────────────┴──────────── send: swap, and write the eventfd ┘
//! ```
//!
//! - A sender pushes under the lock, then swaps `NOTIFIED` in. Whoever swaps `PARKED` out writes to the eventfd; so a running
//!   hub is woken without a system call, and of a batch of senders to a sleeping one only the first makes one.
//! - The hub sleeps only if it turns `AWAKE` into `PARKED`, which fails once a sender was there.
//! - It swaps `AWAKE` in **before** it takes the list, so a message that comes between the two is seen twice rather than never.
//!
//! All steps are read-modify-write operations on one word, so they have one order that all threads agree on, and acquire and
//! release make what was pushed before a step visible after it. The loom model is `tests` below.

use super::sync_facade::{AtomicU8, Mutex, MutexGuard, Ordering};

const AWAKE: u8 = 0;
const NOTIFIED: u8 = 1;
const PARKED: u8 = 2;

/// A list that is full and this long is first rid of what says nothing new.
const COALESCE_AT: usize = 1024;

/// What an inbox carries.
pub(crate) trait Coalesce: Sized {
    /// Takes out messages that say again what an earlier one says.
    fn coalesce(messages: &mut Vec<Self>);
}

/// Messages of one kind for one hub.
#[derive(Debug)]
pub(crate) struct Inbox<M> {
    list: Mutex<List<M>>,
    state: AtomicU8,
}

#[derive(Debug)]
struct List<M> {
    messages: Vec<M>,
    /// Odd while a hub listens; counts up at each opening and closing, so that an old handle cannot reach a new hub.
    epoch: u64,
}

impl<M: Coalesce> List<M> {
    /// A hub that computes for a second may be sent millions of wakes for a few fibers.
    fn push(&mut self, message: M) {
        let capacity = self.messages.capacity();
        if self.messages.len() == capacity && capacity >= COALESCE_AT {
            M::coalesce(&mut self.messages);
            if self.messages.len() > capacity / 2 {
                // Most of them are needed: not to be asked again before as many have come.
                self.messages.reserve(capacity);
            }
        }
        self.messages.push(message);
    }
}

/// What a sender has to do after its message lies in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The hub runs and will look.
    Seen,
    /// The hub sleeps: write to its eventfd.
    MustNotify,
}

impl<M: Coalesce> Inbox<M> {
    pub(crate) fn new() -> Self {
        Self {
            list: Mutex::new(List {
                messages: Vec::new(),
                epoch: 0,
            }),
            state: AtomicU8::new(AWAKE),
        }
    }

    /// Starts listening; the epoch names this listening.
    pub(crate) fn open(&self) -> u64 {
        let mut list = self.lock();
        list.epoch += 1;
        debug_assert!(list.epoch % 2 == 1, "a hub opens an inbox that is closed");
        list.epoch
    }

    /// Stops listening and returns what was not received.
    pub(crate) fn close(&self) -> Vec<M> {
        let mut list = self.lock();
        list.epoch += 1;
        self.state.swap(AWAKE, Ordering::AcqRel);
        std::mem::take(&mut list.messages)
    }

    /// Leaves a message. The message comes back if the hub of that epoch does not listen any more.
    pub(crate) fn send(&self, epoch: u64, message: M) -> Result<Sent, M> {
        let mut list = self.lock();
        if list.epoch != epoch {
            return Err(message);
        }
        list.push(message);
        drop(list);
        let was = self.state.swap(NOTIFIED, Ordering::AcqRel);
        Ok(if was == PARKED {
            Sent::MustNotify
        } else {
            Sent::Seen
        })
    }

    /// Whether there may be messages: what a running hub asks between two fibers.
    #[inline(always)]
    pub(crate) fn is_pending(&self) -> bool {
        self.state.load(Ordering::Relaxed) == NOTIFIED
    }

    /// Exchanges `received`, which must be empty, for all messages.
    pub(crate) fn receive(&self, received: &mut Vec<M>) {
        debug_assert!(
            received.is_empty(),
            "messages are handled before the next ones are taken"
        );
        self.state.swap(AWAKE, Ordering::AcqRel);
        std::mem::swap(&mut self.lock().messages, received);
    }

    /// Announces that the hub is going to sleep. If it may not, as there are messages, nothing is announced.
    pub(crate) fn may_park(&self) -> bool {
        self.state
            .compare_exchange(AWAKE, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// The hub is awake again, whatever woke it. What a sender announced meanwhile stays announced.
    pub(crate) fn unparked(&self) {
        // Fails if a sender was there: then the state is NOTIFIED, as it should be.
        let _ = self
            .state
            .compare_exchange(PARKED, AWAKE, Ordering::AcqRel, Ordering::Acquire);
    }

    fn lock(&self) -> MutexGuard<'_, List<M>> {
        // No code of ours panics under the lock, and what is there stays right if one did.
        self.list
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

#[cfg(all(test, kapok_loom))]
mod tests {
    use loom::sync::{Arc, Notify};
    use loom::thread;

    use super::*;
    use crate::hub::sync_facade::model;

    impl Coalesce for u32 {
        fn coalesce(_messages: &mut Vec<Self>) {}
    }

    /// A hub's side. Loom finds a deadlock if it sleeps and nobody writes to its eventfd.
    fn receive_all(inbox: &Inbox<u32>, eventfd: &Notify, wanted: usize) -> Vec<u32> {
        let mut all = Vec::new();
        while all.len() < wanted {
            let mut received = Vec::new();
            if inbox.is_pending() {
                inbox.receive(&mut received);
            }
            if received.is_empty() && inbox.may_park() {
                eventfd.wait();
                inbox.unparked();
            }
            all.append(&mut received);
        }
        all
    }

    #[test]
    fn no_message_is_left_while_the_hub_sleeps() {
        model(|| {
            let (inbox, eventfd) = (Arc::new(Inbox::new()), Arc::new(Notify::new()));
            let epoch = inbox.open();
            let senders: Vec<_> = (0..2)
                .map(|number| {
                    let (inbox, eventfd) = (Arc::clone(&inbox), Arc::clone(&eventfd));
                    thread::spawn(move || {
                        if inbox.send(epoch, number) == Ok(Sent::MustNotify) {
                            eventfd.notify();
                        }
                    })
                })
                .collect();
            let mut all = receive_all(&inbox, &eventfd, 2);
            all.sort_unstable();
            assert_eq!(all, [0, 1]);
            for sender in senders {
                sender.join().unwrap();
            }
        });
    }

    #[test]
    fn a_message_is_received_or_given_back_when_the_hub_ends() {
        model(|| {
            let inbox = Arc::new(Inbox::new());
            let epoch = inbox.open();
            let sender = {
                let inbox = Arc::clone(&inbox);
                thread::spawn(move || inbox.send(epoch, 7).is_err())
            };
            let left = inbox.close();
            let given_back = sender.join().unwrap();
            assert_eq!(left.len() + usize::from(given_back), 1, "seen exactly once");
            let next = inbox.open();
            assert_ne!(epoch, next);
            assert_eq!(
                inbox.send(epoch, 8),
                Err(8),
                "an old handle does not reach a new hub"
            );
        });
    }
}
