//! Callbacks for descriptors, several on one of them if need be.
//!
//! A poller is an epoll of its own, level-triggered, which the hub watches as it watches any descriptor; one fiber asks it what is
//! ready and calls the callbacks. Each callback has a duplicate of its descriptor: so the same one may be watched many times,
//! and a number that is used again is not mistaken for what it was.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use rustix::buffer::spare_capacity;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags, EventData, EventFlags};
use rustix::io::Errno;

use super::{Direction, Timed};
use crate::fiber::slot::Wait;
use crate::fiber::store;
use crate::hub::cancel::is_cancel;
use crate::hub::registration::closed;
use crate::hub::sources::cannot_wait;
use crate::hub::switchpoint::assert_no_switchpoints;
use crate::task::{Builder, yield_now};

/// What is ready that is taken notice of in one round.
const EVENTS: usize = 256;

/// Calls callbacks as long as their descriptors are ready. For code that is made of callbacks, such as a C library with hooks for
/// an event loop; fibers rather use [`Registered`](super::Registered).
///
/// Callbacks run in a fiber of the poller's, one after the other, in the order in which they were added, and must not switch
/// ([`assert_no_switchpoints`](crate::assert_no_switchpoints())). A callback whose descriptor is ready is called once a round, and
/// again in the next round if it still is (level-triggered); between two rounds other fibers run. So one that waits to write to
/// a socket with room keeps the hub busy: take its interest away while there is nothing to write.
///
/// What a callback is told was so when the round began. One before it may have taken what there was, so a descriptor that several
/// callbacks read must be non-blocking: else the last of them blocks the thread.
///
/// A callback that panics is not called again, and harms no other. The panic hook tells at once, and
/// [`update_callback`](Self::update_callback) and [`remove_callback`](Self::remove_callback) return it as an error.
///
/// A poller belongs to its thread. Dropping it closes it. On Linux alone.
///
/// # Examples
///
/// ```
/// use kapok::io::{Interest, Poller};
/// use std::cell::RefCell;
/// use std::io::{Read, Write};
/// use std::rc::Rc;
///
/// let (reader, mut writer) = std::io::pipe()?;
/// let (poller, bytes) = (Poller::new()?, Rc::new(RefCell::new(Vec::new())));
/// let (reader, sink) = (Rc::new(reader), Rc::clone(&bytes));
/// poller.add_callback(&reader.clone(), Interest::Readable, move |_, _| {
///     let mut buffer = [0; 64];
///     let length = (&*reader).read(&mut buffer).unwrap();
///     sink.borrow_mut().extend_from_slice(&buffer[..length]);
/// })?;
/// writer.write_all(b"hello")?;
/// while bytes.borrow().is_empty() {
///     kapok::yield_now();
/// }
/// assert_eq!(*bytes.borrow(), b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Source
///
/// Gruvi's `Poller`.
pub struct Poller {
    shared: Rc<Shared>,
}

/// What a callback of a [`Poller`] waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interest {
    /// To read or to write.
    Both,
    /// Nothing: the callback is silenced.
    None,
    /// To read: there is something, the end, or an error.
    Readable,
    /// To write: there is room, or an error.
    Writable,
}

/// A callback of a [`Poller`]. No two of one poller are equal, ever.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CallbackId(u64);

/// What a callback of a [`Poller`] is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Readiness {
    callback: CallbackId,
    is_readable: bool,
    is_writable: bool,
}

type Callback = Box<dyn FnMut(&Poller, Readiness)>;

struct Shared {
    epoll: Timed<OwnedFd>,
    callbacks: RefCell<BTreeMap<CallbackId, Entry>>,
    next_id: Cell<u64>,
    /// The fiber has been spawned.
    is_served: Cell<bool>,
    is_closed: Cell<bool>,
}

struct Entry {
    /// A duplicate of the one that was given.
    descriptor: OwnedFd,
    /// If it is none, or the callback has panicked, the epoll does not have the descriptor.
    interest: Interest,
    state: State,
}

enum State {
    Waiting(Callback),
    Running,
    /// With what it said.
    Panicked(String),
}

impl Poller {
    /// A poller without callbacks. Costs a descriptor.
    ///
    /// # Errors
    ///
    /// If the system has no descriptor for it.
    pub fn new() -> io::Result<Self> {
        let epoll = epoll::create(CreateFlags::CLOEXEC)?;
        let shared = Shared {
            epoll: Timed::new(epoll),
            callbacks: RefCell::new(BTreeMap::new()),
            next_id: Cell::new(0),
            is_served: Cell::new(false),
            is_closed: Cell::new(false),
        };
        Ok(Self {
            shared: Rc::new(shared),
        })
    }

