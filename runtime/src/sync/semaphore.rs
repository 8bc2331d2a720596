//! A number of permits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::select::Branch;
use super::waitable::Sealed;
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::sync_facade::const_unless_loom;
use crate::hub::wait_list::{Ticket, WaitList, wake};
use crate::hub::waiting::{Deadline, Entry, Lock, Place, wait};

/// Permits, of which each user takes one or more and gives them back by dropping them.
///
/// Fair: who asked first gets permits first. Somebody who wants many is not overtaken by those who want few.
///
/// # Examples
///
/// At most two at a time:
///
/// ```
/// use std::sync::Arc;
/// use kapok::sync::Semaphore;
///
/// let permits = Arc::new(Semaphore::new(2));
/// let fibers: Vec<_> = (0..10)
///     .map(|_| {
///         let permits = Arc::clone(&permits);
///         kapok::spawn(move || {
///             let _permit = permits.acquire();
///             kapok::yield_now(); // the work
///         })
///     })
///     .collect();
/// fibers.into_iter().for_each(|fiber| fiber.join().unwrap());
/// assert_eq!(permits.available(), 2);
/// ```
pub struct Semaphore {
    state: Lock<State>,
}

struct State {
    available: usize,
    /// Each brings how many it wants.
    waiters: WaitList<usize>,
}

impl State {
    /// Gives permits to those who wait, in their order, as far as they go.
    fn serve(&mut self) {
        let available = &mut self.available;
        while let Some(mut claim) = self.waiters.claim_if(|wanted| *wanted <= *available) {
            *available -= *claim.payload();
            wake(claim.grant());
        }
    }
}

impl Semaphore {
    const_unless_loom! {
        /// So many permits to begin with.
        #[must_use]
        pub const fn new(permits: usize) -> Self {
            let state = State {
                available: permits,
                waiters: WaitList::new(),
            };
            Self {
                state: Lock::new(state),
            }
        }
    }

    /// Waits for a permit.
    #[switchpoint(wakes = "a free permit", cancel = "no permit is taken")]
    #[inline(always)]
    pub fn acquire(&self) -> Permit<'_> {
        self.take(1, Deadline::Never);
        self.permit(1)
    }

    /// Waits for several permits at once. Waits until somebody adds permits if there are not so many.
    #[switchpoint(wakes = "free permits", cancel = "no permit is taken")]
    pub fn acquire_many(&self, count: usize) -> Permit<'_> {
        self.take(count, Deadline::Never);
        self.permit(count)
    }

    /// [`acquire`](Self::acquire) for at most `timeout`.
    #[switchpoint(wakes = "a free permit, or the timeout", cancel = "no permit is taken")]
    pub fn acquire_timeout(&self, timeout: Duration) -> Option<Permit<'_>> {
        let taken = self.take(1, Deadline::after(timeout));
        taken.then(|| self.permit(1))
    }

    /// Takes a permit if one is free and nobody waits.
    pub fn try_acquire(&self) -> Option<Permit<'_>> {
        self.try_acquire_many(1)
    }

    /// Takes several permits if they are free and nobody waits.
    pub fn try_acquire_many(&self, count: usize) -> Option<Permit<'_>> {
        self.try_take(count).then(|| self.permit(count))
    }

    /// [`acquire`](Self::acquire) a permit that may be given to another fiber or thread.
    #[switchpoint(wakes = "a free permit", cancel = "no permit is taken")]
    pub fn acquire_owned(self: &Arc<Self>) -> OwnedPermit {
        self.take(1, Deadline::Never);
        self.owned_permit(1)
    }

    /// [`acquire_many`](Self::acquire_many) permits that may be given to another fiber or thread.
    #[switchpoint(wakes = "free permits", cancel = "no permit is taken")]
    pub fn acquire_many_owned(self: &Arc<Self>, count: usize) -> OwnedPermit {
        self.take(count, Deadline::Never);
        self.owned_permit(count)
    }

    /// [`acquire_owned`](Self::acquire_owned) for at most `timeout`.
    #[switchpoint(wakes = "a free permit, or the timeout", cancel = "no permit is taken")]
    pub fn acquire_timeout_owned(self: &Arc<Self>, timeout: Duration) -> Option<OwnedPermit> {
        let taken = self.take(1, Deadline::after(timeout));
        taken.then(|| self.owned_permit(1))
    }

    /// [`try_acquire`](Self::try_acquire) a permit that may be given to another fiber or thread.
    pub fn try_acquire_owned(self: &Arc<Self>) -> Option<OwnedPermit> {
        self.try_acquire_many_owned(1)
    }

    /// [`try_acquire_many`](Self::try_acquire_many) permits that may be given to another fiber or thread.
    pub fn try_acquire_many_owned(self: &Arc<Self>, count: usize) -> Option<OwnedPermit> {
        self.try_take(count).then(|| self.owned_permit(count))
    }

    /// Adds permits.
    ///
    /// # Panics
    ///
    /// If there would be more than `usize::MAX`.
    pub fn add(&self, count: usize) {
        let mut state = self.state.lock();
        let available = state.available.checked_add(count);
        state.available = available.expect("a semaphore has at most usize::MAX permits");
        state.serve();
    }

    /// How many permits are free.
    #[must_use]
    pub fn available(&self) -> usize {
        self.state.lock().available
    }

    /// For permits that were taken.
    fn permit(&self, count: usize) -> Permit<'_> {
        Permit {
            semaphore: self,
            count,
        }
    }

    /// For permits that were taken.
    fn owned_permit(self: &Arc<Self>, count: usize) -> OwnedPermit {
        OwnedPermit {
            semaphore: Arc::clone(self),
            count,
        }
    }

    fn try_take(&self, count: usize) -> bool {
        let mut state = self.state.lock();
        let is_there = state.waiters.is_empty() && count <= state.available;
        if is_there {
            state.available -= count;
        }
        is_there
    }

    /// Returns whether the permits were there before the deadline.
    #[inline(always)]
    fn take(&self, count: usize, deadline: Deadline) -> bool {
        let mut state = self.state.lock();
        if state.waiters.is_empty() && count <= state.available {
            state.available -= count;
            drop(state);
            hub::spend_here();
            return true;
        }
        let entry = Entry {
            list: |state: &mut State| &mut state.waiters,
            // It may have been the first, who wanted many.
            left: State::serve,
        };
        let (wait_for, mut wanted) = (Wait::Permit, count);
        wait(&self.state, state, entry, &mut wanted, wait_for, deadline)
    }
}

