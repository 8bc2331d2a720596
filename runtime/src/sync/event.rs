//! A flag that can be waited for.

use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::fiber::slot::Wait;
use crate::hub::sync_facade::const_unless_loom;
use crate::hub::wait_list::WaitList;
use crate::hub::waiting::{Deadline, Entry, Lock, wait};

/// A flag that stays set until it is cleared. Setting it wakes all who wait.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use kapok::sync::Event;
///
/// let ready = Arc::new(Event::new());
/// let waiting = kapok::spawn({
///     let ready = Arc::clone(&ready);
///     move || ready.wait()
/// });
/// std::thread::spawn(move || ready.set());
/// waiting.join().unwrap();
/// ```
///
/// # Source
///
/// Python's `threading.Event`, as Gruvi has it.
pub struct Event {
    is_set: AtomicBool,
    waiters: Lock<WaitList<()>>,
}

impl Event {
    const_unless_loom! {
        /// An event that is not set.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                is_set: AtomicBool::new(false),
                waiters: Lock::new(WaitList::new()),
            }
        }
    }

    /// Waits until it is set.
    #[switchpoint(wakes = "`set`", cancel = "nothing is left behind")]
    #[inline(always)]
    pub fn wait(&self) {
        self.wait_until(Deadline::Never);
    }

    /// Waits until it is set, for at most `timeout`. Returns whether it was set.
    #[switchpoint(wakes = "`set`, or the timeout", cancel = "nothing is left behind")]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.is_set() || self.wait_until(Deadline::after(timeout))
    }

    #[inline(always)]
    fn wait_until(&self, deadline: Deadline) -> bool {
        if self.is_set() {
            return true;
        }
        let waiters = self.waiters.lock();
        if self.is_set() {
            return true;
        }
        wait(
            &self.waiters,
            waiters,
            Self::entry(),
            &mut (),
            Wait::Event,
            deadline,
        )
    }

    /// Sets it and wakes all who wait, even if it is cleared before they run.
    pub fn set(&self) {
        let mut waiters = self.waiters.lock();
        self.is_set.store(true, Ordering::Release);
        waiters.grant_all();
    }

    /// Whoever waits from now on waits for the next [`set`](Self::set).
    pub fn clear(&self) {
        let _waiters = self.waiters.lock();
        self.is_set.store(false, Ordering::Release);
    }

    /// Whether it is set.
    #[must_use]
    #[inline(always)]
    pub fn is_set(&self) -> bool {
        self.is_set.load(Ordering::Acquire)
    }

    pub(super) fn waiters(&self) -> &Lock<WaitList<()>> {
        &self.waiters
    }

    fn entry() -> Entry<WaitList<()>, ()> {
        Entry {
            list: |waiters| waiters,
            left: |_| (),
        }
    }
}

impl Default for Event {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Event {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Event")
            .field("is_set", &self.is_set())
            .finish_non_exhaustive()
    }
}
