//! A value that fibers of any hub, and threads, wait on until it has what they look for.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::fiber_handle::park_thread;
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::cancel;
use crate::hub::current;
use crate::hub::waker::Waker;

/// The value has a lock that is held for moments only, never while somebody waits. Whoever changes it wakes all who wait, and
/// each looks for itself: for values that few wait on.
#[derive(Debug)]
pub(crate) struct Monitor<S> {
    state: Mutex<MonitorState<S>>,
}

#[derive(Debug)]
struct MonitorState<S> {
    value: S,
    /// Each has a number, by which it is taken out again.
    waiters: Vec<(u64, Waker)>,
    next_number: u64,
}

impl<S> Monitor<S> {
    pub(crate) const fn new(value: S) -> Self {
        Self {
            state: Mutex::new(MonitorState {
                value,
                waiters: Vec::new(),
                next_number: 0,
            }),
        }
    }

    /// Changes the value and wakes all who wait.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let mut state = self.lock();
        let result = change(&mut state.value);
        let wakers: Vec<Waker> = state
            .waiters
            .iter()
            .map(|(_, waker)| waker.clone())
            .collect();
        drop(state);
        for waker in wakers {
            waker.wake();
        }
        result
    }

    /// Takes what `take` finds in the value now.
    pub(crate) fn try_take<T>(&self, take: impl FnOnce(&mut S) -> Option<T>) -> Option<T> {
        take(&mut self.lock().value)
    }

    /// Waits until `take` finds something, in a fiber or, without a hub, as a thread. None after the timeout.
    ///
    /// A cancel is thrown only if nothing was taken.
    pub(crate) fn wait<T>(
        &self,
        wait: Wait,
        timeout: Option<Duration>,
        mut take: impl FnMut(&mut S) -> Option<T>,
    ) -> Option<T> {
        if let (Some(hub), Some(fiber)) = (current::existing_hub(), current::fiber()) {
            hub.spend_budget(fiber);
        }
        if let Some(taken) = self.try_take(&mut take) {
            return Some(taken);
        }
        let calm = cancel::is_calm();
        let end = End::after(timeout);
        let _waiter = self.add_waiter();
        loop {
            // What came before the waiter was added woke nobody.
            if let Some(taken) = self.try_take(&mut take) {
                return Some(taken);
            }
            let expired = end.park(wait);
            if let Some(taken) = self.try_take(&mut take) {
                return Some(taken);
            }
            if let Some(fiber) = current::fiber() {
                cancel::throw_after_wait(fiber, calm);
            }
            if expired {
                return None;
            }
        }
    }

    fn add_waiter(&self) -> Waiter<'_, S> {
        let waker = Waker::current();
        let mut state = self.lock();
        let number = state.next_number;
        state.next_number += 1;
        state.waiters.push((number, waker));
        drop(state);
        Waiter {
            monitor: self,
            number,
        }
    }

    fn lock(&self) -> MutexGuard<'_, MonitorState<S>> {
        // Only code of this crate runs under the lock, and what it leaves is right if it panics.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes its waker out of the monitor when the wait ends, also by unwinding.
struct Waiter<'a, S> {
    monitor: &'a Monitor<S>,
    number: u64,
}

impl<S> Drop for Waiter<'_, S> {
    fn drop(&mut self) {
        let mut state = self.monitor.lock();
        state.waiters.retain(|(number, _)| *number != self.number);
    }
}

/// When a wait ends, on the clock of who waits.
enum End {
    Never,
    Fiber(u64),
    Thread(Instant),
}

impl End {
    fn after(timeout: Option<Duration>) -> Self {
        match (timeout, current::existing_hub()) {
            (None, _) => Self::Never,
            (Some(timeout), Some(hub)) => Self::Fiber(hub.clock.deadline_after(timeout)),
            (Some(timeout), None) => Instant::now()
                .checked_add(timeout)
                .map_or(Self::Never, Self::Thread),
        }
    }

    /// Parks once. Returns whether the end has come.
    fn park(&self, wait: Wait) -> bool {
        let running = current::existing_hub().zip(current::fiber());
        match (self, running) {
            (Self::Fiber(deadline), Some((hub, fiber))) => {
                hub::park_until(hub, fiber, wait, *deadline)
            }
            (_, Some((_, fiber))) => {
                hub::park(fiber, wait);
                false
            }
            (Self::Thread(end), None) => {
                let left = end.saturating_duration_since(Instant::now());
                park_thread(Some(left));
                left.is_zero()
            }
            (_, None) => {
                park_thread(None);
                false
            }
        }
    }
}
