//! Waiting for time to pass. Deadlines are nanoseconds; a wait never ends early.

use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::fiber::slot::{NEVER, Wait};
use crate::hub::cancel;
use crate::hub::current;
use crate::hub::park_until;

/// Waits for at least `duration`. Other fibers run meanwhile.
///
/// A zero duration yields once. Costs no allocation and no system call of its own.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let start = Instant::now();
/// kapok::sleep(Duration::from_millis(2));
/// assert!(start.elapsed() >= Duration::from_millis(2));
/// ```
#[switchpoint(wakes = "the time", cancel = "nothing is left behind")]
#[inline(always)]
pub fn sleep(duration: Duration) {
    sleep_to(current::hub().clock.deadline_after(duration));
}

/// Waits until `deadline`; yields once if it has passed.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// let next = Instant::now() + Duration::from_millis(1);
/// kapok::sleep_until(next);
/// assert!(Instant::now() >= next);
/// ```
#[switchpoint(wakes = "the time", cancel = "nothing is left behind")]
#[inline(always)]
pub fn sleep_until(deadline: Instant) {
    sleep_to(current::hub().clock.nanoseconds(deadline));
}

/// When the running fiber's time is over: the earliest deadline of the [`timeout`](crate::timeout())s it is in, and of those that the
/// fiber was in whose [`scope`](crate::scope()) it belongs to. For passing on to who does part of the work elsewhere.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// assert_eq!(kapok::deadline(), None);
/// let deadline = kapok::timeout(Duration::from_secs(5), || kapok::deadline().unwrap());
/// assert!(deadline.unwrap() <= Instant::now() + Duration::from_secs(5));
/// ```
#[must_use]
pub fn deadline() -> Option<Instant> {
    let (hub, fiber) = (current::existing_hub()?, current::fiber()?);
    match fiber.scope_deadline.get() {
        NEVER => None,
        nanoseconds => hub.clock.instant(nanoseconds),
    }
}

#[inline(always)]
fn sleep_to(deadline: u64) {
    let hub = current::hub();
    let fiber = current::running_fiber();
    let calm = cancel::is_calm();
    // One nanosecond before the end of the clock is as good as never, and is a deadline.
    while !park_until(hub, fiber, Wait::Sleep, deadline.min(NEVER - 1)) {
        cancel::throw_after_wait(fiber, calm);
        if hub.clock.now() >= deadline {
            break;
        }
    }
}
