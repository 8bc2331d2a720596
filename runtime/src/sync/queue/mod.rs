//! Queues of work: items have sizes, and one can wait until all work is done.

mod order;

use std::fmt;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

pub use order::{Fifo, Lifo, Order, Priority};

use super::channel::{
    RecvError, RecvTimeoutError, SendError, SendTimeoutError, TryRecvError, TrySendError,
};
use super::select::{Branch, Receive};
use super::waitable::Sealed;
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::wait_list::{Ticket, WaitList, wake};
use crate::hub::waiting::{Deadline, Entry, Lock, Place, wait};
use crate::hub::waker::Waker;

/// A queue that gives the item that was put last.
pub type LifoQueue<T> = Queue<T, Lifo<T>>;

/// A queue that gives the smallest item. `Ord` is called while the queue is locked, in a section that must not switch: it must neither use the
/// queue nor panic. (A panic loses the item, drops it under the lock, and leaves its size and its task counted.)
pub type PriorityQueue<T> = Queue<T, Priority<T>>;

/// A queue of work for any number of fibers and threads, with a limit on the sum of its items' sizes. Who gets items says
/// [`task_done`](Self::task_done) for each, and [`join`](Self::join) waits until that was said of all.
///
/// Where neither sizes nor `join` are needed a [`channel`](super::channel) is simpler, and ends by itself.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use kapok::sync::Queue;
///
/// let pages = Arc::new(Queue::<&str>::with_limit(100));
/// let worker = kapok::spawn({
///     let pages = Arc::clone(&pages);
///     move || {
///         while let Ok(page) = pages.get() {
///             assert!(!page.is_empty()); // the work
///             pages.task_done();
///         }
///     }
/// });
/// pages.put("one").unwrap();
/// pages.put_sized("a long one", 10).unwrap();
/// pages.join();
/// pages.close();
/// worker.join().unwrap();
/// ```
///
/// # Source
///
/// Gruvi's `Queue`, `LifoQueue` and `PriorityQueue`, which are Python's with sizes.
pub struct Queue<T, O: Order<T> = Fifo<T>> {
    state: Lock<State<T, O>>,
}

struct State<T, O> {
    limit: usize,
    items: O,
    /// The sum of the items' sizes.
    size: usize,
    unfinished: usize,
    is_closed: bool,
    /// Each gets an item, or none if the queue was closed.
    getters: WaitList<Option<T>>,
    /// Each brings an item and its size, and keeps it if the queue was closed.
    putters: WaitList<(Option<T>, usize)>,
    joiners: WaitList<()>,
}

impl<T, O: Order<T>> State<T, O> {
    fn has_room(&self, size: usize) -> bool {
        self.size
            .checked_add(size)
            .is_some_and(|sum| sum <= self.limit)
    }

    /// Gives an item to who waits for one, or keeps it. Returns who is to be woken.
    fn put(&mut self, item: T, size: usize) -> Option<Waker> {
        self.unfinished += 1;
        if let Some(mut claim) = self.getters.claim() {
            *claim.payload() = Some(item);
            return claim.grant();
        }
        self.size += size;
        self.items.push(item, size);
        None
    }

    fn get(&mut self) -> Option<T> {
        let (item, size) = self.items.pop()?;
        self.size -= size;
        self.let_in();
        Some(item)
    }

    /// Takes the items of those who wait for room, in their order, as far as they fit.
    fn let_in(&mut self) {
        while let Some(&(_, size)) = self.putters.first()
            && self.has_room(size)
        {
            let Some(mut claim) = self.putters.claim() else {
                break;
            };
            let item = claim.payload().0.take();
            wake(claim.grant());
            wake(item.and_then(|item| self.put(item, size)));
        }
    }
}

