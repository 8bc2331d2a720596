//! What other threads may hold of a hub: a [`Remote`] is never freed, so wakers and handles are plain copies.

use std::collections::HashSet;
use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use super::Hub;
use super::inbox::{Coalesce, Inbox, Sent};
use super::poller::Notify;
use super::registry;
use super::task_timers::SharedTimer;
use crate::fiber::store;
use crate::hub::cancel;

/// The part of a hub that all threads share.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) inbox: Inbox<Message>,
    notifier: Mutex<Option<Notifier>>,
    promises: Mutex<Promises>,
}

/// A result that somebody may wait for on another thread.
pub(crate) trait Promise: Send + Sync {
    /// The hub has ended: there will be none, unless it is there already.
    fn abandon(&self);
}

/// Promises kept before those that nobody holds any more are looked for.
const PROMISES_UNPRUNED: usize = 64;

#[derive(Default)]
struct Promises {
    open: Vec<Weak<dyn Promise>>,
    /// At this many those that nobody holds any more are taken out.
    prune_at: usize,
}

impl std::fmt::Debug for Promises {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Promises")
    }
}

/// What a hub can be told.
pub(crate) enum Message {
    /// Spawns a fiber. The closure calls `spawn` on the hub's thread.
    Spawn(Box<dyn FnOnce() + Send>),
    /// Wakes a fiber, if it still is the same one.
    Wake(FiberId),
    /// Cancels a fiber, if it still is the same one.
    Cancel(FiberId),
    /// A handle of a registration was dropped on another thread. The descriptor is closed whatever the hub is busy with, unless its
    /// driver must let go of it before.
    Release {
        index: u32,
        generation: u32,
        descriptor: Weak<dyn AsFd + Send + Sync>,
        kept_open: Option<Arc<dyn AsFd + Send + Sync>>,
    },
    /// A descriptor was closed on another thread: whoever waits for it here is to look at it again.
    Interrupt { index: u32, generation: u32 },
    /// A timer of a task was dropped on another thread.
    DropTimer(Arc<SharedTimer>),
    /// Begins to stop: listeners accept no more, and the root has this long to return.
    Stop { grace: Duration },
}

impl Coalesce for Message {
    fn coalesce(messages: &mut Vec<Self>) {
        let (mut known, mut least) = (HashSet::new(), None);
        messages.retain(|message| match message {
            Self::Stop { grace } => {
                let says_more = least.is_none_or(|least| *grace < least);
                least = if says_more { Some(*grace) } else { least };
                says_more
            }
            Self::Wake(id) => known.insert((0, *id)),
            Self::Cancel(id) => known.insert((1, *id)),
            _ => true,
        });
    }
}

/// A fiber of a hub, by number: safe to keep, whatever became of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct FiberId {
    pub(crate) index: u32,
    /// 64 bits wide: 32 would wrap in 100 s of spawning and joining.
    pub(crate) serial: u64,
}

