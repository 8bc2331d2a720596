//! A descriptor's tie to a hub.

use std::cell::Cell;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll};

use super::remote::{Message, Remote};
use super::sources::{Direction, Source};
use super::tasks::Serve;
use super::{Hub, park_until};
use crate::fiber::slot::Wait;
use crate::hub::cancel;
use crate::hub::current;

/// A non-blocking descriptor and its registration with the hub that last waited for it.
///
/// It holds numbers, no pointers, so it may move to another thread: it is registered anew with the hub that next waits for it,
/// and the old hub is told to let go. Clones share the descriptor, and on one hub the registration.
#[derive(Debug)]
pub(crate) struct Registered<S: AsFd + Send + Sync + 'static> {
    shared: Arc<Shared<S>>,
    registration: Cell<Option<Registration>>,
}

#[derive(Debug)]
pub(crate) struct Shared<S> {
    io: S,
    is_closed: AtomicBool,
    /// One for each hub that watches the descriptor: handles of one hub share theirs.
    registrations: Mutex<Vec<Registration>>,
}

#[derive(Clone, Copy, Debug)]
struct Registration {
    remote: &'static Remote,
    epoch: u64,
    index: u32,
    generation: u32,
    /// Its driver forgets a descriptor that is closed.
    forgets_closed: bool,
}

impl<S> Shared<S> {
    fn registrations(&self) -> MutexGuard<'_, Vec<Registration>> {
        // Nothing under the lock panics half-way.
        self.registrations
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}

impl<S: AsFd> AsFd for Shared<S> {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.io.as_fd()
    }
}

