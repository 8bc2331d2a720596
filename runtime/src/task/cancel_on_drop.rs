//! A handle that takes its fiber with it.

use std::ops::Deref;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::{JoinError, JoinHandle};

impl<T> JoinHandle<T> {
    /// Has the fiber cancelled when the handle is dropped, instead of detached: for a fiber that serves a value and is to end with it.
    ///
    /// The drop does not wait for the fiber to unwind. Where the fibers' work lies within one call, [`scope`](crate::scope()) and
    /// [`task_group`](crate::task_group()) do wait. Does not compile under `panic = "abort"`.
    ///
    /// # Examples
    ///
    /// ```
    /// use kapok::CancelOnDrop;
    /// use std::{cell::Cell, rc::Rc, time::Duration};
    ///
    /// struct Clock {
    ///     ticks: Rc<Cell<u64>>,
    ///     _ticker: CancelOnDrop<()>,
    /// }
    ///
    /// let ticks = Rc::new(Cell::new(0));
    /// let counted = Rc::clone(&ticks);
    /// let ticker = kapok::spawn(move || {
    ///     loop {
    ///         kapok::sleep(Duration::from_millis(1));
    ///         counted.set(counted.get() + 1);
    ///     }
    /// });
    /// let clock = Clock { ticks, _ticker: ticker.cancel_on_drop() };
    /// kapok::sleep(Duration::from_millis(20));
    /// assert!(clock.ticks.get() > 0);
    /// drop(clock); // and the ticker
    /// ```
    ///
    /// # Source
    ///
    /// tokio-util's `AbortOnDropHandle`.
    pub fn cancel_on_drop(self) -> CancelOnDrop<T> {
        CancelOnDrop { handle: Some(self) }
    }
}

/// A [`JoinHandle`] that cancels its fiber when it is dropped, made by [`JoinHandle::cancel_on_drop`].
#[derive(Debug)]
#[must_use = "dropping it cancels the fiber"]
pub struct CancelOnDrop<T> {
    /// Until it is taken.
    handle: Option<JoinHandle<T>>,
}

impl<T> CancelOnDrop<T> {
    /// [`JoinHandle::join`]. If who joins is cancelled meanwhile, so is the fiber.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: the fiber panicked or was cancelled.
    ///
    /// # Panics
    ///
    /// If a fiber joins itself.
    #[switchpoint(wakes = "the fiber's end", cancel = "the fiber is cancelled")]
    pub fn join(mut self) -> Result<T, JoinError> {
        self.wait_until_done();
        self.take().join()
    }

    /// The handle alone, which detaches the fiber when it is dropped.
    pub fn into_handle(mut self) -> JoinHandle<T> {
        self.take()
    }

    fn take(&mut self) -> JoinHandle<T> {
        let handle = self.handle.take();
        handle.expect("invariant: it is taken by who consumes it")
    }
}

impl<T> Deref for CancelOnDrop<T> {
    type Target = JoinHandle<T>;

    fn deref(&self) -> &JoinHandle<T> {
        let handle = self.handle.as_ref();
        handle.expect("invariant: it is taken by who consumes it")
    }
}

impl<T> Drop for CancelOnDrop<T> {
    fn drop(&mut self) {
        if let Some(handle) = &self.handle {
            handle.cancel();
        }
    }
}
