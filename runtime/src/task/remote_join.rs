//! Spawning on another thread's hub, and waiting for the result from anywhere.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Weak};
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::JoinError;
use super::spawn::spawn_in;
use crate::fiber::slot::Wait;
use crate::fiber::store;
use crate::hub::Hub;
use crate::hub::cancel::{self, Unwinding};
use crate::hub::current;
use crate::hub::remote::{FiberId, Message, Promise, Remote};
use crate::hub::sync_facade::MutexGuard;
use crate::hub::wait_list::WaitList;
use crate::hub::waiting::{Deadline, Entry, Lock, wait};
use crate::hub::waker::Waker;

/// A hub, as seen from any thread: closures can be sent to it.
#[derive(Clone)]
pub struct HubHandle {
    remote: &'static Remote,
    epoch: u64,
}

impl HubHandle {
    /// This thread's hub, made if there is none.
    ///
    /// # Panics
    ///
    /// As [`spawn`](crate::spawn()) does where a hub cannot be.
    #[must_use]
    pub fn current() -> Self {
        Self::of(current::hub())
    }

    pub(crate) fn of(hub: &Hub) -> Self {
        Self {
            remote: hub.remote,
            epoch: hub.epoch.get(),
        }
    }

    /// Runs `f` on a new fiber of that hub.
    ///
    /// Costs an allocation or three and, if the hub sleeps, one system call. If the hub has ended or ends before the fiber,
    /// `join` returns [`JoinError::HubEnded`] and `f` is dropped.
    ///
    /// # Examples
    ///
    /// ```
    /// let hub = kapok::HubHandle::current();
    /// let thread = std::thread::spawn(move || hub.spawn(|| 6 * 7).join());
    /// while !thread.is_finished() {
    ///     kapok::sleep(std::time::Duration::from_millis(1));
    /// }
    /// assert_eq!(thread.join().unwrap().unwrap(), 42);
    /// ```
    pub fn spawn<F, T>(&self, f: F) -> RemoteJoinHandle<T>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let packet = Packet::new();
        let completion = Completion(Some(packet.clone()));
        // Dropped unrun, the closure completes its packet with `HubEnded`.
        let start = move || {
            let hub = current::hub();
            if hub.stacks.class(0).has_room() {
                drop(spawn_in(hub, 0, move || completion.run(f)));
            } else {
                // No user code may run on the hub's loop, not even a destructor: what `f` owns is leaked.
                let _ = std::mem::ManuallyDrop::new(f);
                drop(completion);
            }
        };
        let promise: Weak<dyn Promise> = Arc::downgrade(&(Arc::clone(&packet) as Arc<dyn Promise>));
        self.remote.promise(promise);
        // If it comes back, dropping it completes the packet.
        drop(
            self.remote
                .send(self.epoch, Message::Spawn(Box::new(start))),
        );
        RemoteJoinHandle {
            packet,
            remote: self.remote,
            epoch: self.epoch,
        }
    }

    pub(crate) fn stop(&self, grace: Duration) {
        // A hub that is gone has stopped.
        drop(self.remote.send(self.epoch, Message::Stop { grace }));
    }
}

impl fmt::Debug for HubHandle {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("HubHandle")
            .field("epoch", &self.epoch)
            .finish_non_exhaustive()
    }
}

/// Owns the right to the result of a fiber on any hub. Usable from fibers of every hub and from plain threads; dropping it
/// detaches the fiber.
#[must_use = "dropping a handle detaches its fiber; join it, or say `drop(handle)`"]
pub struct RemoteJoinHandle<T> {
    packet: Arc<Packet<T>>,
    remote: &'static Remote,
    epoch: u64,
}

impl<T: Send> RemoteJoinHandle<T> {
    /// Waits for the fiber to end and returns its result. On a thread without a hub it parks the thread.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: the fiber panicked, was cancelled, or its hub ended.
    #[switchpoint(
        wakes = "the fiber's end",
        cancel = "the fiber is detached and runs on"
    )]
    pub fn join(self) -> Result<T, JoinError> {
        self.packet.wait(Wait::Join)
    }

    /// Asks the fiber to end, as [`JoinHandle::cancel`](crate::JoinHandle::cancel) does.
    ///
    /// Does not compile under `panic = "abort"`.
    pub fn cancel(&self) {
        const {
            assert!(
                cfg!(panic = "unwind"),
                "kapok: `RemoteJoinHandle::cancel` unwinds the fiber and needs `panic = \"unwind\"`"
            )
        };
        if let Some(id) = self.packet.request_cancel() {
            // A hub that is gone has no fiber to cancel.
            drop(self.remote.send(self.epoch, Message::Cancel(id)));
        }
    }

    /// Whether the fiber has ended, so that `join` would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.packet.lock().is_ready()
    }

    pub(crate) fn packet(&self) -> &Packet<T> {
        &self.packet
    }
}

