//! Waiting for each other.

use std::fmt;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::fiber::slot::Wait;
use crate::hub::sync_facade::const_unless_loom;
use crate::hub::wait_list::WaitList;
use crate::hub::waiting::{Deadline, Entry, Lock, wait};

/// Where so many wait until all are there, again and again: [`std::sync::Barrier`] with its methods.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use kapok::sync::Barrier;
///
/// let barrier = Arc::new(Barrier::new(3));
/// let fibers: Vec<_> = (0..3)
///     .map(|_| {
///         let barrier = Arc::clone(&barrier);
///         kapok::spawn(move || barrier.wait().is_leader())
///     })
///     .collect();
/// let leaders = fibers.into_iter().filter(|_| true).map(|fiber| fiber.join().unwrap());
/// assert_eq!(leaders.filter(|is_leader| *is_leader).count(), 1);
/// ```
pub struct Barrier {
    size: usize,
    state: Lock<State>,
}

struct State {
    arrived: usize,
    waiters: WaitList<()>,
}

/// Tells one of those who met from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BarrierWaitResult(bool);

impl BarrierWaitResult {
    /// Whether this is the one who came last.
    #[must_use]
    pub fn is_leader(self) -> bool {
        self.0
    }
}

impl Barrier {
    const_unless_loom! {
        /// For so many; 0 counts as 1.
        #[must_use]
        pub const fn new(size: usize) -> Self {
            let state = State {
                arrived: 0,
                waiters: WaitList::new(),
            };
            Self {
                size,
                state: Lock::new(state),
            }
        }
    }

    /// Waits until all are here.
    #[switchpoint(
        wakes = "the last one to arrive",
        cancel = "it counts as not having arrived"
    )]
    pub fn wait(&self) -> BarrierWaitResult {
        // Without a deadline there is a result.
        let met = self.wait_until(Deadline::Never);
        met.unwrap_or(BarrierWaitResult(false))
    }

    /// [`wait`](Self::wait) for at most `timeout`. None if the time was over: then it counts as not having arrived.
    #[switchpoint(
        wakes = "the last one to arrive, or the timeout",
        cancel = "it counts as not having arrived"
    )]
    pub fn wait_timeout(&self, timeout: Duration) -> Option<BarrierWaitResult> {
        self.wait_until(Deadline::after(timeout))
    }

    fn wait_until(&self, deadline: Deadline) -> Option<BarrierWaitResult> {
        let mut state = self.state.lock();
        state.arrived += 1;
        if state.arrived >= self.size {
            state.arrived = 0;
            state.waiters.grant_all();
            return Some(BarrierWaitResult(true));
        }
        let entry = Entry {
            list: |state: &mut State| &mut state.waiters,
            left: |state| state.arrived -= 1,
        };
        let slot = &mut ();
        let met = wait(&self.state, state, entry, slot, Wait::Barrier, deadline);
        met.then_some(BarrierWaitResult(false))
    }
}

impl fmt::Debug for Barrier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Barrier")
            .field("size", &self.size)
            .field("arrived", &self.state.lock().arrived)
            .finish_non_exhaustive()
    }
}
