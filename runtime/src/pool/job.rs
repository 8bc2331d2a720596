//! A closure given to a pool, and its result.

use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::fiber::slot::Wait;
use crate::fiber::store;
use crate::hub::cancel::Unwinding;
use crate::hub::wait_list::{Ticket, WaitList};
use crate::hub::waiting::{Deadline, Entry, Lock, Place, wait};
use crate::hub::waker::Waker;
use crate::sync::{Sealed, Waitable};
use crate::task::JoinError;

/// The right to a job's result. Dropping it leaves the job to the pool.
#[must_use = "dropping a job's handle leaves it to the pool; join it, or say `drop(job)`"]
pub struct Job<T> {
    shared: Arc<Lock<State<T>>>,
}

struct State<T> {
    stage: Stage<T>,
    waiters: WaitList<()>,
}

enum Stage<T> {
    Pending,
    /// With its fiber, if it has one.
    Running(Option<Waker>),
    Done(Result<T, JoinError>),
    Taken,
}

impl<T> State<T> {
    fn is_done(&self) -> bool {
        matches!(self.stage, Stage::Done(_) | Stage::Taken)
    }

    fn finish(&mut self, result: Result<T, JoinError>) {
        self.stage = Stage::Done(result);
        self.waiters.grant_all();
    }
}

/// Whether a job that runs can be unwound.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Runner {
    Fiber,
    Thread,
}

impl<T> Job<T> {
    /// A job and what its pool is to run.
    pub(super) fn new<F: FnOnce() -> T>(f: F, runner: Runner) -> (Self, impl FnOnce()) {
        let shared = Arc::new(Lock::new(State {
            stage: Stage::Pending,
            waiters: WaitList::new(),
        }));
        let unrun = Unrun(Some(Arc::clone(&shared)));
        (Self { shared }, move || unrun.run(f, runner))
    }

    /// Waits for the job to end and returns its result.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: it panicked or was cancelled, or [`join_timeout`](Self::join_timeout) has returned the result already.
    #[switchpoint(wakes = "the job's end", cancel = "the job is left to its pool")]
    pub fn join(mut self) -> Result<T, JoinError> {
        self.result()
    }

    /// [`join`](Self::join) without giving the handle away.
    pub(super) fn result(&mut self) -> Result<T, JoinError> {
        self.wait_until(Deadline::Never)
            .unwrap_or(Err(JoinError::Cancelled))
    }

    /// [`join`](Self::join) for at most `timeout`. Returns nothing if the time is over, or the result was had before.
    #[switchpoint(
        wakes = "the job's end, or the timeout",
        cancel = "the result can still be had"
    )]
    pub fn join_timeout(&mut self, timeout: Duration) -> Option<Result<T, JoinError>> {
        self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&mut self, deadline: Deadline) -> Option<Result<T, JoinError>> {
        let mut state = self.shared.lock();
        if !state.is_done() {
            let entry = Entry {
                list: |state: &mut State<T>| &mut state.waiters,
                left: |_| (),
            };
            wait(&self.shared, state, entry, &mut (), Wait::Join, deadline);
            state = self.shared.lock();
        }
        if !state.is_done() {
            return None;
        }
        match std::mem::replace(&mut state.stage, Stage::Taken) {
            Stage::Done(result) => Some(result),
            _ => None,
        }
    }

    /// Cancels the job: one that has not begun never does, one that runs on a fiber is unwound. Returns whether that was possible: not for a
    /// job that has ended, nor for one that runs on a thread, nor under `panic = "abort"` for any that runs.
    ///
    /// A fiber may get to its end all the same; `join` tells.
    pub fn cancel(&self) -> bool {
        let mut state = self.shared.lock();
        match &state.stage {
            Stage::Pending => {
                state.finish(Err(JoinError::Cancelled));
                true
            }
            Stage::Running(Some(fiber)) if cfg!(panic = "unwind") => {
                fiber.cancel();
                true
            }
            Stage::Running(_) | Stage::Done(_) | Stage::Taken => false,
        }
    }

    /// Whether the job has ended, so that `join` would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.shared.lock().is_done()
    }

    /// Whether it has begun and not ended.
    #[must_use]
    pub fn is_running(&self) -> bool {
        matches!(self.shared.lock().stage, Stage::Running(_))
    }
}

impl<T> fmt::Debug for Job<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Job")
            .field("is_finished", &self.is_finished())
            .finish_non_exhaustive()
    }
}

impl<T> Sealed for Job<T> {}

/// Ready when the job has ended.
impl<T> Waitable for Job<T> {
    fn is_ready(&self) -> bool {
        self.is_finished()
    }

    unsafe fn enter(&self, place: &Place<()>, ticket: &Ticket, number: u32) -> bool {
        let mut state = self.shared.lock();
        if state.is_done() {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.waiters, (), ticket, number) };
        true
    }

    fn leave(&self, place: &Place<()>) {
        place.leave(&mut self.shared.lock().waiters);
    }
}

/// A job's side of its pool: if it is dropped without having run, the job has ended.
struct Unrun<T>(Option<Arc<Lock<State<T>>>>);

impl<T> Unrun<T> {
    fn run(mut self, f: impl FnOnce() -> T, runner: Runner) {
        let Some(shared) = self.0.take() else {
            return;
        };
        let mut state = shared.lock();
        if state.is_done() {
            // Cancelled before. What the closure owns is dropped by who runs jobs.
            drop(state);
            store::drop_quietly(f);
            return;
        }
        let fiber = (runner == Runner::Fiber).then(Waker::current);
        state.stage = Stage::Running(fiber);
        drop(state);
        let result = catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
            match payload.downcast::<Unwinding>() {
                Ok(_) => JoinError::Cancelled,
                Err(payload) => JoinError::of_panic(payload),
            }
        });
        shared.lock().finish(result);
    }
}

impl<T> Drop for Unrun<T> {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            let mut state = shared.lock();
            if !state.is_done() {
                state.finish(Err(JoinError::Cancelled));
            }
        }
    }
}
