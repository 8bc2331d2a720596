//! A timer for async code: a fiber that sleeps and then wakes the task.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use crate::task::{Fiber, park_timeout, spawn};

/// A future that is ready when `duration` has passed. The time begins now, not with the first poll.
///
/// Code on fibers calls [`kapok::sleep`](crate::sleep()) instead, which costs no allocation. This one costs, while it is pending,
/// an allocation and a fiber with a page of stack, which ends when the future is dropped. It may move to other threads.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// kapok::block_on(kapok::future::sleep(Duration::from_millis(2)));
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub fn sleep(duration: Duration) -> Sleep {
    let now = Instant::now();
    // Thirty years are as good as for ever, and can be added.
    let deadline = now.checked_add(duration);
    sleep_until(deadline.unwrap_or_else(|| now + Duration::from_secs(1 << 30)))
}

/// A future that is ready at `deadline`: see [`sleep`].
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let next = Instant::now() + Duration::from_millis(1);
/// kapok::block_on(kapok::future::sleep_until(next));
/// assert!(Instant::now() >= next);
/// ```
#[must_use = "a future does nothing unless it is polled"]
pub fn sleep_until(deadline: Instant) -> Sleep {
    Sleep {
        deadline,
        timer: None,
    }
}

/// What [`sleep`] and [`sleep_until`] return.
#[must_use = "a future does nothing unless it is polled"]
pub struct Sleep {
    deadline: Instant,
    timer: Option<Timer>,
}

/// A fiber that sleeps for a task.
struct Timer {
    fiber: Fiber,
    shared: Arc<Mutex<Shared>>,
}

struct Shared {
    waker: Option<Waker>,
    /// The task has dropped its future, or the fiber has ended, maybe before its time.
    is_over: bool,
}

impl Sleep {
    /// When it is ready.
    #[must_use]
    pub fn deadline(&self) -> Instant {
        self.deadline
    }
}

impl Future for Sleep {
    type Output = ();

    /// # Panics
    ///
    /// As [`spawn`](crate::spawn()).
    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            self.timer = None;
            return Poll::Ready(());
        }
        let is_kept = self
            .timer
            .as_ref()
            .is_some_and(|timer| timer.wake_instead(context.waker()));
        if !is_kept {
            // The first poll, or the fiber was cancelled with its hub.
            self.timer = Some(Timer::start(self.deadline, context.waker().clone()));
        }
        Poll::Pending
    }
}

impl fmt::Debug for Sleep {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Sleep")
            .field("deadline", &self.deadline)
            .finish_non_exhaustive()
    }
}

impl Timer {
    fn start(deadline: Instant, waker: Waker) -> Self {
        let shared = Arc::new(Mutex::new(Shared {
            waker: Some(waker),
            is_over: false,
        }));
        let alarm = Alarm(Arc::clone(&shared));
        let handle = spawn(move || {
            loop {
                let left = deadline.saturating_duration_since(Instant::now());
                if left.is_zero() || lock(&alarm.0).is_over {
                    break;
                }
                park_timeout(left);
            }
        });
        Self {
            fiber: handle.fiber(),
            shared,
        }
    }

    /// Has the fiber wake `waker` in the place of the last one. Returns whether it still sleeps.
    fn wake_instead(&self, waker: &Waker) -> bool {
        let shared = lock(&self.shared);
        if shared.is_over {
            return false;
        }
        let is_known = shared
            .waker
            .as_ref()
            .is_some_and(|known| known.will_wake(waker));
        drop(shared);
        if is_known {
            return true;
        }
        // Cloned and dropped without the lock, as both are the user's code.
        let waker = waker.clone();
        let mut shared = lock(&self.shared);
        let last = shared.waker.replace(waker);
        let is_over = shared.is_over;
        drop(shared);
        drop(last);
        !is_over
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        let mut shared = lock(&self.shared);
        let was_over = std::mem::replace(&mut shared.is_over, true);
        let waker = shared.waker.take();
        drop(shared);
        drop(waker);
        if !was_over {
            self.fiber.unpark();
        }
    }
}

/// Goes off when the fiber ends, whatever ends it: a task that finds it too early starts another.
struct Alarm(Arc<Mutex<Shared>>);

impl Drop for Alarm {
    fn drop(&mut self) {
        let mut shared = lock(&self.0);
        shared.is_over = true;
        let waker = shared.waker.take();
        drop(shared);
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

fn lock(shared: &Mutex<Shared>) -> MutexGuard<'_, Shared> {
    // No user code runs under the lock.
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
