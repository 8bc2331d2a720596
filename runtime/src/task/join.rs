//! The handle of a fiber on the same hub.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::task::{Context, Poll};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::{Fiber, JoinError, wake_tasks_on_a_fiber};
use crate::fiber::FiberSlot;
use crate::fiber::here::Here;
use crate::fiber::slot::{Rare, Wait, flag};
use crate::fiber::store;
use crate::hub::cancel;
use crate::hub::current;
use crate::hub::end;
use crate::hub::{Hub, park};

/// Owns the right to a fiber's result. Dropping it detaches the fiber, which runs on: only [`cancel`](Self::cancel) cancels it.
///
/// It stays on its thread, and may outlive its hub there.
///
/// ```compile_fail,E0277
/// fn assert_send<T: Send>() {}
/// assert_send::<kapok::JoinHandle<()>>();
/// ```
#[must_use = "dropping a handle detaches its fiber; join it, or say `drop(handle)`"]
pub struct JoinHandle<T> {
    /// Pinned: the slot is not used again while its `HANDLE` flag is set.
    fiber: Here<FiberSlot>,
    /// The hub the slot belongs to, whose memory lives as long as a handle does.
    hub: Here<Hub>,
    result: PhantomData<T>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(hub: &'static Hub, fiber: &'static FiberSlot) -> Self {
        Self {
            fiber: Here::new(fiber),
            hub: Here::new(hub),
            result: PhantomData,
        }
    }

    /// Waits for the fiber to end and returns its result.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: the fiber panicked or was cancelled.
    ///
    /// # Panics
    ///
    /// If a fiber joins itself.
    ///
    /// # Examples
    ///
    /// ```
    /// let error = kapok::spawn(|| panic!("no")).join().unwrap_err();
    /// assert_eq!(*error.into_panic().downcast::<&str>().unwrap(), "no");
    /// ```
    #[switchpoint(
        wakes = "the fiber's end",
        cancel = "the fiber is detached and runs on"
    )]
    #[inline(always)]
    pub fn join(self) -> Result<T, JoinError> {
        self.wait_until_done();
        // SAFETY: `spawn` made this handle together with a body for results of the same `T`.
        match unsafe { store::take_value::<T>(self.fiber.get()) } {
            Some(value) => Ok(value),
            None => Err(take_failure(self.fiber.get())),
        }
    }

    #[inline(always)]
    pub(super) fn wait_until_done(&self) {
        if self.fiber.has(flag::DONE) {
            return;
        }
        let me = current::running_fiber();
        assert!(
            !std::ptr::eq(me, self.fiber.get()),
            "a fiber cannot join itself"
        );
        let calm = cancel::is_calm();
        loop {
            self.add_joiner(me);
            park(me, Wait::Join);
            if self.fiber.has(flag::DONE) {
                return;
            }
            self.remove_joiner(me);
            cancel::throw_after_wait(me, calm);
        }
    }

    /// Asks the fiber to end: it unwinds from its next switchpoint, or from the wait it is in. Does nothing if it has ended.
    ///
    /// A fiber that has not run yet never runs. `join` then returns [`JoinError::Cancelled`], unless the fiber got to its end
    /// all the same. A fiber may wait with ending as long as it is [`shielded`](crate::shielded) or in a destructor.
    ///
    /// Does not compile under `panic = "abort"`.
    pub fn cancel(&self) {
        const {
            assert!(
                cfg!(panic = "unwind"),
                "kapok: `JoinHandle::cancel` unwinds the fiber and needs `panic = \"unwind\"`"
            )
        };
        cancel::cancel(self.hub.get(), self.fiber.get());
    }

    /// Whether the fiber has ended, so that `join` would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.fiber.has(flag::DONE)
    }

    /// Has the fiber `me` woken when this one ends.
    #[inline(always)]
    pub(crate) fn add_joiner(&self, me: &'static FiberSlot) {
        if self.fiber.joiner.get().is_none() {
            self.fiber.joiner.set(Some(me));
        } else {
            self.fiber.with_rare(|rare| rare.joiners.push(me));
        }
    }

    /// `me` waits no longer. Does nothing if the fiber has ended.
    #[cold]
    pub(crate) fn remove_joiner(&self, me: &'static FiberSlot) {
        let is_me = |joiner: &'static FiberSlot| std::ptr::eq(joiner, me);
        let mut rare = self.fiber.rare.borrow_mut();
        let more = rare.as_mut().map(|rare| &mut rare.joiners);
        if self.fiber.joiner.get().is_some_and(is_me) {
            self.fiber.joiner.set(more.and_then(Vec::pop));
        } else if let Some(more) = more {
            more.retain(|joiner| !is_me(joiner));
        }
    }

    pub(super) fn slot(&self) -> &'static FiberSlot {
        self.fiber.get()
    }

    pub(super) fn set_name(&self, name: std::sync::Arc<str>) {
        self.fiber.with_rare(|rare| rare.name = Some(name));
    }

    /// The fiber, to unpark it or to tell its name.
    #[must_use]
    pub fn fiber(&self) -> Fiber {
        Fiber::of(self.hub.get(), self.fiber.get())
    }
}

