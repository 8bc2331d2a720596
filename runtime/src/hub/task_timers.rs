//! Deadlines of a hub's tasks. A fiber has its one timer; a task may wait for many times at once, so these are kept apart.
//!
//! A timer is shared by the hub, which has it by its deadline, and by the future that waits for it. That future may be polled or
//! dropped on any thread: it changes the waker under the timer's lock, and lets the hub know by a message when it is gone. What
//! the hub takes out holds a waker only if the deadline has passed, or the hub ends; then the waker is called as all wakers of
//! tasks are (see `tasks`). So dropping a timer on the loop runs nobody's code.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::time::Instant;

use super::Hub;
use super::remote::{Message, Remote};
use super::tasks::Serve;
use crate::fiber::slot::NEVER;
use crate::hub::current;

/// All timers of a hub's tasks.
pub(crate) struct TaskTimers {
    by_deadline: RefCell<BTreeMap<TimerKey, Arc<Shared>>>,
    /// The first deadline; [`NEVER`] if there is none.
    earliest: Cell<u64>,
    next_number: Cell<u64>,
}

/// Sorts by deadline. The number makes it unique on its hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TimerKey {
    deadline: u64,
    number: u64,
}

struct Shared(Mutex<State>);

struct State {
    waker: Option<Waker>,
    /// It has fired, or its hub has ended.
    is_over: bool,
}

impl Default for TaskTimers {
    fn default() -> Self {
        Self {
            by_deadline: RefCell::default(),
            earliest: Cell::new(NEVER),
            next_number: Cell::new(0),
        }
    }
}

impl TaskTimers {
    #[inline]
    pub(super) fn earliest(&self) -> u64 {
        self.earliest.get()
    }

    fn insert(&self, deadline: u64, timer: Arc<Shared>) -> TimerKey {
        let number = self.next_number.get();
        self.next_number.set(number + 1);
        let key = TimerKey { deadline, number };
        self.by_deadline.borrow_mut().insert(key, timer);
        self.earliest.set(self.earliest.get().min(deadline));
        key
    }

    /// The future is gone, and has taken its waker with it.
    pub(super) fn remove(&self, key: TimerKey) {
        let mut timers = self.by_deadline.borrow_mut();
        timers.remove(&key);
        self.earliest.set(first_of(&timers));
    }

    /// Takes out a timer that is due at `now`. Its waker is to be called, if there is one.
    #[inline]
    fn pop_due(&self, now: u64) -> Option<Arc<Shared>> {
        if self.earliest.get() > now {
            return None;
        }
        let mut timers = self.by_deadline.borrow_mut();
        let first = timers.pop_first();
        self.earliest.set(first_of(&timers));
        first.map(|(_, timer)| timer)
    }
}

fn first_of(timers: &BTreeMap<TimerKey, Arc<Shared>>) -> u64 {
    timers.keys().next().map_or(NEVER, |key| key.deadline)
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

impl Shared {
    fn end(&self) -> Option<Waker> {
        let mut state = self.lock();
        state.is_over = true;
        state.waker.take()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // No user code runs under the lock.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timer, as the future that waits for it holds it.
pub(crate) struct TaskTimer {
    shared: Arc<Shared>,
    remote: &'static Remote,
    epoch: u64,
    key: TimerKey,
}

impl TaskTimer {
    /// Has the hub call `waker` at `deadline`, unless the timer is dropped before.
    pub(crate) fn start(hub: &Hub, deadline: Instant, waker: Waker, serve: Serve) -> Self {
        hub.tasks.serve_by(serve);
        let shared = Arc::new(Shared(Mutex::new(State {
            waker: Some(waker),
            is_over: false,
        })));
        // One nanosecond before the end of the clock is as good as never, and is a deadline.
        let deadline = hub.clock.nanoseconds(deadline).min(NEVER - 1);
        let key = hub.timers.tasks.insert(deadline, Arc::clone(&shared));
        Self {
            shared,
            remote: hub.remote,
            epoch: hub.epoch.get(),
            key,
        }
    }

    /// Has `waker` called in the place of the last one. Returns whether it will be: not if the timer has fired or its hub ended.
    pub(crate) fn wake_instead(&self, waker: &Waker) -> bool {
        let state = self.shared.lock();
        let is_over = state.is_over;
        let is_known = (state.waker.as_ref()).is_some_and(|known| known.will_wake(waker));
        drop(state);
        if is_over || is_known {
            return !is_over;
        }
        // Cloned and dropped without the lock, as both are the user's code.
        let waker = waker.clone();
        let mut state = self.shared.lock();
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
        let mut state = self.shared.lock();
        let (waker, was_over) = (state.waker.take(), state.is_over);
        drop(state);
        if !was_over {
            match current::existing_hub() {
                Some(hub)
                    if std::ptr::eq(hub.remote, self.remote) && hub.epoch.get() == self.epoch =>
                {
                    hub.timers.tasks.remove(self.key);
                }
                // A hub that is gone has let go of it.
                _ => drop(self.remote.send(self.epoch, Message::DropTimer(self.key))),
            }
        }
        drop(waker);
    }
}

impl fmt::Debug for TaskTimer {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.key.fmt(formatter)
    }
}
