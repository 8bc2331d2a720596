//! Deadlines of a hub's tasks. A fiber has its one timer; a task may wait for many times at once, so these are kept apart.
//!
//! A timer is shared by the hub, which has it by its deadline, and by the future that waits for it. That future may be polled or
//! dropped on any thread: it changes the waker under the timer's lock, and lets the hub know by a message when it is gone. What
//! the hub takes out holds a waker only if the deadline has passed, or the hub ends; then the waker is called as all wakers of
//! tasks are (see `tasks`). So dropping a timer on the loop runs nobody's code.

use std::cell::RefCell;
use std::fmt;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use super::Hub;
use super::deadline_heap::{DeadlineHeap, Placed};
use super::remote::{Message, Remote};
use super::tasks::Serve;
use crate::fiber::slot::NEVER;
use crate::hub::current;

/// All timers of a hub's tasks.
#[derive(Default)]
pub(crate) struct TaskTimers(RefCell<DeadlineHeap<Arc<SharedTimer>>>);

/// What the hub and the future know of a timer.
pub(crate) struct SharedTimer {
    state: Mutex<State>,
    /// Where the hub has it, for the hub's own thread alone; [`NOWHERE`] once it was taken out.
    position: AtomicU32,
    remote: &'static Remote,
    epoch: u64,
}

struct State {
    waker: Option<Waker>,
    /// It has fired, or its hub has ended.
    is_over: bool,
}

const NOWHERE: u32 = u32::MAX;

impl Placed for Arc<SharedTimer> {
    fn place(&self, position: u32) {
        self.position.store(position, Ordering::Relaxed);
    }
}

impl TaskTimers {
    /// The first deadline; [`NEVER`] if there is none.
    #[inline]
    pub(super) fn earliest(&self) -> u64 {
        self.0.borrow().earliest().unwrap_or(NEVER)
    }

    /// The future is gone, and has taken its waker with it.
    pub(super) fn remove(&self, timer: &SharedTimer) {
        let position = timer.position.swap(NOWHERE, Ordering::Relaxed);
        if position != NOWHERE {
            self.0.borrow_mut().remove(position);
        }
    }

    /// Takes out a timer that is due at `now`. Its waker is to be called, if there is one.
    fn pop_due(&self, now: u64) -> Option<Arc<SharedTimer>> {
        let timer = self.0.borrow_mut().pop_due(now)?;
        timer.position.store(NOWHERE, Ordering::Relaxed);
        Some(timer)
    }
}

impl Hub {
    /// Wakes the tasks whose timers are due.
    #[inline]
    pub(super) fn fire_task_timers(&self, now: u64) {
        while let Some(timer) = self.timers.tasks.pop_due(now) {
            if let Some(waker) = timer.end() {
                self.wake_task(waker);
            }
        }
    }

    /// The hub ends: whoever still waits finds another.
    pub(super) fn end_task_timers(&self) {
        self.fire_task_timers(NEVER - 1);
    }
}

impl SharedTimer {
    fn end(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.is_over = true;
        state.waker.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under the lock.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timer, as the future that waits for it holds it.
pub(crate) struct TaskTimer(Arc<SharedTimer>);

impl TaskTimer {
    /// Has the hub call `waker` at `deadline`, unless the timer is dropped before.
    pub(crate) fn start(hub: &Hub, deadline: Instant, waker: Waker, serve: Serve) -> Self {
        hub.tasks.serve_by(serve);
        let shared = Arc::new(SharedTimer {
            state: Mutex::new(State {
                waker: Some(waker),
                is_over: false,
            }),
            position: AtomicU32::new(NOWHERE),
            remote: hub.remote,
            epoch: hub.epoch.get(),
        });
        // One nanosecond before the end of the clock is as good as never, and is a deadline.
        let deadline = hub.clock.nanoseconds(deadline).min(NEVER - 1);
        (hub.timers.tasks.0.borrow_mut()).insert(deadline, Arc::clone(&shared));
        Self(shared)
    }

    /// Has `waker` called in the place of the last one. Returns whether it will be: not if the timer has fired or its hub ended.
    pub(crate) fn wake_instead(&self, waker: &Waker) -> bool {
        let state = self.0.lock();
        let is_over = state.is_over;
        let is_known = (state.waker.as_ref()).is_some_and(|known| known.will_wake(waker));
        drop(state);
        if is_over || is_known {
            return !is_over;
        }
        // Cloned and dropped without the lock, as both are the user's code.
        let waker = waker.clone();
        let mut state = self.0.lock();
        let is_over = state.is_over;
        let last = match is_over {
            true => Some(waker),
            false => state.waker.replace(waker),
        };
        drop(state);
        drop(last);
        !is_over
    }
}

impl Drop for TaskTimer {
    fn drop(&mut self) {
        let SharedTimer { remote, epoch, .. } = *self.0;
        let mut state = self.0.lock();
        let (waker, was_over) = (state.waker.take(), state.is_over);
        drop(state);
        if !was_over {
            match current::existing_hub() {
                Some(hub) if std::ptr::eq(hub.remote, remote) && hub.epoch.get() == epoch => {
                    hub.timers.tasks.remove(&self.0);
                }
                // A hub that is gone has let go of it.
                _ => drop(remote.send(epoch, Message::DropTimer(Arc::clone(&self.0)))),
            }
        }
        drop(waker);
    }
}

impl fmt::Debug for TaskTimer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let state = self.0.lock();
        (formatter.debug_struct("TaskTimer"))
            .field("is_over", &state.is_over)
            .finish_non_exhaustive()
    }
}
