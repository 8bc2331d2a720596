//! Waiting for what a mutex protects to change.

use std::fmt;
use std::sync::{LockResult, PoisonError};
use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::mutex::{Mutex, MutexGuard};
use crate::fiber::slot::Wait;
use crate::hub::sync_facade::const_unless_loom;
use crate::hub::wait_list::{Claim, WaitList, wake};
use crate::hub::waiting::{Deadline, Entry, Lock, wait};

/// Waits, together with a [`Mutex`], until somebody says that what it protects has changed: [`std::sync::Condvar`] with its methods.
///
/// Fair: notifications go to those who wait longest. There are no wakes for no reason, but the condition may have changed again before
/// the lock was had: look at it in a loop, or use [`wait_while`](Self::wait_while).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use kapok::sync::{Condvar, Mutex};
///
/// let shared = Arc::new((Mutex::new(0), Condvar::new()));
/// let counting = kapok::spawn({
///     let shared = Arc::clone(&shared);
///     move || {
///         let (count, changed) = &*shared;
///         for _ in 0..3 {
///             *count.lock().unwrap() += 1;
///             changed.notify_one();
///         }
///     }
/// });
/// let (count, changed) = &*shared;
/// let count = changed.wait_while(count.lock().unwrap(), |count| *count < 3).unwrap();
/// assert_eq!(*count, 3);
/// # drop(count);
/// # counting.join().unwrap();
/// ```
pub struct Condvar {
    waiters: Lock<WaitList<()>>,
}

/// Whether a wait ended by its timeout, as [`std::sync::WaitTimeoutResult`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitTimeoutResult(bool);

impl WaitTimeoutResult {
    /// Whether the time was over before a notification came.
    #[must_use]
    pub fn timed_out(self) -> bool {
        self.0
    }
}

impl Condvar {
    const_unless_loom! {
        /// Nobody waits.
        #[must_use]
        pub const fn new() -> Self {
            Self {
                waiters: Lock::new(WaitList::new()),
            }
        }
    }

    /// Unlocks the mutex, waits to be notified, and locks it again.
    ///
    /// # Errors
    ///
    /// The guard all the same, if the mutex is poisoned.
    #[switchpoint(
        wakes = "a notification, then its turn at the lock",
        cancel = "the lock is not held, and a notification that came goes to the next"
    )]
    pub fn wait<'a, T: ?Sized>(&self, guard: MutexGuard<'a, T>) -> LockResult<MutexGuard<'a, T>> {
        self.wait_until(guard, Deadline::Never).0
    }

    /// [`wait`](Self::wait), again and again as long as `condition` is true of the value.
    ///
    /// # Errors
    ///
    /// The guard all the same, if the mutex is poisoned.
    #[switchpoint(
        wakes = "a notification, then its turn at the lock",
        cancel = "the lock is not held, and a notification that came goes to the next"
    )]
    pub fn wait_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        while condition(&mut *guard) {
            guard = self.wait(guard)?;
        }
        Ok(guard)
    }

    /// [`wait`](Self::wait) for at most `timeout`; the lock may take longer.
    ///
    /// # Errors
    ///
    /// The guard all the same, if the mutex is poisoned.
    #[switchpoint(
        wakes = "a notification or the timeout, then its turn at the lock",
        cancel = "the lock is not held, and a notification that came goes to the next"
    )]
    pub fn wait_timeout<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        timeout: Duration,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        let (guard, result) = self.wait_until(guard, Deadline::after(timeout));
        with_result(guard, result)
    }

    /// [`wait_while`](Self::wait_while) for at most `timeout`. It timed out if the condition is still true then.
    ///
    /// # Errors
    ///
    /// The guard all the same, if the mutex is poisoned.
    #[switchpoint(
        wakes = "a notification or the timeout, then its turn at the lock",
        cancel = "the lock is not held, and a notification that came goes to the next"
    )]
    pub fn wait_timeout_while<'a, T: ?Sized>(
        &self,
        mut guard: MutexGuard<'a, T>,
        timeout: Duration,
        mut condition: impl FnMut(&mut T) -> bool,
    ) -> LockResult<(MutexGuard<'a, T>, WaitTimeoutResult)> {
        // So far away that it is never. Not a `Deadline`: the condition may make or end the thread's hub.
        let end = Instant::now().checked_add(timeout);
        let mut timed_out = false;
        while condition(&mut *guard) {
            if timed_out {
                return Ok((guard, WaitTimeoutResult(true)));
            }
            let deadline = end.map_or(Deadline::Never, Deadline::at);
            let (again, result) = self.wait_until(guard, deadline);
            timed_out = result.0;
            match again {
                Ok(again) => guard = again,
                Err(poisoned) => return with_result(Err(poisoned), result),
            }
        }
        Ok((guard, WaitTimeoutResult(false)))
    }

    #[inline(always)]
    fn wait_until<'a, T: ?Sized>(
        &self,
        guard: MutexGuard<'a, T>,
        deadline: Deadline,
    ) -> (LockResult<MutexGuard<'a, T>>, WaitTimeoutResult) {
        let mutex = MutexGuard::mutex(&guard);
        let entry = Entry {
            list: |waiters| waiters,
            left: |_| (),
        };
        let waiters = self.waiters.lock();
        // Whoever changes the value now cannot notify before this one is in the list.
        drop(guard);
        let notified = wait(
            &self.waiters,
            waiters,
            entry,
            &mut (),
            Wait::Condition,
            deadline,
        );
        let guard = self.lock_again(mutex, notified);
        (guard, WaitTimeoutResult(!notified))
    }

    /// If the fiber is cancelled meanwhile, the notification is for somebody else.
    fn lock_again<'a, T: ?Sized>(
        &self,
        mutex: &'a Mutex<T>,
        notified: bool,
    ) -> LockResult<MutexGuard<'a, T>> {
        struct PassOn<'a>(Option<&'a Condvar>);
        impl Drop for PassOn<'_> {
            fn drop(&mut self) {
                if let Some(condvar) = self.0 {
                    condvar.notify_one();
                }
            }
        }
        let mut pass_on = PassOn(notified.then_some(self));
        mutex.raw().lock();
        pass_on.0 = None;
        mutex.guard()
    }

    /// Wakes who waits longest. Nothing is kept if nobody does.
    pub fn notify_one(&self) {
        let waker = self.waiters.lock().claim().and_then(Claim::grant);
        wake(waker);
    }

    /// Wakes all who wait.
    pub fn notify_all(&self) {
        self.waiters.lock().grant_all();
    }
}

fn with_result<G>(
    guard: LockResult<G>,
    result: WaitTimeoutResult,
) -> LockResult<(G, WaitTimeoutResult)> {
    match guard {
        Ok(guard) => Ok((guard, result)),
        Err(poisoned) => Err(PoisonError::new((poisoned.into_inner(), result))),
    }
}

impl Default for Condvar {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Condvar {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Condvar").finish_non_exhaustive()
    }
}
