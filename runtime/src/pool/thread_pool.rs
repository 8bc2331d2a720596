//! Threads for jobs that would block a hub.

use std::fmt;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::job::{Job, Runner};
use super::map::Map;
use super::{PoolClosed, QUEUE_DEFAULT, wait_for_none};
use crate::sync::Semaphore;
use crate::task::{JoinError, Monitor, Threads};

/// Runs jobs on threads of its own, so many at a time. Threads are made when needed and end after 10 s without work.
///
/// Jobs cannot spawn fibers. They can use [`sync`](crate::sync). Dropping the pool closes it: jobs that were submitted still run,
/// but the end of the program waits for none; [`join`](Self::join) does.
///
/// # Examples
///
/// ```
/// use kapok::pool::ThreadPool;
///
/// let pool = ThreadPool::new("hashing", 2);
/// let job = pool.submit(|| std::fs::read("Cargo.toml").map(|bytes| bytes.len()))?;
/// assert!(job.join().unwrap()? > 0);
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct ThreadPool {
    size: usize,
    threads: Arc<Threads>,
    shared: Arc<Shared>,
}

struct Shared {
    /// A permit for each job that runs or waits.
    room: Semaphore,
    unfinished: Monitor<usize>,
    is_closed: AtomicBool,
}

impl ThreadPool {
    /// A pool with `size` threads at most, 0 counts as 1, of the given name. Up to 1024 jobs more may wait for their turn before
    /// [`submit`](Self::submit) waits.
    #[must_use]
    pub fn new(name: impl Into<String>, size: usize) -> Self {
        let size = size.max(1);
        Self {
            size,
            threads: Arc::new(Threads::new(name, size)),
            shared: Arc::new(Shared {
                room: Semaphore::new(size.saturating_add(QUEUE_DEFAULT)),
                unfinished: Monitor::new(0),
                is_closed: AtomicBool::new(false),
            }),
        }
    }

    /// Has `f` run when a thread is free. Waits only if too many jobs wait already.
    ///
    /// # Errors
    ///
    /// `BrokenPipe` with [`PoolClosed`] if the pool was closed, and if the system has no thread for it; `f` is dropped.
    #[switchpoint(wakes = "room for one more job", cancel = "the job is not submitted")]
    pub fn submit<F, T>(&self, f: F) -> io::Result<Job<T>>
    where
        F: FnOnce() -> T + Send + 'static,
        T: Send + 'static,
    {
        let closed = || Err(io::Error::new(io::ErrorKind::BrokenPipe, PoolClosed));
        if self.shared.is_closed.load(Ordering::Acquire) {
            return closed();
        }
        let permit = self.shared.room.acquire();
        if self.shared.is_closed.load(Ordering::Acquire) {
            return closed();
        }
        permit.forget();
        let turn = Turn::new(&self.shared);
        let (job, run) = Job::new(f, Runner::Thread);
        self.threads.submit(Box::new(move || {
            let _turn = turn;
            run();
        }))?;
        Ok(job)
    }

    /// Runs `f` for each item and returns the results in the items' order. Items are taken as jobs can be run, some ahead of the results
    /// that are asked for. `next` is a switchpoint.
    ///
    /// After the first that fails those that have not begun are cancelled, as they are if the iterator is dropped. If the pool is closed
    /// meanwhile the first item it does not take gives [`JoinError::Cancelled`].
    pub fn map<I, F, T>(
        &self,
        items: I,
        f: F,
    ) -> impl Iterator<Item = Result<T, JoinError>> + use<'_, I, F, T>
    where
        I: IntoIterator,
        I::Item: Send + 'static,
        F: Fn(I::Item) -> T + Send + Sync + 'static,
        T: Send + 'static,
    {
        let f = Arc::new(f);
        Map::new(items.into_iter(), self.size, move |item| {
            let f = Arc::clone(&f);
            self.submit(move || f(item)).map_err(|_| PoolClosed)
        })
    }

    /// Waits until all jobs that were submitted have ended.
    #[switchpoint(wakes = "the last job's end", cancel = "the jobs run on")]
    pub fn join(&self) {
        wait_for_none(&self.shared.unfinished);
    }

    /// Takes no more jobs. Those that were submitted still run, then the threads end.
    pub fn close(&self) {
        self.shared.is_closed.store(true, Ordering::Release);
        self.threads.close();
    }
}

impl Drop for ThreadPool {
    fn drop(&mut self) {
        self.close();
    }
}

/// A job's turn, over when it has ended or was dropped.
struct Turn(Arc<Shared>);

impl Turn {
    fn new(shared: &Arc<Shared>) -> Self {
        shared.unfinished.change(|jobs| *jobs += 1);
        Self(Arc::clone(shared))
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.room.add(1);
        self.0.unfinished.change(|jobs| *jobs -= 1);
    }
}

impl fmt::Debug for ThreadPool {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ThreadPool")
            .field("size", &self.size)
            .field("threads", &self.threads)
            .finish_non_exhaustive()
    }
}
