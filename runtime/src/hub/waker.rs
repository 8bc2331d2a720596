//! What wakes a waiting fiber or thread, from any thread.

use std::cell::OnceCell;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use super::remote::{FiberId, Message, Remote};
use super::sync_facade::{Thread, current_thread};
use super::{Hub, wake};
use crate::fiber::FiberSlot;
use crate::hub::cancel;
use crate::hub::current;

/// Wakes what waits: a fiber of any hub, or a thread that has none.
#[derive(Clone, Debug)]
pub(crate) enum Waker {
    Fiber {
        remote: &'static Remote,
        epoch: u64,
        id: FiberId,
    },
    Thread(Arc<BareThread>),
}

/// A thread that was asked for while it had no hub. It may get one later, and then its root fiber is meant.
#[derive(Debug)]
pub(crate) struct BareThread {
    thread: Thread,
    root: Mutex<Option<Waker>>,
}

thread_local! {
    static BARE: OnceCell<Arc<BareThread>> = const { OnceCell::new() };
}

impl BareThread {
    fn new() -> Arc<Self> {
        Arc::new(Self {
            thread: current_thread(),
            root: Mutex::new(None),
        })
    }

    /// This thread. While its locals are destroyed nobody will find its hub through it, as it gets none any more.
    #[cold]
    fn current() -> Arc<Self> {
        if cfg!(kapok_loom) {
            return Self::new(); // all threads of a model are one to std
        }
        BARE.try_with(|bare| Arc::clone(bare.get_or_init(Self::new)))
            .unwrap_or_else(|_| Self::new())
    }

    pub(crate) fn name(&self) -> Option<&str> {
        self.thread.name()
    }

    fn wake(&self) {
        self.thread.unpark();
        let root = self.root().clone();
        if let Some(root) = root {
            root.wake();
        }
    }

    fn root(&self) -> MutexGuard<'_, Option<Waker>> {
        // No user code runs under the lock.
        self.root.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A hub has been made: wakers of the thread now reach its root fiber.
pub(super) fn take_over_thread(root: &FiberSlot) {
    // A thread that nobody asked for has nothing to take over; one whose locals are gone makes no hub.
    let _ = BARE.try_with(|bare| {
        if let Some(bare) = bare.get() {
            bare.root().replace(Waker::current());
            // It may have been woken already.
            root.unparked.set(true);
        }
    });
}

/// The hub ends: wakers of the thread reach the thread again.
pub(super) fn leave_thread() {
    // If the thread's locals are gone the waker stays, and finds the hub closed.
    let _ = BARE.try_with(|bare| bare.get().map(|bare| bare.root().take()));
}

impl Waker {
    /// For the running fiber, or for this thread if it has no hub.
    #[inline(always)]
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
            _ => Self::Thread(BareThread::current()),
        }
    }

    /// Whether it is for the running fiber, or for this thread, whose root fiber runs if it has got a hub since.
    pub(crate) fn is_current(&self) -> bool {
        let fiber = current::fiber();
        match self {
            Self::Fiber { remote, id, .. } => {
                current::existing_hub().is_some_and(|hub| std::ptr::eq(hub.remote, *remote))
                    && fiber.is_some_and(|fiber| fiber.serial.get() == id.serial)
            }
            Self::Thread(_) => fiber.is_none_or(|fiber| fiber.yielder.get().is_none()),
        }
    }

    /// The same for all wakers of one fiber, and for no other's while one of them lives.
    pub(crate) fn identity(&self) -> impl Eq + Hash {
        match self {
            Self::Fiber { remote, epoch, id } => {
                let remote: *const Remote = *remote;
                (remote.cast::<()>(), Some((*epoch, *id)))
            }
            Self::Thread(bare) => (Arc::as_ptr(bare).cast::<()>(), None),
        }
    }

    /// Enqueues. Does nothing if the fiber or its hub is gone.
    #[inline(always)]
    pub(crate) fn wake(&self) {
        if !self.wake_here() {
            self.wake_elsewhere();
        }
    }

    /// [`wake`](Self::wake) if it is for a fiber of this hub. Returns whether it is.
    #[inline(always)]
    pub(crate) fn wake_here(&self) -> bool {
        if let Self::Fiber { remote, id, .. } = self
            && let Some(hub) = current::existing_hub()
            && std::ptr::eq(hub.remote, *remote)
        {
            hub.unpark(*id);
            return true;
        }
        false
    }

    /// Cancels the fiber. Does nothing if it or its hub is gone, nor to a thread without a hub.
    pub(crate) fn cancel(&self) {
        let Self::Fiber { remote, epoch, id } = self else {
            return;
        };
        match current::existing_hub() {
            Some(hub) if std::ptr::eq(hub.remote, *remote) => {
                if let Some(fiber) = hub.fiber(*id) {
                    cancel::cancel(hub, fiber);
                }
            }
            _ => drop(remote.send(*epoch, Message::Cancel(*id))),
        }
    }

    #[cold]
    #[inline(never)]
    pub(crate) fn wake_elsewhere(&self) {
        match self {
            // If the hub is gone, so is the fiber.
            Self::Fiber { remote, epoch, id } => drop(remote.send(*epoch, Message::Wake(*id))),
            Self::Thread(bare) => bare.wake(),
        }
    }
}

impl Hub {
    /// Wakes a fiber of this hub for a waker, if it still is the same one.
    #[inline(always)]
    pub(super) fn unpark(&self, id: FiberId) {
        if let Some(fiber) = self.fiber(id) {
            fiber.unparked.set(true);
            wake(self, fiber);
        }
    }
}
