//! Descriptors that a hub watches, and the fibers and tasks that wait for them.
//!
//! A source is made when an operation on a descriptor first would block, and stays until the last handle on this hub is
//! dropped: one registration with the driver in a descriptor's life. `ready` is what is known without asking the kernel: set
//! by an event, cleared by an operation that would have blocked or that drained the descriptor. Between an operation and the
//! clearing no other code of the hub runs, so no newer event can be lost.
//!
//! Events carry a token of index and generation. An event for a source that was given back meanwhile (its descriptor number
//! may belong to another socket by now) has an old generation and is ignored. The generation is 32 bits wide there; if it
//! ever wrapped the consequence would be one needless attempt, no more.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::task;

use super::poller::Event;
use super::{Hub, wake};
use crate::fiber::FiberSlot;
use crate::slab::SlabCell;

/// What a fiber wants to do with a descriptor.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Direction {
    /// Reading, receiving, accepting.
    Read,
    /// Writing, sending, connecting.
    Write,
}

#[derive(Debug)]
pub(crate) struct Source {
    next: Cell<Option<&'static Self>>,
    pub(crate) index: u32,
    pub(crate) generation: Cell<u32>,
    /// Handles of this hub that share it; 0 in a free source.
    pub(crate) references: Cell<u32>,
    /// Accepts connections: a stopping hub ends its waits.
    pub(crate) is_listener: Cell<bool>,
    /// It stays readable whatever a short read suggests: see [`Event::hides_rest`].
    hides_rest: Cell<bool>,
    read: Interest,
    write: Interest,
}

#[derive(Debug, Default)]
struct Interest {
    ready: Cell<bool>,
    /// The fiber that waits; more of them are rare.
    waiter: Cell<Option<&'static FiberSlot>>,
    more: RefCell<VecDeque<&'static FiberSlot>>,
    /// The task that polled last.
    task: RefCell<Option<task::Waker>>,
}

impl SlabCell for Source {
    fn new(index: u32) -> Self {
        Self {
            next: Cell::new(None),
            index,
            generation: Cell::new(0),
            references: Cell::new(0),
            is_listener: Cell::new(false),
            hides_rest: Cell::new(false),
            read: Interest::default(),
            write: Interest::default(),
        }
    }

    fn next_free(&self) -> &Cell<Option<&'static Self>> {
        &self.next
    }
}

impl Source {
    /// Makes a free source ready for a new descriptor.
    pub(super) fn reset(&self) {
        self.references.set(1);
        self.is_listener.set(false);
        self.hides_rest.set(false);
        self.read.ready.set(false);
        self.write.ready.set(false);
    }

    pub(super) fn token(&self) -> u64 {
        u64::from(self.generation.get()) << 32 | u64::from(self.index)
    }

    #[inline(always)]
    pub(crate) fn is_ready(&self, direction: Direction) -> bool {
        self.interest(direction).ready.get()
    }

    /// To be tried again, whatever the events say, by all who wait.
    pub(crate) fn set_ready(&self, hub: &Hub, direction: Direction) {
        self.interest(direction).report(hub);
    }

    /// An operation would have blocked.
    #[inline(always)]
    pub(crate) fn clear_ready(&self, direction: Direction) {
        self.interest(direction).ready.set(false);
    }

    /// A read returned less than asked for: nothing is left, unless an event said otherwise.
    #[inline(always)]
    pub(crate) fn drained(&self) {
        self.read.ready.set(self.hides_rest.get());
    }

    #[inline(always)]
    pub(crate) fn add_waiter(&self, direction: Direction, fiber: &'static FiberSlot) {
        let interest = self.interest(direction);
        if interest.waiter.get().is_none() {
            interest.waiter.set(Some(fiber));
        } else {
            interest.more.borrow_mut().push_back(fiber);
        }
    }

    #[inline(always)]
    pub(crate) fn remove_waiter(&self, direction: Direction, fiber: &'static FiberSlot) {
        let interest = self.interest(direction);
        if interest
            .waiter
            .get()
            .is_some_and(|waiter| std::ptr::eq(waiter, fiber))
        {
            interest.waiter.set(None);
        } else {
            // They are woken in their order: the one that runs is the first.
            let mut more = interest.more.borrow_mut();
            if let Some(place) = more.iter().position(|waiter| std::ptr::eq(*waiter, fiber)) {
                more.remove(place);
            }
        }
    }

    /// Leaves a task's waker for the next event, in the place of the last one. May run the code of both.
    pub(crate) fn set_task(&self, direction: Direction, waker: &task::Waker) {
        let place = &self.interest(direction).task;
        let is_known = place
            .borrow()
            .as_ref()
            .is_some_and(|known| known.will_wake(waker));
        if !is_known {
            let waker = waker.clone();
            let last = place.replace(Some(waker));
            drop(last);
        }
    }

    /// Wakes all who wait, in both directions, to look at the world again.
    pub(crate) fn wake_all(&self, hub: &Hub) {
        self.read.wake(hub);
        self.write.wake(hub);
    }

    fn interest(&self, direction: Direction) -> &Interest {
        match direction {
            Direction::Read => &self.read,
            Direction::Write => &self.write,
        }
    }
}

impl Interest {
    fn report(&self, hub: &Hub) {
        self.ready.set(true);
        self.wake(hub);
    }

