//! The handle of a fiber on the same hub.

use std::any::Any;
use std::fmt;
use std::marker::PhantomData;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::Fiber;
use crate::cancel;
use crate::current;
use crate::fiber::FiberSlot;
use crate::fiber::slot::{Wait, flag};
use crate::fiber::store;
use crate::hub::park;

/// Owns the right to a fiber's result. Dropping it detaches the fiber.
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
    fiber: &'static FiberSlot,
    result: PhantomData<(T, *mut ())>,
}

impl<T> JoinHandle<T> {
    pub(super) fn new(fiber: &'static FiberSlot) -> Self {
        Self {
            fiber,
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
        if !self.fiber.has(flag::DONE) {
            let me = current::running_fiber();
            assert!(!std::ptr::eq(me, self.fiber), "a fiber cannot join itself");
            let calm = cancel::is_calm();
            loop {
                self.fiber.joiner.set(Some(me));
                park(me, Wait::Join);
                if self.fiber.has(flag::DONE) {
                    break;
                }
                self.fiber.joiner.set(None);
                cancel::throw_after_wait(me, calm);
            }
        }
        // SAFETY: `spawn` made this handle together with a body for results of the same `T`.
        match unsafe { store::take_value::<T>(self.fiber) } {
            Some(value) => Ok(value),
            None => Err(take_failure(self.fiber)),
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
        if let Some(hub) = self.fiber.hub.get() {
            cancel::cancel(hub, self.fiber);
        }
    }

    /// Whether the fiber has ended, so that `join` would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.fiber.has(flag::DONE)
    }

    pub(super) fn set_name(&self, name: std::sync::Arc<str>) {
        self.fiber.with_rare(|rare| rare.name = Some(name));
    }

    /// The fiber, to unpark it or to tell its name.
    #[must_use]
    pub fn fiber(&self) -> Fiber {
        Fiber::of(self.fiber)
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
            let value = unsafe { store::take_value::<T>(self.fiber) };
            drop_rare(self.fiber);
            // The slot goes back before the value is dropped: its destructor may do anything.
            if let Some(hub) = self.fiber.hub.get() {
                hub.release(self.fiber);
            }
            drop(value);
        }
    }
}

#[inline(always)]
fn drop_rare(fiber: &FiberSlot) {
    if fiber.rare.borrow().is_some() {
        let rare = fiber.rare.take();
        drop(rare);
    }
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

/// Why a fiber left no result.
#[non_exhaustive]
pub enum JoinError {
    /// It was cancelled.
    Cancelled,
    /// Its hub ended before it did, or before it began.
    HubEnded,
    /// It panicked, with this payload.
    Panicked(Box<dyn Any + Send>),
}

impl JoinError {
    /// Whether the fiber was cancelled.
    #[must_use]
    pub fn is_cancelled(&self) -> bool {
        matches!(self, Self::Cancelled)
    }

    /// Whether the fiber panicked.
    #[must_use]
    pub fn is_panic(&self) -> bool {
        matches!(self, Self::Panicked(_))
    }

    /// The panic's payload, for [`std::panic::resume_unwind`].
    ///
    /// # Panics
    ///
    /// If the fiber did not panic; [`Self::try_into_panic`] returns the error back then.
    #[must_use]
    #[track_caller]
    pub fn into_panic(self) -> Box<dyn Any + Send> {
        match self.try_into_panic() {
            Ok(payload) => payload,
            Err(error) => panic!("the fiber did not panic: {error}"),
        }
    }

    /// The panic's payload.
    ///
    /// # Errors
    ///
    /// The error itself, if the fiber did not panic.
    pub fn try_into_panic(self) -> Result<Box<dyn Any + Send>, Self> {
        match self {
            Self::Panicked(payload) => Ok(payload),
            other => Err(other),
        }
    }

    fn message(&self) -> Option<&str> {
        let Self::Panicked(payload) = self else {
            return None;
        };
        payload
            .downcast_ref::<&str>()
            .copied()
            .or_else(|| payload.downcast_ref::<String>().map(String::as_str))
    }
}

impl fmt::Display for JoinError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match (self, self.message()) {
            (Self::Cancelled, _) => formatter.write_str("the fiber was cancelled"),
            (Self::HubEnded, _) => formatter.write_str("the fiber's hub ended before it"),
            (Self::Panicked(_), Some(message)) => {
                write!(formatter, "the fiber panicked: {message}")
            }
            (Self::Panicked(_), None) => formatter.write_str("the fiber panicked"),
        }
    }
}

impl fmt::Debug for JoinError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancelled => formatter.write_str("Cancelled"),
            Self::HubEnded => formatter.write_str("HubEnded"),
            Self::Panicked(_) => formatter
                .debug_tuple("Panicked")
                .field(&self.message())
                .finish(),
        }
    }
}

impl std::error::Error for JoinError {}