impl<S: AsFd + Send + Sync + 'static> Registered<S> {
    pub(crate) fn new(io: S) -> Self {
        Self {
            shared: Arc::new(Shared {
                io,
                is_closed: AtomicBool::new(false),
                registrations: Mutex::new(Vec::new()),
            }),
            registration: Cell::new(None),
        }
    }

    #[inline(always)]
    pub(crate) fn io(&self) -> &S {
        &self.shared.io
    }

    /// Another handle of the same descriptor.
    pub(crate) fn share(&self) -> Self {
        let shared = Arc::clone(&self.shared);
        let registration = self.registration.get().filter(|registration| {
            let here = current::existing_hub().and_then(|hub| registration.source(hub));
            if let Some(source) = here {
                source.references.set(source.references.get() + 1);
            }
            here.is_some()
        });
        Self {
            shared,
            registration: Cell::new(registration),
        }
    }

    /// The descriptor itself, free of any hub; none if other handles share it.
    pub(crate) fn into_inner(self) -> Result<S, Self> {
        if Arc::strong_count(&self.shared) > 1 {
            return Err(self);
        }
        self.release(true);
        let shared = Arc::clone(&self.shared);
        if Arc::weak_count(&shared) > 0 {
            // Hubs that are to let go of it have not, and can only as long as it is open.
            for registration in shared.registrations().iter() {
                registration.let_go(shared.clone(), true);
            }
        }
        drop(self);
        match Arc::try_unwrap(shared) {
            Ok(shared) => Ok(shared.io),
            Err(shared) => Err(Self {
                shared,
                registration: Cell::new(None),
            }),
        }
    }

    /// Marks the descriptor as closed for all handles and wakes who waits for it, on this hub and on others.
    pub(crate) fn close(&self) {
        if self.shared.is_closed.swap(true, Ordering::AcqRel) {
            return;
        }
        // Whoever registers it after this finds it closed.
        let registrations = self.shared.registrations().clone();
        let hub = current::existing_hub();
        for registration in registrations {
            match hub.filter(|hub| registration.is_of(hub)) {
                Some(hub) => {
                    if let Some(source) = registration.source(hub) {
                        source.wake_all(hub);
                    }
                }
                None => registration.interrupt(),
            }
        }
    }

    #[inline(always)]
    pub(crate) fn is_closed(&self) -> bool {
        self.shared.is_closed.load(Ordering::Acquire)
    }

    /// The hub's source, if the descriptor is registered with it.
    #[inline(always)]
    pub(crate) fn source(&self, hub: &Hub) -> Option<&'static Source> {
        self.registration
            .get()
            .and_then(|registration| registration.source(hub))
    }

    /// The hub's source; the descriptor is registered with it if it is not.
    pub(crate) fn register(&self, hub: &'static Hub) -> io::Result<&'static Source> {
        if let Some(source) = self.source(hub) {
            return Ok(source);
        }
        self.release(false);
        let mut registrations = self.shared.registrations();
        registrations
            .retain(|known| !std::ptr::eq(known.remote, hub.remote) || known.source(hub).is_some());
        if let Some(known) = registrations.iter().find(|known| known.is_of(hub)).copied()
            && let Some(source) = known.source(hub)
        {
            source.references.set(source.references.get() + 1);
            self.registration.set(Some(known));
            return Ok(source);
        }
        let source = hub.add_source(self.shared.as_fd())?;
        let registration = Registration {
            remote: hub.remote,
            epoch: hub.epoch.get(),
            index: source.index,
            generation: source.generation.get(),
            forgets_closed: hub.reports_peer_shutdown(),
        };
        registrations.push(registration);
        self.registration.set(Some(registration));
        Ok(source)
    }

    /// Waits until the direction may be tried again, or `deadline` (in the hub's nanoseconds) has passed.
    ///
    /// The caller has just seen that the operation would block.
    #[inline(always)]
    pub(crate) fn wait(
        &self,
        hub: &'static Hub,
        direction: Direction,
        wait: Wait,
        deadline: u64,
    ) -> io::Result<()> {
        let is_ready = |source: &Source| source.is_ready(direction);
        match self.wait_until(hub, direction, wait, deadline, is_ready)? {
            true => Ok(()),
            false => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Waits until `deadline` whatever the events say, which others may wait for. Fails as soon as waiting is pointless.
    pub(crate) fn wait_out(
        &self,
        hub: &'static Hub,
        direction: Direction,
        wait: Wait,
        deadline: u64,
    ) -> io::Result<()> {
        self.wait_until(hub, direction, wait, deadline, |_| false)
            .map(drop)
    }

    /// Returns whether `ends` said so before the deadline.
    #[inline(always)]
    fn wait_until(
        &self,
        hub: &'static Hub,
        direction: Direction,
        wait: Wait,
        deadline: u64,
        ends: impl Fn(&Source) -> bool,
    ) -> io::Result<bool> {
        let source = self.register(hub)?;
        if wait == Wait::Accept {
            source.is_listener.set(true);
        }
        let fiber = current::running_fiber();
        let calm = cancel::is_calm();
        loop {
            self.may_wait(hub, wait)?;
            source.add_waiter(direction, fiber);
            let expired = park_until(hub, fiber, wait, deadline);
            source.remove_waiter(direction, fiber);
            if ends(source) {
                return Ok(true);
            }
            cancel::throw_after_wait(fiber, calm);
            if expired {
                return Ok(false);
            }
        }
    }

    /// Tries the operation for a task. If it would block, leaves the task's waker where the next event finds it.
    ///
    /// Never switches, unless the task's waker does when it is cloned or dropped. Timeouts of the stream are not looked at.
    pub(crate) fn poll<T>(
        &self,
        context: &mut Context<'_>,
        direction: Direction,
        serve: Serve,
        mut operation: impl FnMut(&S) -> io::Result<T>,
    ) -> Poll<io::Result<T>> {
        let hub = current::hub();
        if !hub.take_budget() {
            // Whoever polls lets others run before it polls again.
            context.waker().wake_by_ref();
            return Poll::Pending;
        }
        let wait = match direction {
            Direction::Read => Wait::Read,
            Direction::Write => Wait::Write,
        };
        loop {
            let source = self.source(hub);
            if source.is_none_or(|source| source.is_ready(direction)) || self.is_closed() {
                match operation(self.io()) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        if let Some(source) = source {
                            source.clear_ready(direction);
                        }
                    }
                    Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                    Ok(_) | Err(_) if self.is_closed() => return Poll::Ready(Err(closed())),
                    result => return Poll::Ready(result),
                }
            }
            let source = self.register(hub)?;
            hub.tasks.serve_by(serve);
            source.set_task(direction, context.waker());
            // Last, as the waker's code may have let others run.
            self.may_wait(hub, wait)?;
            if !source.is_ready(direction) {
                return Poll::Pending;
            }
        }
    }

    /// What makes waiting pointless.
    #[inline(always)]
    fn may_wait(&self, hub: &Hub, wait: Wait) -> io::Result<()> {
        if self.is_closed() {
            return Err(closed());
        }
        if hub.is_expired.get() || (wait == Wait::Accept && hub.is_stopping.get()) {
            return Err(stopped(wait));
        }
        Ok(())
    }

    /// Gives the registration back, here or by a message to the hub that has it.
    fn release(&self, keeps_open: bool) {
        let Some(registration) = self.registration.take() else {
            return;
        };
        match current::existing_hub() {
            Some(hub) if registration.is_of(hub) => {
                if let Some(source) = registration.source(hub) {
                    // The kernel forgets a descriptor that is closed; one that stays open must be taken out.
                    let stays_open = keeps_open
                        || Arc::strong_count(&self.shared) > 1
                        || !hub.reports_peer_shutdown();
                    // Nobody else can poll it, and this is a fiber's stack: their wakers may be dropped.
                    drop(hub.drop_reference(source, stays_open.then(|| self.shared.as_fd())));
                }
            }
            _ => {
                let stays_open = keeps_open || !registration.forgets_closed;
                registration.let_go(self.shared.clone(), stays_open);
            }
        }
    }
}