    /// A woken fiber takes itself off the list when it runs.
    #[inline(always)]
    fn wake(&self, hub: &Hub) {
        if let Some(fiber) = self.waiter.get() {
            wake(hub, fiber);
        }
        for fiber in self.more.borrow().iter() {
            wake(hub, fiber);
        }
        if self.task.borrow().is_some() {
            self.wake_task(hub);
        }
    }

    #[cold]
    fn wake_task(&self, hub: &Hub) {
        let task = self.task.take();
        if let Some(task) = task {
            hub.wake_task(task);
        }
    }
}

#[cold]
pub(crate) fn cannot_wait() -> io::Error {
    io::Error::new(
        io::ErrorKind::Unsupported,
        "the system cannot wait for such a descriptor: files on disk and directories are always ready, use `unblock`",
    )
}

impl Hub {
    /// Watches a descriptor from now on.
    pub(super) fn add_source(&self, descriptor: BorrowedFd<'_>) -> io::Result<&'static Source> {
        let source = self.sources.take();
        source.reset();
        let added = match self.driver.borrow().as_ref() {
            Some(driver) => driver.add(descriptor, source.token()),
            None => Err(io::Error::other("the hub has ended")),
        };
        if let Err(error) = added {
            source.references.set(0);
            self.sources.give_back(source);
            // What the system says of regular files, directories and the like.
            return Err(match error.raw_os_error() {
                Some(libc::EPERM) => cannot_wait(),
                _ => error,
            });
        }
        self.sources_used.set(self.sources_used.get() + 1);
        Ok(source)
    }

    /// A handle let go of its source. With the last one the hub forgets it; a descriptor that stays open must be given then.
    /// Returns the tasks that waited for it, whose wakers are to be dropped where the user's code may run.
    pub(super) fn drop_reference(
        &self,
        source: &'static Source,
        descriptor: Option<BorrowedFd<'_>>,
    ) -> [Option<task::Waker>; 2] {
        let references = source.references.get() - 1;
        source.references.set(references);
        if references > 0 {
            return [None, None];
        }
        if let (Some(descriptor), Some(driver)) = (descriptor, self.driver.borrow().as_ref()) {
            driver.remove(descriptor);
        }
        source
            .generation
            .set(source.generation.get().wrapping_add(1));
        self.sources_used.set(self.sources_used.get() - 1);
        let tasks = [source.read.task.take(), source.write.task.take()];
        self.sources.give_back(source);
        tasks
    }

    /// [`Self::drop_reference`] for a handle that was dropped on another thread.
    pub(super) fn release_source(
        &self,
        index: u32,
        generation: u32,
        descriptor: Option<&(dyn AsFd + Send + Sync)>,
    ) {
        let source = self
            .sources
            .at(index)
            .filter(|source| source.generation.get() == generation);
        if let Some(source) = source.filter(|source| source.references.get() > 0) {
            let tasks = self.drop_reference(source, descriptor.map(AsFd::as_fd));
            self.wake_tasks(tasks);
        }
    }

    /// The stream may be polled on another hub by now: tasks that count on this one have to poll it again.
    fn wake_tasks(&self, tasks: [Option<task::Waker>; 2]) {
        for task in tasks.into_iter().flatten() {
            self.wake_task(task);
        }
    }

    /// Wakes who waits for a descriptor that was closed on another thread.
    pub(super) fn interrupt_source(&self, index: u32, generation: u32) {
        let source = self.sources.at(index);
        if let Some(source) = source.filter(|source| source.generation.get() == generation) {
            source.wake_all(self);
        }
    }

    /// Begins to stop: whoever waits for connections on this hub is told that there are no more.
    pub(crate) fn stop_listening(&self) {
        self.is_stopping.set(true);
        self.wake_sources(|source| source.is_listener.get());
        if self.root_awaits_stop.get() || self.root_awaits_drained.get() {
            wake(self, self.root());
        }
    }

    /// Ends every wait for I/O, now and from now on.
    pub(crate) fn expire_all(&self) {
        self.is_expired.set(true);
        self.wake_sources(|_| true);
    }

    /// Gives all sources back, when the hub has ended: registrations that are left are of an epoch that is over.
    pub(super) fn forget_sources(&self) {
        for source in (0..self.sources.len()).filter_map(|index| self.sources.at(index)) {
            if source.references.get() > 0 {
                source.references.set(1);
                let tasks = self.drop_reference(source, None);
                self.wake_tasks(tasks);
            }
        }
    }

    fn wake_sources(&self, which: impl Fn(&Source) -> bool) {
        let sources = (0..self.sources.len()).filter_map(|index| self.sources.at(index));
        for source in sources.filter(|source| source.references.get() > 0 && which(source)) {
            source.wake_all(self);
        }
    }

    /// Takes note of an event and wakes who waited for it.
    pub(super) fn dispatch(&self, event: Event) {
        let (index, generation) = (event.token as u32, (event.token >> 32) as u32);
        let Some(source) = self.sources.at(index) else {
            return;
        };
        if source.generation.get() != generation || source.references.get() == 0 {
            return;
        }
        if event.hides_rest {
            source.hides_rest.set(true);
        }
        if event.readable {
            source.read.report(self);
        }
        if event.writable {
            source.write.report(self);
        }
    }
}
