//! How many jobs a pool has, and waiting for none.

use crate::fiber::slot::Wait;
use crate::hub::wait_list::WaitList;
use crate::hub::waiting::{Deadline, Entry, Lock, wait};

#[derive(Debug)]
pub(super) struct Unfinished {
    state: Lock<State>,
}

#[derive(Debug)]
struct State {
    jobs: usize,
    waiters: WaitList<()>,
}

impl Unfinished {
    pub(super) fn new() -> Self {
        let state = State {
            jobs: 0,
            waiters: WaitList::new(),
        };
        Self {
            state: Lock::new(state),
        }
    }

    pub(super) fn add(&self) {
        self.state.lock().jobs += 1;
    }

    pub(super) fn finish(&self) {
        let mut state = self.state.lock();
        state.jobs -= 1;
        if state.jobs == 0 {
            state.waiters.grant_all();
        }
    }

    /// Waits until there is no job.
    pub(super) fn wait(&self) {
        let state = self.state.lock();
        if state.jobs > 0 {
            let entry = Entry {
                list: |state: &mut State| &mut state.waiters,
                left: |_| (),
            };
            let never = Deadline::Never;
            wait(&self.state, state, entry, &mut (), Wait::Join, never);
        }
    }
}
