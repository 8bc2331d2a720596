//! The connections that a server has open on one hub.

use std::cell::{Cell, RefCell};
use std::rc::Rc;
use std::time::{Duration, Instant};

use super::link::AnyConnection;
use crate::Fiber;

/// One connection, as long as it is served.
///
/// The stream is the last field, so that its type can be forgotten.
pub(crate) struct Open<C: ?Sized> {
    /// Where it stands in the list.
    index: Cell<usize>,
    /// It waits for a request, and none has begun.
    pub(super) is_idle: Cell<bool>,
    pub(super) stream: C,
}

impl<C> Open<C> {
    pub(super) fn new(stream: C) -> Self {
        Self {
            index: Cell::new(0),
            is_idle: Cell::new(false),
            stream,
        }
    }
}

/// All connections of a server on one hub.
#[derive(Default)]
pub(super) struct OpenConnections {
    list: RefCell<Vec<Rc<Open<dyn AnyConnection>>>>,
    /// No request is begun any more.
    pub(super) is_stopping: Cell<bool>,
    /// The accepting fiber waits for one to end.
    waiter: RefCell<Option<Fiber>>,
}

impl OpenConnections {
    pub(super) fn len(&self) -> usize {
        self.list.borrow().len()
    }

    /// Adds a connection until it leaves.
    pub(super) fn enter(&self, open: &Rc<Open<dyn AnyConnection>>) {
        let mut list = self.list.borrow_mut();
        open.index.set(list.len());
        list.push(Rc::clone(open));
    }

    /// Takes a connection out that was added.
    pub(super) fn leave(&self, open: &Open<dyn AnyConnection>) {
        let mut list = self.list.borrow_mut();
        let index = open.index.get();
        list.swap_remove(index);
        if let Some(moved) = list.get(index) {
            moved.index.set(index);
        }
        drop(list);
        if let Some(waiter) = self.waiter.borrow_mut().take() {
            waiter.unpark();
        }
    }

    /// Ends those that wait for a request, and has the others end after the one they have.
    pub(super) fn stop(&self) {
        self.is_stopping.set(true);
        for open in self.list.borrow().iter().filter(|open| open.is_idle.get()) {
            open.stream.close();
        }
    }

    /// Cuts all: nobody must take what he has of an answer for the whole.
    pub(super) fn abort(&self) {
        for open in self.list.borrow().iter() {
            open.stream.abort();
        }
    }

    /// Waits until there is room for one more, or there will be no more.
    pub(super) fn wait_until_below(&self, connections_max: usize, has_ended: impl Fn() -> bool) {
        while self.len() >= connections_max && !has_ended() {
            self.wake_me();
            crate::park_timeout(LOOK_TIME);
        }
    }

    /// Waits until none is open, for `timeout` at most, and returns whether none is.
    pub(super) fn wait_until_empty(&self, timeout: Duration) -> bool {
        let deadline = Instant::now().checked_add(timeout);
        while self.len() > 0 {
            let left =
                deadline.map_or(timeout, |end| end.saturating_duration_since(Instant::now()));
            if left.is_zero() {
                return false;
            }
            self.wake_me();
            crate::park_timeout(left);
        }
        true
    }

    /// The present fiber is unparked when a connection ends.
    fn wake_me(&self) {
        *self.waiter.borrow_mut() = Some(crate::current());
    }
}

/// How often to look whether the listener has ended while there is no room: that is no event for who does not accept.
const LOOK_TIME: Duration = Duration::from_millis(100);