impl Remote {
    pub(super) fn new() -> &'static Self {
        Box::leak(Box::new(Self {
            inbox: Inbox::new(),
            notifier: Mutex::new(None),
            promises: Mutex::default(),
        }))
    }

    pub(super) fn open(&self, notifier: Arc<dyn Notify>) -> u64 {
        *self.notifier.lock().unwrap_or_else(PoisonError::into_inner) = Some(Notifier(notifier));
        self.inbox.open()
    }

    /// Ends the listening and returns what was not received.
    pub(crate) fn close(&self) -> Vec<Message> {
        registry::leave(self);
        let left = self.inbox.close();
        self.notifier
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        let promises = std::mem::take(&mut *self.promises());
        for promise in promises.open.iter().filter_map(Weak::upgrade) {
            promise.abandon();
            // We may be the last to hold it, and what it holds is the user's.
            store::drop_quietly(promise);
        }
        left
    }

    /// Has the promise abandoned when the hub ends. To be called before its message is sent.
    pub(crate) fn promise(&self, promise: Weak<dyn Promise>) {
        let mut promises = self.promises();
        if promises.open.len() >= promises.prune_at.max(PROMISES_UNPRUNED) {
            promises.open.retain(|promise| promise.strong_count() > 0);
            promises.prune_at = promises.open.len() * 2;
        }
        promises.open.push(promise);
    }

    fn promises(&self) -> MutexGuard<'_, Promises> {
        // No user code runs under the lock.
        self.promises.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sends a message to the hub of that epoch, and wakes it if it sleeps. Gives the message back if the hub is gone.
    pub(crate) fn send(&self, epoch: u64, message: Message) -> Result<(), Message> {
        if self.inbox.send(epoch, message)? == Sent::MustNotify {
            let notifier = self.notifier.lock().unwrap_or_else(PoisonError::into_inner);
            if let Some(Notifier(notifier)) = notifier.as_ref() {
                notifier.notify();
            }
        }
        Ok(())
    }
}

/// For the `Debug` of what holds it.
struct Notifier(Arc<dyn Notify>);

impl std::fmt::Debug for Notifier {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Notifier")
    }
}

impl std::fmt::Debug for Message {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self {
            Self::Spawn(_) => "Spawn",
            Self::Wake(_) => "Wake",
            Self::Cancel(_) => "Cancel",
            Self::Release { .. } => "Release",
            Self::Interrupt { .. } => "Interrupt",
            Self::DropTimer(_) => "DropTimer",
            Self::Stop { .. } => "Stop",
        })
    }
}

impl Hub {
    pub(super) fn handle(&self, message: Message) {
        match message {
            Message::Spawn(spawn) => spawn(),
            Message::Wake(id) => self.unpark(id),
            Message::Cancel(id) => {
                if let Some(fiber) = self.fiber(id) {
                    cancel::cancel(self, fiber);
                }
            }
            Message::Release {
                index,
                generation,
                descriptor,
                kept_open: _kept_open,
            } => self.release_source(index, generation, descriptor.upgrade().as_deref()),
            Message::Interrupt { index, generation } => self.interrupt_source(index, generation),
            Message::DropTimer(timer) => self.timers.tasks.remove(&timer),
            Message::Stop { grace } => {
                let deadline = self.clock.deadline_after(grace);
                if !self.is_stopping.get() || deadline < self.stop_deadline.get() {
                    self.stop_deadline.set(deadline);
                    cancel::limit_root(self, deadline);
                    self.stop_listening();
                }
            }
        }
    }

    #[inline(always)]
    pub(crate) fn fiber(&self, id: FiberId) -> Option<&'static crate::fiber::FiberSlot> {
        self.slots
            .at(id.index)
            .filter(|fiber| fiber.serial.get() == id.serial)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wakes_that_say_nothing_new_do_not_pile_up() {
        let inbox = Inbox::new();
        let epoch = inbox.open();
        let id = |number: u32| FiberId {
            index: number % 3,
            serial: u64::from(number % 3) + 1,
        };
        for number in 0..100_000 {
            inbox.send(epoch, Message::Wake(id(number))).unwrap();
            if number % 1000 == 0 {
                inbox.send(epoch, Message::Spawn(Box::new(|| ()))).unwrap();
            }
        }
        inbox.send(epoch, Message::Cancel(id(0))).unwrap();
        let mut received = Vec::new();
        inbox.receive(&mut received);
        assert!(received.len() < 2048, "{}", received.len());
        let spawns = received.iter().filter(|m| matches!(m, Message::Spawn(_)));
        assert_eq!(spawns.count(), 100);
        assert!((0..3).all(|number| {
            received
                .iter()
                .any(|message| matches!(message, Message::Wake(woken) if *woken == id(number)))
        }));
        assert!(matches!(received.last(), Some(Message::Cancel(_))));
    }
}