impl<T> fmt::Debug for RemoteJoinHandle<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("RemoteJoinHandle")
            .finish_non_exhaustive()
    }
}

/// A result on its way from one thread to another.
pub(crate) struct Packet<T> {
    state: Lock<PacketState<T>>,
}

pub(crate) struct PacketState<T> {
    outcome: Outcome<T>,
    pub(crate) waiters: WaitList<()>,
    fiber: Option<FiberId>,
    is_cancelled: bool,
}

enum Outcome<T> {
    Pending,
    Ready(Result<T, JoinError>),
    Taken,
}

impl<T> Packet<T> {
    pub(crate) fn new() -> Arc<Self> {
        let state = PacketState {
            outcome: Outcome::Pending,
            waiters: WaitList::new(),
            fiber: None,
            is_cancelled: false,
        };
        Arc::new(Self {
            state: Lock::new(state),
        })
    }

    /// Leaves the result, unless there is one, and wakes who waits for it.
    pub(crate) fn complete(&self, result: Result<T, JoinError>) {
        let mut state = self.lock();
        if !matches!(state.outcome, Outcome::Pending) {
            drop(state);
            drop(result);
            return;
        }
        state.outcome = Outcome::Ready(result);
        state.waiters.grant_all();
    }

    /// Waits for the result, in a fiber or, without a hub, as a thread.
    #[inline]
    pub(crate) fn wait(&self, wait_for: Wait) -> Result<T, JoinError> {
        loop {
            if let Some(result) = self.wait_until(wait_for, Deadline::Never) {
                return result;
            }
        }
    }

    /// [`Self::wait`] for at most `timeout`; none if it has passed.
    pub(crate) fn wait_timeout(
        &self,
        wait_for: Wait,
        timeout: Duration,
    ) -> Option<Result<T, JoinError>> {
        self.wait_until(wait_for, Deadline::after(timeout))
    }

    #[inline]
    fn wait_until(&self, wait_for: Wait, deadline: Deadline) -> Option<Result<T, JoinError>> {
        let mut state = self.lock();
        if !state.is_ready() {
            let entry = Entry {
                list: |state: &mut PacketState<T>| &mut state.waiters,
                left: |_| (),
            };
            wait(&self.state, state, entry, &mut (), wait_for, deadline);
            state = self.lock();
        }
        match std::mem::replace(&mut state.outcome, Outcome::Taken) {
            Outcome::Ready(result) => Some(result),
            other => {
                state.outcome = other;
                None
            }
        }
    }

    /// The fiber to cancel, if it has begun; if not it will see the mark when it does.
    fn request_cancel(&self) -> Option<FiberId> {
        let mut state = self.lock();
        state.is_cancelled = true;
        state.fiber
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, PacketState<T>> {
        self.state.lock()
    }
}

impl<T> PacketState<T> {
    pub(crate) fn is_ready(&self) -> bool {
        !matches!(self.outcome, Outcome::Pending)
    }
}

impl<T: Send> Promise for Packet<T> {
    fn abandon(&self) {
        self.complete(Err(JoinError::HubEnded));
    }
}

/// Completes its packet whatever happens: a closure that is dropped unrun counts as one whose hub ended.
struct Completion<T>(Option<Arc<Packet<T>>>);

impl<T> Completion<T> {
    fn run<F: FnOnce() -> T>(mut self, f: F) {
        let packet = self.0.take().expect("invariant: taken here alone");
        let mut state = packet.lock();
        if let Waker::Fiber { id, .. } = Waker::current() {
            state.fiber = Some(id);
        }
        let is_cancelled = state.is_cancelled;
        drop(state);
        if is_cancelled {
            cancel::shielded(|| store::drop_quietly(f));
            packet.complete(Err(JoinError::Cancelled));
            return;
        }
        let result = catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
            match payload.downcast::<Unwinding>() {
                Ok(_) => JoinError::Cancelled,
                Err(payload) => JoinError::of_panic(payload),
            }
        });
        packet.complete(result);
    }
}

impl<T> Drop for Completion<T> {
    fn drop(&mut self) {
        if let Some(packet) = self.0.take() {
            packet.complete(Err(JoinError::HubEnded));
        }
    }
}