    /// Has `callback` called as long as the descriptor is ready for what it waits for.
    ///
    /// It is given the poller, to add, change and remove callbacks, itself too, or to close it.
    ///
    /// Costs a duplicate of the descriptor: closing the descriptor does not close its file until the callback is removed.
    ///
    /// # Errors
    ///
    /// `NotConnected` after [`Self::close`]; `Unsupported` for files on disk and what else is always ready; what the system says if
    /// it has no descriptor or memory, for the first callback also if there is no stack for a fiber, which closes the poller.
    pub fn add_callback(
        &self,
        descriptor: impl AsFd,
        interest: Interest,
        callback: impl FnMut(&Self, Readiness) + 'static,
    ) -> io::Result<CallbackId> {
        self.check_open()?;
        let descriptor = descriptor.as_fd().try_clone_to_owned()?;
        let id = CallbackId(self.shared.next_id.get());
        self.shared.next_id.set(id.0 + 1);
        self.watch(&descriptor, id, Interest::None, interest)?;
        if !self.shared.is_served.get() {
            let service = Service(Self {
                shared: Rc::clone(&self.shared),
            });
            let builder = Builder::new().name("poller".to_owned());
            // Dropping the handle detaches the fiber, which ends when the poller is closed.
            drop(builder.spawn(move || service.serve())?);
            self.shared.is_served.set(true);
        }
        let entry = Entry {
            descriptor,
            interest,
            state: State::Waiting(Box::new(callback)),
        };
        self.shared.callbacks.borrow_mut().insert(id, entry);
        Ok(id)
    }

    /// Changes what a callback waits for.
    ///
    /// # Errors
    ///
    /// `NotConnected` after [`Self::close`]; `NotFound` if there is no such callback any more; `Other` if it has panicked, with
    /// what it said.
    pub fn update_callback(&self, id: CallbackId, interest: Interest) -> io::Result<()> {
        self.check_open()?;
        let mut callbacks = self.shared.callbacks.borrow_mut();
        let entry = callbacks.get_mut(&id).ok_or_else(unknown)?;
        if let State::Panicked(text) = &entry.state {
            return Err(panicked(text));
        }
        self.watch(&entry.descriptor, id, entry.interest, interest)?;
        entry.interest = interest;
        Ok(())
    }

    /// Has a callback called no more, and drops it. One that removes itself is dropped when it returns.
    ///
    /// # Errors
    ///
    /// `NotConnected` after [`Self::close`]; `NotFound` if there is no such callback any more; `Other` if it has panicked, with
    /// what it said: it is removed all the same.
    pub fn remove_callback(&self, id: CallbackId) -> io::Result<()> {
        self.check_open()?;
        let entry = (self.shared.callbacks.borrow_mut().remove(&id)).ok_or_else(unknown)?;
        if let State::Panicked(text) = &entry.state {
            return Err(panicked(text));
        }
        // The duplicate is the only one that the epoll has of this callback, so this fails only if it has none.
        self.watch(&entry.descriptor, id, entry.interest, Interest::None)?;
        Ok(())
    }

    /// Ends the poller: no callback is called any more, and all are dropped, in the poller's fiber. Whatever is asked of it later is
    /// an error. Closing twice does nothing.
    pub fn close(&self) {
        self.shared.is_closed.set(true);
        self.shared.epoll.close();
    }

    fn check_open(&self) -> io::Result<()> {
        if self.shared.is_closed.get() {
            return Err(closed());
        }
        Ok(())
    }

    /// Tells the epoll of a change.
    fn watch(
        &self,
        descriptor: &OwnedFd,
        id: CallbackId,
        before: Interest,
        interest: Interest,
    ) -> io::Result<()> {
        let (epoll, data) = (self.shared.epoll.io(), EventData::new_u64(id.0));
        let flags = interest.flags();
        let result = match (before, interest) {
            (Interest::None, Interest::None) => Ok(()),
            (Interest::None, _) => epoll::add(epoll, descriptor, data, flags),
            (_, Interest::None) => epoll::delete(epoll, descriptor),
            _ => epoll::modify(epoll, descriptor, data, flags),
        };
        match result {
            Err(Errno::PERM) => Err(cannot_wait()),
            result => Ok(result?),
        }
    }

    /// Waits until something is ready. Fails when the poller is closed, or the hub has stopped.
    fn wait(&self, ready: &mut Vec<epoll::Event>) -> io::Result<()> {
        let epoll = &self.shared.epoll;
        epoll.operate(Direction::Read, Wait::Read, |epoll| {
            ready.clear();
            match epoll::wait(epoll, spare_capacity(ready), Some(&Timespec::default()))? {
                0 => Err(io::ErrorKind::WouldBlock.into()),
                _ => Ok(()),
            }
        })
    }

