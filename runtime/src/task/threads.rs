//! Threads that run closures, made when needed and ended after some time without work.

use std::collections::VecDeque;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::fiber::store;
use crate::hub::current::{self, ThreadRole};

/// A thread without work ends after this time.
const IDLE_TIME: Duration = Duration::from_secs(10);

type Work = Box<dyn FnOnce() + Send>;

#[derive(Debug)]
pub(crate) struct Threads {
    name: String,
    max: usize,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    work: VecDeque<Work>,
    threads: usize,
    idle: usize,
    is_closed: bool,
}

impl std::fmt::Debug for State {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("State")
            .field("threads", &self.threads)
            .field("waiting", &self.work.len())
            .finish_non_exhaustive()
    }
}

impl Threads {
    /// None yet, and never more than `max`.
    pub(crate) fn new(name: impl Into<String>, max: usize) -> Self {
        Self {
            name: name.into(),
            max,
            state: Mutex::default(),
            changed: Condvar::new(),
        }
    }

    /// Has `work` run by the next thread that is free.
    pub(crate) fn submit(self: &Arc<Self>, work: Work) -> io::Result<()> {
        let mut state = self.lock();
        if state.idle <= state.work.len() && state.threads < self.max {
            let this = Arc::clone(self);
            let started = std::thread::Builder::new()
                .name(self.name.clone())
                .spawn(move || this.run());
            match started {
                Ok(_) => state.threads += 1,
                Err(_) if state.threads > 0 => {} // those that are there will come to it
                Err(error) => return Err(error),
            }
        }
        state.work.push_back(work);
        drop(state);
        self.changed.notify_one();
        Ok(())
    }

    /// Lets the threads end when no work is left.
    pub(crate) fn close(&self) {
        self.lock().is_closed = true;
        self.changed.notify_all();
    }

    fn run(&self) {
        current::set_role(ThreadRole::BlockingPool);
        let mut state = self.lock();
        loop {
            if let Some(work) = state.work.pop_front() {
                drop(state);
                // The result of a caller who is gone is dropped here, and may panic.
                store::drop_quietly(catch_unwind(AssertUnwindSafe(work)));
                state = self.lock();
                continue;
            }
            if state.is_closed {
                state.threads -= 1;
                return;
            }
            state.idle += 1;
            let (guard, waited) = self
                .changed
                .wait_timeout(state, IDLE_TIME)
                .unwrap_or_else(PoisonError::into_inner);
            state = guard;
            state.idle -= 1;
            if waited.timed_out() && state.work.is_empty() {
                state.threads -= 1;
                return;
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
