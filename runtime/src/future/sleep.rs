//! A timer for async code.

use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::hub::current;
use crate::hub::task_timers::TaskTimer;
use crate::task::wake_tasks_on_a_fiber;

/// A future that is ready when `duration` has passed. The time begins now, not with the first poll.
///
/// Code on fibers calls [`kapok::sleep`](crate::sleep()) instead, which costs no allocation. While this one is pending it is a timer
/// of the hub on which it was first polled, and costs a small allocation. It may move to other threads, and dropping it
/// anywhere ends the timer. It is polled where fibers run, by [`block_on`](crate::block_on()): on a thread of another executor nobody
/// runs the hub that it is given, and it never ends.
///
/// # Panics
///
/// When it is polled where no hub can be, as [`spawn`](crate::spawn()) does.
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
#[derive(Debug)]
#[must_use = "a future does nothing unless it is polled"]
pub struct Sleep {
    deadline: Instant,
    timer: Option<TaskTimer>,
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

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if Instant::now() >= self.deadline {
            self.timer = None;
            return Poll::Ready(());
        }
        let is_kept =
            (self.timer.as_ref()).is_some_and(|timer| timer.wake_instead(context.waker()));
        if !is_kept {
            // The first poll, or the hub of the last one has ended.
            let waker = context.waker().clone();
            let (hub, deadline) = (current::hub(), self.deadline);
            self.timer = Some(TaskTimer::start(
                hub,
                deadline,
                waker,
                wake_tasks_on_a_fiber,
            ));
        }
        Poll::Pending
    }
}