    /// Calls a callback, unless one before it in this round has removed or silenced it.
    fn call(&self, id: CallbackId, flags: EventFlags) {
        let Some((mut callback, interest)) = self.take(id) else {
            return;
        };
        let is_over = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        let readiness = Readiness {
            callback: id,
            is_readable: interest.reads()
                && (is_over || flags.intersects(Interest::Readable.flags())),
            is_writable: interest.writes() && (is_over || flags.contains(EventFlags::OUT)),
        };
        let mut result = Ok(());
        if readiness.is_readable || readiness.is_writable {
            result = catch_unwind(AssertUnwindSafe(|| {
                assert_no_switchpoints(|| callback(self, readiness));
            }));
        }
        match result {
            Ok(()) => self.put_back(id, callback),
            Err(payload) => {
                store::drop_quietly(callback);
                self.silence(id, payload);
            }
        }
    }

    fn take(&self, id: CallbackId) -> Option<(Callback, Interest)> {
        let mut callbacks = self.shared.callbacks.borrow_mut();
        let entry = callbacks.get_mut(&id)?;
        match std::mem::replace(&mut entry.state, State::Running) {
            State::Waiting(callback) => Some((callback, entry.interest)),
            other => {
                entry.state = other;
                None
            }
        }
    }

    fn put_back(&self, id: CallbackId, callback: Callback) {
        let mut callbacks = self.shared.callbacks.borrow_mut();
        if let Some(entry) = callbacks.get_mut(&id) {
            entry.state = State::Waiting(callback);
            return;
        }
        // It has removed itself. What it owns may want to use the poller.
        drop(callbacks);
        store::drop_quietly(callback);
    }

    /// A callback has panicked: it is kept until somebody removes it, for what it said.
    fn silence(&self, id: CallbackId, payload: Box<dyn Any + Send>) {
        if is_cancel(&*payload) {
            resume_unwind(payload);
        }
        let text = match payload.downcast::<String>() {
            Ok(text) => *text,
            Err(payload) => {
                let text = payload.downcast_ref::<&str>().copied();
                let text = text.unwrap_or("it did not say why").to_owned();
                store::drop_quietly(payload);
                text
            }
        };
        if let Some(entry) = self.shared.callbacks.borrow_mut().get_mut(&id) {
            // If the system does not let go of it, events are for a callback that is not called.
            let _ = self.watch(&entry.descriptor, id, entry.interest, Interest::None);
            entry.interest = Interest::None;
            entry.state = State::Panicked(text);
        }
    }
}

impl Drop for Poller {
    fn drop(&mut self) {
        self.close();
    }
}

/// What the poller's fiber runs. However that ends, the poller is closed and has no callbacks then.
struct Service(Poller);

impl Service {
    fn serve(self) {
        let (poller, mut ready) = (&self.0, Vec::with_capacity(EVENTS));
        while poller.wait(&mut ready).is_ok() {
            // In the order in which they were added.
            ready.sort_unstable_by_key(|event: &epoll::Event| event.data.u64());
            for event in &ready {
                if poller.shared.is_closed.get() {
                    break;
                }
                poller.call(CallbackId(event.data.u64()), event.flags);
            }
            yield_now();
        }
    }
}

impl Drop for Service {
    fn drop(&mut self) {
        self.0.close();
        // Not while they are borrowed: what they own may want to use the poller.
        let callbacks = self.0.shared.callbacks.take();
        store::drop_quietly(callbacks);
    }
}

impl Interest {
    fn reads(self) -> bool {
        matches!(self, Self::Both | Self::Readable)
    }

    fn writes(self) -> bool {
        matches!(self, Self::Both | Self::Writable)
    }

    fn flags(self) -> EventFlags {
        let (mut flags, reads) = (
            EventFlags::empty(),
            EventFlags::IN | EventFlags::PRI | EventFlags::RDHUP,
        );
        flags.set(reads, self.reads());
        flags.set(EventFlags::OUT, self.writes());
        flags
    }
}

impl Readiness {
    /// Whether a read would not block, as of the beginning of the round. Only if the callback waits for that.
    #[must_use]
    pub fn is_readable(self) -> bool {
        self.is_readable
    }

    /// Whether a write would not block, as of the beginning of the round. Only if the callback waits for that.
    #[must_use]
    pub fn is_writable(self) -> bool {
        self.is_writable
    }

    /// The callback that is told.
    #[must_use]
    pub fn callback(self) -> CallbackId {
        self.callback
    }
}

#[cold]
fn unknown() -> io::Error {
    io::Error::new(
        io::ErrorKind::NotFound,
        "the poller has no such callback any more",
    )
}

#[cold]
fn panicked(text: &str) -> io::Error {
    io::Error::other(format!("the callback has panicked: {text}"))
}

impl fmt::Debug for Poller {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Poller")
            .field("is_closed", &self.shared.is_closed.get())
            .finish_non_exhaustive()
    }
}
