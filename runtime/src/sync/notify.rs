//! Waking one who waits, or the next one who will.

use std::fmt;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::select::Branch;
use super::waitable::Sealed;
use crate::fiber::slot::Wait;
use crate::hub::sync_facade::const_unless_loom;
use crate::hub::wait_list::{Ticket, WaitList, wake};
use crate::hub::waiting::{Deadline, Entry, Lock, Place, wait};

/// Wakes one who waits; if nobody does, the next one to wait does not. It is [`park`](crate::park()) and `unpark` for those who do
/// not know each other.
///
/// # Examples
///
/// ```
/// use kapok::sync::Notify;
///
/// static WORK: Notify = Notify::new();
///
/// std::thread::spawn(|| WORK.notify_one());
/// WORK.wait(); // returns, whoever came first
/// ```
///
/// # Source
///
/// tokio's `Notify`.
pub struct Notify {
    state: Lock<State>,
}

struct State {
    /// A notification that nobody has had yet; several count as one.
    is_notified: bool,
    waiters: WaitList<()>,
}

impl Notify {
    const_unless_loom! {
        /// Nobody waits, nothing is kept.
        #[must_use]
        pub const fn new() -> Self {
            let state = State {
                is_notified: false,
                waiters: WaitList::new(),
            };
            Self {
                state: Lock::new(state),
            }
        }
    }

    /// Waits to be notified; returns at once if a notification was kept.
    #[switchpoint(wakes = "a notification", cancel = "no notification was taken")]
    #[inline(always)]
    pub fn wait(&self) {
        self.wait_until(Deadline::Never);
    }

    /// [`wait`](Self::wait) for at most `timeout`. Returns whether there was a notification.
    #[switchpoint(
        wakes = "a notification, or the timeout",
        cancel = "no notification was taken"
    )]
    pub fn wait_timeout(&self, timeout: Duration) -> bool {
        self.wait_until(Deadline::after(timeout))
    }

    #[inline(always)]
    fn wait_until(&self, deadline: Deadline) -> bool {
        let mut state = self.state.lock();
        if std::mem::take(&mut state.is_notified) {
            return true;
        }
        let entry = Entry {
            list: |state: &mut State| &mut state.waiters,
            left: |_| (),
        };
        wait(&self.state, state, entry, &mut (), Wait::Event, deadline)
    }

    /// Wakes who waits longest, or keeps one notification for the next.
    pub fn notify_one(&self) {
        let mut state = self.state.lock();
        let Some(claim) = state.waiters.claim() else {
            state.is_notified = true;
            return;
        };
        let waker = claim.grant();
        drop(state);
        wake(waker);
    }

    /// Wakes all who wait, and keeps nothing.
    pub fn notify_all(&self) {
        self.state.lock().waiters.grant_all();
    }
}

impl Default for Notify {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Notify {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Notify")
            .field("is_notified", &self.state.lock().is_notified)
            .finish_non_exhaustive()
    }
}

/// Takes a notification.
pub fn notified(notify: &Notify) -> Notified<'_> {
    Notified { notify }
}

/// What [`notified`] returns.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct Notified<'a> {
    notify: &'a Notify,
}

impl Sealed for Notified<'_> {}

impl Branch for Notified<'_> {
    type Output = ();
    type Place = Place<()>;

    fn try_take(&self) -> Option<()> {
        let mut state = self.notify.state.lock();
        std::mem::take(&mut state.is_notified).then_some(())
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        let mut state = self.notify.state.lock();
        if state.is_notified {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.waiters, (), ticket, number) };
        true
    }

    fn leave(&self, place: &Self::Place) {
        place.leave(&mut self.notify.state.lock().waiters);
    }

    fn granted(&self, _: Self::Place) -> Option<()> {
        Some(())
    }
}
