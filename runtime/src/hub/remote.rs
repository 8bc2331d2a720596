//! What other threads may hold of a hub: a [`Remote`] is never freed, so wakers and handles are plain copies.

use std::os::fd::AsFd;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use super::inbox::{Inbox, Sent};
use super::poller::Notify;
use super::{Hub, wake};
use crate::hub::cancel;
use crate::hub::current;

/// The part of a hub that all threads share.
#[derive(Debug)]
pub(crate) struct Remote {
    pub(crate) inbox: Inbox<Message>,
    notifier: Mutex<Option<Notifier>>,
}

/// What a hub can be told.
pub(crate) enum Message {
    /// Spawns a fiber. The closure calls `spawn` on the hub's thread.
    Spawn(Box<dyn FnOnce() + Send>),
    /// Wakes a fiber, if it still is the same one.
    Wake(FiberId),
    /// Cancels a fiber, if it still is the same one.
    Cancel(FiberId),
    /// A handle of a registration was dropped on another thread. The descriptor stays open until the hub has let go of it.
    Release {
        index: u32,
        generation: u32,
        descriptor: Arc<dyn AsFd + Send + Sync>,
    },
    /// Begins to stop: listeners accept no more, and the root has this long to return.
    Stop { grace: Duration },
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
        }))
    }

    pub(super) fn open(&self, notifier: Arc<dyn Notify>) -> u64 {
        *self.notifier.lock().unwrap_or_else(PoisonError::into_inner) = Some(Notifier(notifier));
        self.inbox.open()
    }

    /// Ends the listening and returns what was not received.
    pub(crate) fn close(&self) -> Vec<Message> {
        let left = self.inbox.close();
        self.notifier
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .take();
        left
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
            Self::Stop { .. } => "Stop",
        })
    }
}

impl Hub {
    pub(super) fn handle(&self, message: Message) {
        match message {
            Message::Spawn(spawn) => spawn(),
            Message::Wake(id) => {
                if let Some(fiber) = self.fiber(id) {
                    wake(self, fiber);
                }
            }
            Message::Cancel(id) => {
                if let Some(fiber) = self.fiber(id) {
                    cancel::cancel(self, fiber);
                }
            }
            Message::Release {
                index,
                generation,
                descriptor,
            } => self.release_source(index, generation, &*descriptor),
            Message::Stop { grace } => {
                self.stop_listening();
                cancel::limit_root(self, grace);
            }
        }
    }

    #[inline(always)]
    fn fiber(&self, id: FiberId) -> Option<&'static crate::fiber::FiberSlot> {
        self.slots
            .at(id.index)
            .filter(|fiber| fiber.serial.get() == id.serial)
    }
}

/// Wakes what waits: a fiber of any hub, or a thread that has none.
#[derive(Clone, Debug)]
pub(crate) enum Waker {
    Fiber {
        remote: &'static Remote,
        epoch: u64,
        id: FiberId,
    },
    Thread(std::thread::Thread),
}

impl Waker {
    /// For the running fiber, or for this thread if it has no hub.
    pub(crate) fn current() -> Self {
        match (current::existing_hub(), current::fiber()) {
            (Some(hub), Some(fiber)) => Self::Fiber {
                remote: hub.remote,
                epoch: hub.epoch.get(),
                id: FiberId {
                    index: fiber.index,
                    serial: fiber.serial.get(),
                },
            },
            _ => Self::Thread(std::thread::current()),
        }
    }

    /// Enqueues. Does nothing if the fiber or its hub is gone.
    #[inline(always)]
    pub(crate) fn wake(&self) {
        if let Self::Fiber { remote, id, .. } = self
            && let Some(hub) = current::existing_hub()
            && std::ptr::eq(hub.remote, *remote)
        {
            if let Some(fiber) = hub.fiber(*id) {
                wake(hub, fiber);
            }
            return;
        }
        self.wake_elsewhere();
    }

    #[cold]
    #[inline(never)]
    fn wake_elsewhere(&self) {
        match self {
            // If the hub is gone, so is the fiber.
            Self::Fiber { remote, epoch, id } => drop(remote.send(*epoch, Message::Wake(*id))),
            Self::Thread(thread) => thread.unpark(),
        }
    }
}