/// Awaits the fiber from async code, as [`JoinHandle::join`] waits for it. Dropping the handle detaches the fiber.
///
/// Panics if it is polled again after it was ready.
///
/// # Examples
///
/// ```
/// let answer = kapok::block_on(async {
///     let fiber = kapok::spawn(|| 6 * 7);
///     fiber.await.unwrap()
/// });
/// assert_eq!(answer, 42);
/// ```
///
/// # Panics
///
/// If a fiber awaits itself.
impl<T> Future for JoinHandle<T> {
    type Output = Result<T, JoinError>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        let fiber = self.fiber.get();
        let joins_itself = current::fiber().is_some_and(|me| std::ptr::eq(me, fiber));
        assert!(!joins_itself, "a fiber cannot join itself");
        if !fiber.has(flag::DONE) {
            self.hub.tasks.serve_by(wake_tasks_on_a_fiber);
            // Cloned and dropped with nothing borrowed, as both may run anything, even the fiber to its end.
            let waker = context.waker().clone();
            let last = fiber.with_rare(|rare| rare.awaiter.replace(waker));
            drop(last);
            if !fiber.has(flag::DONE) {
                // No fiber joins itself: this stands for the task.
                self.remove_joiner(fiber);
                self.add_joiner(fiber);
                return Poll::Pending;
            }
        }
        // SAFETY: `spawn` made this handle together with a body for results of the same `T`.
        Poll::Ready(match unsafe { store::take_value::<T>(fiber) } {
            Some(value) => Ok(value),
            None => Err(take_failure(fiber)),
        })
    }
}

#[cold]
fn take_failure(fiber: &FiberSlot) -> JoinError {
    let failure = fiber.rare.take().and_then(|rare| rare.failure);
    failure.expect("invariant: a fiber that is done left a value or a failure")
}

impl<T> Drop for JoinHandle<T> {
    #[inline(always)]
    fn drop(&mut self) {
        self.fiber.clear(flag::HANDLE);
        if self.fiber.has(flag::DONE) {
            // SAFETY: `spawn` made this handle together with a body for results of the same `T`.
            let value = unsafe { store::take_value::<T>(self.fiber.get()) };
            let rare = take_rare(self.fiber.get());
            // The slot goes back before the value or a payload is dropped: their destructors may do anything, even end the hub.
            self.hub.release(self.fiber.get());
            if self.hub.late_handles.get() > 0 {
                end::drop_late_handle(self.hub.get());
            }
            drop(rare);
            drop(value);
        }
    }
}

#[inline(always)]
fn take_rare(fiber: &FiberSlot) -> Option<Box<Rare>> {
    let is_there = fiber.rare.borrow().is_some();
    is_there.then(|| fiber.rare.take()).flatten()
}

impl<T> fmt::Debug for JoinHandle<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("JoinHandle")
            .field("fiber", &self.fiber())
            .field("is_finished", &self.is_finished())
            .finish()
    }
}