impl fmt::Debug for Semaphore {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Semaphore")
            .field("available", &self.available())
            .finish_non_exhaustive()
    }
}

/// One or more permits, given back when this is dropped.
#[derive(Debug)]
#[must_use = "the permit is held only as long as this lives"]
pub struct Permit<'a> {
    semaphore: &'a Semaphore,
    count: usize,
}

impl Permit<'_> {
    /// Keeps the permits for good: there are so many fewer.
    pub fn forget(mut self) {
        self.count = 0;
    }
}

impl Drop for Permit<'_> {
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.add(self.count);
        }
    }
}

/// One or more permits that belong to nobody's frame, given back when this is dropped, on whichever thread.
#[derive(Debug)]
#[must_use = "the permit is held only as long as this lives"]
pub struct OwnedPermit {
    semaphore: Arc<Semaphore>,
    count: usize,
}

impl OwnedPermit {
    /// Keeps the permits for good: there are so many fewer.
    pub fn forget(mut self) {
        self.count = 0;
    }
}

impl Drop for OwnedPermit {
    fn drop(&mut self) {
        if self.count > 0 {
            self.semaphore.add(self.count);
        }
    }
}

/// Takes a permit.
pub fn acquire(semaphore: &Semaphore) -> Acquire<'_> {
    Acquire { semaphore }
}

/// What [`acquire`] returns.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct Acquire<'a> {
    semaphore: &'a Semaphore,
}

impl Sealed for Acquire<'_> {}

impl<'a> Branch for Acquire<'a> {
    type Output = Permit<'a>;
    type Place = Place<usize>;

    fn try_take(&self) -> Option<Permit<'a>> {
        self.semaphore.try_acquire()
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        let mut state = self.semaphore.state.lock();
        if state.waiters.is_empty() && state.available > 0 {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.waiters, 1, ticket, number) };
        true
    }

    fn leave(&self, place: &Self::Place) {
        let mut state = self.semaphore.state.lock();
        place.leave(&mut state.waiters);
        // Those behind may want what is free.
        state.serve();
    }

    fn granted(&self, _: Self::Place) -> Option<Permit<'a>> {
        Some(self.semaphore.permit(1))
    }
}