impl<T, O: Order<T>> Queue<T, O> {
    /// A queue without a limit.
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(usize::MAX)
    }

    /// A queue whose items' sizes sum up to `limit` at most.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        let state = State {
            limit,
            items: O::default(),
            size: 0,
            unfinished: 0,
            is_closed: false,
            getters: WaitList::new(),
            putters: WaitList::new(),
            joiners: WaitList::new(),
        };
        Self {
            state: Lock::new(state),
        }
    }

    /// Puts an item of size 1; waits while there is no room.
    ///
    /// # Errors
    ///
    /// The item, if the queue was closed.
    ///
    /// # Panics
    ///
    /// If the limit is 0.
    #[switchpoint(
        wakes = "room, or `close`",
        cancel = "the item is not put, and dropped"
    )]
    pub fn put(&self, item: T) -> Result<(), SendError<T>> {
        self.put_sized(item, 1)
    }

    /// Puts an item of the given size; waits while there is no room. Those who put are served in their order, small or large.
    ///
    /// # Errors
    ///
    /// The item, if the queue was closed.
    ///
    /// # Panics
    ///
    /// If the item is larger than the queue's limit, so that it would wait for ever.
    #[switchpoint(
        wakes = "room, or `close`",
        cancel = "the item is not put, and dropped"
    )]
    pub fn put_sized(&self, item: T, size: usize) -> Result<(), SendError<T>> {
        self.put_until(item, size, Deadline::Never)
            .map_err(|error| SendError(error.into_inner()))
    }

    /// [`put_sized`](Self::put_sized) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The item, if the time is over or the queue was closed.
    ///
    /// # Panics
    ///
    /// If the item is larger than the queue's limit.
    #[switchpoint(
        wakes = "room, the timeout, or `close`",
        cancel = "the item is not put, and dropped"
    )]
    pub fn put_timeout(
        &self,
        item: T,
        size: usize,
        timeout: Duration,
    ) -> Result<(), SendTimeoutError<T>> {
        self.put_until(item, size, Deadline::after(timeout))
    }

    /// Puts an item of the given size if there is room and nobody waits for room.
    ///
    /// # Errors
    ///
    /// The item, if there is not or the queue was closed.
    pub fn try_put(&self, item: T, size: usize) -> Result<(), TrySendError<T>> {
        let mut state = self.state.lock();
        if state.is_closed {
            return Err(TrySendError::Disconnected(item));
        }
        if !state.putters.is_empty() || !state.has_room(size) {
            return Err(TrySendError::Full(item));
        }
        let waker = state.put(item, size);
        drop(state);
        wake(waker);
        Ok(())
    }

    fn put_until(
        &self,
        item: T,
        size: usize,
        deadline: Deadline,
    ) -> Result<(), SendTimeoutError<T>> {
        let mut state = self.state.lock();
        let limit = state.limit;
        if size > limit {
            drop(state);
            panic!("an item of size {size} never fits into a queue with the limit {limit}");
        }
        if state.is_closed {
            return Err(SendTimeoutError::Disconnected(item));
        }
        if state.putters.is_empty() && state.has_room(size) {
            let waker = state.put(item, size);
            drop(state);
            wake(waker);
            hub::spend_here();
            return Ok(());
        }
        let entry = Entry {
            list: |state: &mut State<T, O>| &mut state.putters,
            // It may have been the first, and the next one smaller.
            left: State::let_in,
        };
        let mut item = (Some(item), size);
        let (wait_for, slot) = (Wait::Send, &mut item);
        let served = wait(&self.state, state, entry, slot, wait_for, deadline);
        match item.0 {
            None => Ok(()),
            Some(item) if served => Err(SendTimeoutError::Disconnected(item)),
            Some(item) => Err(SendTimeoutError::Timeout(item)),
        }
    }

    /// Waits for an item.
    ///
    /// # Errors
    ///
    /// The queue was closed and is empty.
    #[switchpoint(wakes = "an item, or `close`", cancel = "no item is taken")]
    pub fn get(&self) -> Result<T, RecvError> {
        self.get_until(Deadline::Never).map_err(|_| RecvError)
    }

    /// [`get`](Self::get) for at most `timeout`.
    ///
    /// # Errors
    ///
    /// The time is over, or the queue was closed and is empty.
    #[switchpoint(
        wakes = "an item, the timeout, or `close`",
        cancel = "no item is taken"
    )]
    pub fn get_timeout(&self, timeout: Duration) -> Result<T, RecvTimeoutError> {
        self.get_until(Deadline::after(timeout))
    }

    /// Takes an item if there is one.
    ///
    /// # Errors
    ///
    /// There is none, or the queue was closed too.
    pub fn try_get(&self) -> Result<T, TryRecvError> {
        let mut state = self.state.lock();
        match state.get() {
            Some(item) => Ok(item),
            None if state.is_closed => Err(TryRecvError::Disconnected),
            None => Err(TryRecvError::Empty),
        }
    }

    fn get_until(&self, deadline: Deadline) -> Result<T, RecvTimeoutError> {
        let mut state = self.state.lock();
        if let Some(item) = state.get() {
            drop(state);
            hub::spend_here();
            return Ok(item);
        }
        if state.is_closed {
            return Err(RecvTimeoutError::Disconnected);
        }
        let entry = Entry {
            list: |state: &mut State<T, O>| &mut state.getters,
            left: |_| (),
        };
        let mut item = None;
        let (wait_for, slot) = (Wait::Receive, &mut item);
        if !wait(&self.state, state, entry, slot, wait_for, deadline) {
            return Err(RecvTimeoutError::Timeout);
        }
        item.ok_or(RecvTimeoutError::Disconnected)
    }

    /// Says that the work on an item that was got is done.
    ///
    /// # Panics
    ///
    /// If it is called more often than items were put.
    pub fn task_done(&self) {
        let mut state = self.state.lock();
        let left = state.unfinished.checked_sub(1);
        let Some(left) = left else {
            drop(state);
            panic!("`task_done` was called more often than items were put");
        };
        state.unfinished = left;
        if left == 0 {
            state.joiners.grant_all();
        }
    }

    /// Waits until [`task_done`](Self::task_done) was called for each item that was put.
    #[switchpoint(wakes = "the last `task_done`", cancel = "nothing is left behind")]
    pub fn join(&self) {
        let state = self.state.lock();
        if state.unfinished > 0 {
            let entry = Entry {
                list: |state: &mut State<T, O>| &mut state.joiners,
                left: |_| (),
            };
            wait(
                &self.state,
                state,
                entry,
                &mut (),
                Wait::Join,
                Deadline::Never,
            );
        }
    }

    /// Refuses items from now on; those that are there can still be got. Wakes all who wait to put or get.
    pub fn close(&self) {
        let mut state = self.state.lock();
        state.is_closed = true;
        state.getters.grant_all();
        state.putters.grant_all();
    }

    /// How many items there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.state.lock().items.len()
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The sum of the items' sizes.
    #[must_use]
    pub fn size(&self) -> usize {
        self.state.lock().size
    }

    /// How many items were put of which nobody has said that they are done.
    #[must_use]
    pub fn unfinished_tasks(&self) -> usize {
        self.state.lock().unfinished
    }
}

