//! Messages that the receivers of an unbounded channel have taken over from its queue, all at once, so as to have them without meeting
//! the senders at its lock for each.
//!
//! They are older than any in the queue. A batch is taken over under the channel's lock, and only when there is none: so who finds
//! neither a batch nor a message in the queue, under that lock, may wait.

use std::collections::VecDeque;
use std::mem;

use crate::hub::sync_facade::{AtomicUsize, Ordering};
use crate::hub::waiting::Lock;

/// A shorter queue is not worth it.
#[cfg(not(kapok_loom))]
pub(super) const BATCH_MIN: usize = 8;
#[cfg(kapok_loom)]
pub(super) const BATCH_MIN: usize = 1;

/// On a cache line of its own, which senders do not write.
#[repr(align(64))]
pub(super) struct Batch<T> {
    /// As many as there were when a receiver last had the lock.
    length: AtomicUsize,
    messages: Lock<VecDeque<T>>,
}

impl<T> Batch<T> {
    pub(super) fn new() -> Self {
        Self {
            length: AtomicUsize::new(0),
            messages: Lock::new(VecDeque::new()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.length.load(Ordering::Acquire)
    }

    /// The oldest message. If there is none no lock is taken.
    #[inline(always)]
    pub(super) fn take(&self) -> Option<T> {
        if self.len() == 0 {
            return None;
        }
        self.pop(&mut self.messages.lock())
    }

    /// Takes a long queue over and returns its first message. Called under the channel's lock, after [`take`](Self::take) has found none.
    pub(super) fn take_over(&self, queue: &mut VecDeque<T>) -> Option<T> {
        let mut messages = self.messages.lock();
        mem::swap(&mut *messages, queue);
        self.pop(&mut messages)
    }

    /// All that is left, when the last receiver is gone.
    pub(super) fn clear(&self) -> VecDeque<T> {
        let left = mem::take(&mut *self.messages.lock());
        self.length.store(0, Ordering::Release);
        left
    }

    #[inline(always)]
    fn pop(&self, messages: &mut VecDeque<T>) -> Option<T> {
        let message = messages.pop_front();
        self.length.store(messages.len(), Ordering::Release);
        message
    }
}
