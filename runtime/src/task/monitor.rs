//! A value that fibers of any hub, and threads, wait on until it has what they look for.

use std::time::Duration;

use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::wait_list::WaitList;
use crate::hub::waiting::{Deadline, Entry, Lock, wait};

/// Whoever changes the value wakes all who wait, and each looks for itself: for values that few wait on.
#[derive(Debug)]
pub(crate) struct Monitor<S> {
    state: Lock<State<S>>,
}

#[derive(Debug)]
pub(crate) struct State<S> {
    pub(crate) value: S,
    pub(crate) waiters: WaitList<()>,
}

impl<S> Monitor<S> {
    pub(crate) fn new(value: S) -> Self {
        let state = State {
            value,
            waiters: WaitList::new(),
        };
        Self {
            state: Lock::new(state),
        }
    }

    pub(crate) fn state(&self) -> &Lock<State<S>> {
        &self.state
    }

    /// Changes the value and wakes all who wait.
    pub(crate) fn change<R>(&self, change: impl FnOnce(&mut S) -> R) -> R {
        let mut state = self.state.lock();
        let result = change(&mut state.value);
        state.waiters.grant_all();
        result
    }

    /// Takes what `take` finds in the value now.
    pub(crate) fn try_take<T>(&self, take: impl FnOnce(&mut S) -> Option<T>) -> Option<T> {
        take(&mut self.state.lock().value)
    }

    /// Waits until `take` finds something, in a fiber or, without a hub, as a thread. None after the timeout.
    ///
    /// A cancel is thrown only if nothing was taken.
    pub(crate) fn wait<T>(
        &self,
        wait_for: Wait,
        timeout: Option<Duration>,
        mut take: impl FnMut(&mut S) -> Option<T>,
    ) -> Option<T> {
        hub::spend_here();
        let deadline = timeout.map_or(Deadline::Never, Deadline::after);
        let mut is_late = false;
        loop {
            let mut state = self.state.lock();
            let taken = take(&mut state.value);
            if taken.is_some() || is_late {
                return taken;
            }
            let entry = Entry {
                list: |state: &mut State<S>| &mut state.waiters,
                left: |_| (),
            };
            is_late = !wait(&self.state, state, entry, &mut (), wait_for, deadline);
        }
    }
}