/// [`Registered::wait`] for several sources at once, which nobody else can close: until the direction of one of them may be tried, or
/// `deadline` has passed. Returns whether one may. The caller has just seen that all would block.
pub(crate) fn wait_for_any(
    hub: &'static Hub,
    sources: &[(&'static Source, Direction)],
    wait: Wait,
    deadline: u64,
) -> io::Result<bool> {
    let is_any_ready = || {
        let mut sources = sources.iter();
        sources.any(|(source, direction)| source.is_ready(*direction))
    };
    let fiber = current::running_fiber();
    let calm = cancel::is_calm();
    loop {
        if hub.is_expired.get() {
            return Err(stopped(wait));
        }
        // A source that was just made hears of what is ready by an event, one that was there may have become ready meanwhile.
        if is_any_ready() {
            return Ok(true);
        }
        for (source, direction) in sources {
            source.add_waiter(*direction, fiber);
        }
        let expired = park_until(hub, fiber, wait, deadline);
        for (source, direction) in sources {
            source.remove_waiter(*direction, fiber);
        }
        if is_any_ready() {
            return Ok(true);
        }
        cancel::throw_after_wait(fiber, calm);
        if expired {
            return Ok(false);
        }
    }
}

impl<S: AsFd + Send + Sync + 'static> Drop for Registered<S> {
    fn drop(&mut self) {
        self.release(false);
    }
}

impl Registration {
    #[inline(always)]
    fn is_of(self, hub: &Hub) -> bool {
        std::ptr::eq(self.remote, hub.remote) && self.epoch == hub.epoch.get()
    }

    /// Has the hub of another thread let go of the descriptor, which stays open until then, or may be closed before.
    fn let_go(self, descriptor: Arc<dyn AsFd + Send + Sync>, stays_open: bool) {
        // A hub that is gone has let go of it.
        self.tell(Message::Release {
            index: self.index,
            generation: self.generation,
            descriptor: Arc::downgrade(&descriptor),
            kept_open: stays_open.then_some(descriptor),
        });
    }

    /// Has the hub of another thread wake who waits there.
    fn interrupt(self) {
        // On a hub that is gone nobody waits.
        self.tell(Message::Interrupt {
            index: self.index,
            generation: self.generation,
        });
    }

    fn tell(self, message: Message) {
        drop(self.remote.send(self.epoch, message));
    }

    #[inline(always)]
    fn source(self, hub: &Hub) -> Option<&'static Source> {
        if !self.is_of(hub) {
            return None;
        }
        hub.sources
            .at(self.index)
            .filter(|source| source.generation.get() == self.generation)
    }
}

#[cold]
pub(crate) fn closed() -> io::Error {
    io::Error::new(io::ErrorKind::NotConnected, "closed by this program")
}

#[cold]
pub(crate) fn stopped(wait: Wait) -> io::Error {
    if wait == Wait::Accept {
        io::Error::new(
            io::ErrorKind::ConnectionAborted,
            "the hub is stopping and accepts no more",
        )
    } else {
        io::Error::new(io::ErrorKind::TimedOut, "the hub has stopped")
    }
}