impl<T, O: Order<T>> Default for Queue<T, O> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T, O: Order<T>> fmt::Debug for Queue<T, O> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.state.lock();
        formatter
            .debug_struct("Queue")
            .field("size", &state.size)
            .field("unfinished_tasks", &state.unfinished)
            .field("is_closed", &state.is_closed)
            .finish_non_exhaustive()
    }
}

impl<'a, T, O: Order<T>> Receive for &'a Queue<T, O> {
    type Branch = Get<'a, T, O>;

    fn into_branch(self) -> Get<'a, T, O> {
        Get { queue: self }
    }
}

/// What [`select::recv`](super::select::recv) returns for a queue.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct Get<'a, T, O: Order<T>> {
    queue: &'a Queue<T, O>,
}

impl<T, O: Order<T>> Sealed for Get<'_, T, O> {}

impl<T, O: Order<T>> Branch for Get<'_, T, O> {
    type Output = Result<T, RecvError>;
    type Place = Place<Option<T>>;

    fn try_take(&self) -> Option<Self::Output> {
        match self.queue.try_get() {
            Ok(item) => Some(Ok(item)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        let mut state = self.queue.state.lock();
        if !state.items.is_empty() || state.is_closed {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.getters, None, ticket, number) };
        true
    }

    fn leave(&self, place: &Self::Place) {
        place.leave(&mut self.queue.state.lock().getters);
    }

    fn granted(&self, place: Self::Place) -> Option<Self::Output> {
        Some(place.into_payload().ok_or(RecvError))
    }
}
