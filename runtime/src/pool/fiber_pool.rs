//! A limited number of fibers for any number of jobs.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fmt;
use std::rc::Rc;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::job::{Job, Runner};
use super::map::Map;
use super::{PoolClosed, QUEUE_DEFAULT, wait_for_none};
use crate::sync::Semaphore;
use crate::task::{JoinError, Monitor, spawn};

/// Runs jobs on fibers of this hub, so many at a time. Each job has a fiber of its own, which costs next to nothing.
///
/// Dropping the pool closes it: jobs that were submitted still run.
///
/// # Examples
///
/// ```
/// use kapok::pool::FiberPool;
///
/// let pool = FiberPool::new(4);
/// let job = pool.submit(|| 6 * 7)?;
/// assert_eq!(job.join().unwrap(), 42);
///
/// let squares = pool.map(1..=5, |number| number * number);
/// assert_eq!(squares.map(Result::unwrap).collect::<Vec<_>>(), [1, 4, 9, 16, 25]);
/// # Ok::<(), kapok::pool::PoolClosed>(())
/// ```
pub struct FiberPool {
    inner: Rc<Inner>,
}

struct Inner {
    size: usize,
    running: Cell<usize>,
    pending: RefCell<VecDeque<Box<dyn FnOnce()>>>,
    /// A permit for each job that runs or waits.
    room: Semaphore,
    unfinished: Monitor<usize>,
    is_closed: Cell<bool>,
}

impl FiberPool {
    /// A pool that runs `size` jobs at a time; 0 counts as 1. Up to 1024 more may wait for their turn before [`submit`](Self::submit) waits.
    #[must_use]
    pub fn new(size: usize) -> Self {
        Self::with_queue(size, QUEUE_DEFAULT)
    }

    /// A pool that runs `size` jobs at a time, 0 counts as 1, and lets `queue` more wait for their turn before [`submit`](Self::submit) waits.
    #[must_use]
    pub fn with_queue(size: usize, queue: usize) -> Self {
        let size = size.max(1);
        Self {
            inner: Rc::new(Inner {
                size,
                running: Cell::new(0),
                pending: RefCell::default(),
                room: Semaphore::new(size.saturating_add(queue)),
                unfinished: Monitor::new(0),
                is_closed: Cell::new(false),
            }),
        }
    }

    /// Has `f` run when its turn comes. Waits only if too many jobs wait already.
    ///
    /// # Errors
    ///
    /// The pool was closed; `f` is dropped.
    ///
    /// # Panics
    ///
    /// If the system has no memory for another fiber's stack.
    #[switchpoint(wakes = "room for one more job", cancel = "the job is not submitted")]
    pub fn submit<F, T>(&self, f: F) -> Result<Job<T>, PoolClosed>
    where
        F: FnOnce() -> T + 'static,
        T: 'static,
    {
        if self.inner.is_closed.get() {
            return Err(PoolClosed);
        }
        let permit = self.inner.room.acquire();
        if self.inner.is_closed.get() {
            return Err(PoolClosed);
        }
        permit.forget();
        self.inner.unfinished.change(|jobs| *jobs += 1);
        let (job, run) = Job::new(f, Runner::Fiber);
        if self.inner.running.get() < self.inner.size {
            self.inner.running.set(self.inner.running.get() + 1);
            Inner::start(&self.inner, Box::new(run));
        } else {
            self.inner.pending.borrow_mut().push_back(Box::new(run));
        }
        Ok(job)
    }

    /// Runs `f` for each item and returns the results in the items' order. Items are taken as jobs can be run, some ahead of the results
    /// that are asked for. `next` is a switchpoint.
    ///
    /// After the first that fails the rest is cancelled, as it is if the iterator is dropped; to limit the time, put it into a
    /// [`timeout`](crate::timeout()). If the pool is closed meanwhile the first item it does not take gives [`JoinError::Cancelled`].
    pub fn map<I, F, T>(
        &self,
        items: I,
        f: F,
    ) -> impl Iterator<Item = Result<T, JoinError>> + use<'_, I, F, T>
    where
        I: IntoIterator,
        I::Item: 'static,
        F: Fn(I::Item) -> T + 'static,
        T: 'static,
    {
        let f = Rc::new(f);
        Map::new(items.into_iter(), self.inner.size, move |item| {
            let f = Rc::clone(&f);
            self.submit(move || f(item))
        })
    }

    /// Waits until all jobs that were submitted have ended.
    #[switchpoint(wakes = "the last job's end", cancel = "the jobs run on")]
    pub fn join(&self) {
        wait_for_none(&self.inner.unfinished);
    }

    /// Takes no more jobs. Those that were submitted still run.
    pub fn close(&self) {
        self.inner.is_closed.set(true);
    }
}

impl Drop for FiberPool {
    fn drop(&mut self) {
        self.close();
    }
}

impl Inner {
    fn start(this: &Rc<Self>, job: Box<dyn FnOnce()>) {
        let turn = Turn(Rc::clone(this));
        drop(spawn(move || {
            let _turn = turn;
            job();
        }));
    }
}

/// A job's turn, over when its fiber ends, however it does.
struct Turn(Rc<Inner>);

impl Drop for Turn {
    fn drop(&mut self) {
        let inner = &self.0;
        inner.room.add(1);
        inner.unfinished.change(|jobs| *jobs -= 1);
        let next = inner.pending.borrow_mut().pop_front();
        match next {
            Some(job) => Inner::start(inner, job),
            None => inner.running.set(inner.running.get() - 1),
        }
    }
}

impl fmt::Debug for FiberPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("FiberPool")
            .field("size", &self.inner.size)
            .field("running", &self.inner.running.get())
            .field("pending", &self.inner.pending.borrow().len())
            .finish()
    }
}
