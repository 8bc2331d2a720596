//! How other threads reach a hub: a list of messages, and a flag that says whether the hub must be woken to see them.
//!
//! # Protocol
//!
//! ```text
//! sender:  push under the lock (pending = true, SeqCst)   then  parked.swap(false, SeqCst) → was true: write the eventfd
//! hub:     parked = true (SeqCst)  then  pending.load(SeqCst) → true: do not block   else  wait for events, parked = false
//! ```
//!
//! Both sides write their own flag before they read the other's, all sequentially consistent, so at least one of them sees
//! the other: a message is never left lying while the hub sleeps. A running hub has `parked == false`, so to wake it costs no
//! system call, and of a batch of senders to a parked hub only the first writes. The loom model is `tests` below.

use super::sync_facade::{AtomicBool, Mutex, MutexGuard, Ordering};

/// Messages of one kind for one hub.
#[derive(Debug)]
pub(crate) struct Inbox<M> {
    list: Mutex<List<M>>,
    pending: AtomicBool,
    parked: AtomicBool,
}

#[derive(Debug)]
struct List<M> {
    messages: Vec<M>,
    /// Odd while a hub listens; counts up at each opening and closing, so that an old handle cannot reach a new hub.
    epoch: u64,
}

/// What a sender has to do after its message lies in the list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sent {
    /// The hub runs and will look.
    Seen,
    /// The hub sleeps: write to its eventfd.
    MustNotify,
}

impl<M> Inbox<M> {
    pub(crate) fn new() -> Self {
        Self {
            list: Mutex::new(List {
                messages: Vec::new(),
                epoch: 0,
            }),
            pending: AtomicBool::new(false),
            parked: AtomicBool::new(false),
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
        self.pending.store(false, Ordering::SeqCst);
        std::mem::take(&mut list.messages)
    }

    /// Leaves a message. The message comes back if the hub of that epoch does not listen any more.
    pub(crate) fn send(&self, epoch: u64, message: M) -> Result<Sent, M> {
        let mut list = self.lock();
        if list.epoch != epoch {
            return Err(message);
        }
        list.messages.push(message);
        self.pending.store(true, Ordering::SeqCst);
        drop(list);
        if self.parked.swap(false, Ordering::SeqCst) {
            Ok(Sent::MustNotify)
        } else {
            Ok(Sent::Seen)
        }
    }

    /// Whether there may be messages: what a running hub asks between two fibers.
    #[inline(always)]
    pub(crate) fn is_pending(&self) -> bool {
        self.pending.load(Ordering::Relaxed)
    }

    /// Exchanges `received`, which must be empty, for all messages.
    pub(crate) fn receive(&self, received: &mut Vec<M>) {
        debug_assert!(
            received.is_empty(),
            "messages are handled before the next ones are taken"
        );
        let mut list = self.lock();
        self.pending.store(false, Ordering::SeqCst);
        std::mem::swap(&mut list.messages, received);
    }

    /// Announces that the hub is going to sleep. If it may not (there are messages) the announcement is taken back.
    pub(crate) fn may_park(&self) -> bool {
        self.parked.store(true, Ordering::SeqCst);
        if self.pending.load(Ordering::SeqCst) {
            self.parked.store(false, Ordering::SeqCst);
            return false;
        }
        true
    }

    /// The hub is awake again.
    pub(crate) fn unparked(&self) {
        self.parked.store(false, Ordering::SeqCst);
    }

    fn lock(&self) -> MutexGuard<'_, List<M>> {
        // No code of ours panics under the lock, and what is there stays right if one did.
        self.list
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}
