//! One at a time, on whatever thread: what is behind a standard stream belongs to the whole process.

use crate::fiber::slot::Wait;
use crate::task::Monitor;

pub(super) struct Turn {
    is_taken: Monitor<bool>,
}

impl Turn {
    pub(super) const fn new() -> Self {
        Self {
            is_taken: Monitor::new(false),
        }
    }

    /// Waits until nobody else has it. A wait that is cancelled took nothing.
    pub(super) fn take(&'static self) -> TurnGuard {
        let take = |is_taken: &mut bool| (!std::mem::replace(is_taken, true)).then_some(());
        while self.is_taken.wait(Wait::Turn, None, take).is_none() {}
        TurnGuard { turn: self }
    }
}

/// Gives the turn to the next when it is dropped, on any thread.
pub(super) struct TurnGuard {
    turn: &'static Turn,
}

impl Drop for TurnGuard {
    fn drop(&mut self) {
        self.turn.is_taken.change(|is_taken| *is_taken = false);
    }
}
