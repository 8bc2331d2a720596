//! The running fiber, and what any thread may do with a fiber it knows.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::num::NonZeroU64;
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use crate::fiber::FiberSlot;
use crate::fiber::slot::{Wait, flag};
use crate::hub::cancel;
use crate::hub::current::{existing_hub, fiber as running_fiber};
use crate::hub::remote::FiberId;
use crate::hub::waker::Waker;
use crate::hub::{self, Hub, switch_out};

/// A fiber, as [`std::thread::Thread`] is a thread: to unpark it and to tell its name, from any thread.
///
/// Holding one keeps nothing alive: unparking a fiber that has ended does nothing. Two are equal if they stand for the same fiber. A
/// thread that had no hub when it was asked for and its root fiber later on are two.
#[derive(Clone)]
pub struct Fiber {
    waker: Waker,
    name: Option<Arc<str>>,
}

impl Fiber {
    pub(super) fn of(hub: &Hub, slot: &'static FiberSlot) -> Self {
        let id = FiberId {
            index: slot.index,
            serial: slot.serial.get(),
        };
        Self {
            waker: Waker::Fiber {
                remote: hub.remote,
                epoch: hub.epoch.get(),
                id,
            },
            name: slot.name(),
        }
    }

    /// Makes the fiber's current or next [`park`](crate::park()) return. Several calls before it parks count as one.
    ///
    /// It only enqueues: the fiber runs when its hub comes to it. From another thread it costs a system call if that hub
    /// sleeps, none if it runs.
    #[inline]
    pub fn unpark(&self) {
        self.waker.wake();
    }

    /// The name given by [`Builder::name`](crate::Builder::name), or that of the thread if it has no hub.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        match &self.waker {
            Waker::Fiber { .. } => self.name.as_deref(),
            Waker::Thread(thread) => thread.name(),
        }
    }

    /// A number that no other fiber of the same hub has had; none for a thread without a hub.
    #[must_use]
    pub fn id(&self) -> Option<NonZeroU64> {
        match &self.waker {
            Waker::Fiber { id, .. } => NonZeroU64::new(id.serial),
            Waker::Thread(_) => None,
        }
    }
}

impl PartialEq for Fiber {
    fn eq(&self, other: &Self) -> bool {
        self.waker.identity() == other.waker.identity()
    }
}

impl Eq for Fiber {}

impl Hash for Fiber {
    fn hash<H: Hasher>(&self, hasher: &mut H) {
        self.waker.identity().hash(hasher);
    }
}

impl fmt::Debug for Fiber {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Fiber")
            .field("name", &self.name())
            .field("id", &self.id())
            .finish()
    }
}

/// The running fiber. Makes no hub: on a thread that has none it stands for the thread.
///
/// # Examples
///
/// ```
/// let waiting = kapok::spawn(kapok::park);
/// let fiber = waiting.fiber();
/// std::thread::spawn(move || fiber.unpark());
/// waiting.join().unwrap();
/// ```
#[must_use]
pub fn current() -> Fiber {
    Fiber {
        waker: Waker::current(),
        name: running_fiber().and_then(FiberSlot::name),
    }
}

/// Waits until somebody calls [`Fiber::unpark`] for this fiber, or returns at once if that happened since its last `park`.
///
/// May return for no reason, as [`std::thread::park`] may: look again at what you wait for. On a thread without a hub it parks
/// the thread.
#[switchpoint(
    wakes = "`unpark`, or nothing at all",
    cancel = "nothing is left behind"
)]
#[inline(always)]
pub fn park() {
    match running_fiber() {
        Some(fiber) => {
            let calm = cancel::is_calm();
            if take_unpark(fiber) {
                return;
            }
            hub::park(fiber, Wait::Park);
            if !take_unpark(fiber) {
                cancel::throw_after_wait(fiber, calm);
            }
        }
        None => park_thread(None),
    }
}

/// [`park`](park()) for at most `timeout`.
#[switchpoint(
    wakes = "`unpark`, the timeout, or nothing at all",
    cancel = "nothing is left behind"
)]
#[inline(always)]
pub fn park_timeout(timeout: Duration) {
    match (existing_hub(), running_fiber()) {
        (Some(hub), Some(fiber)) => {
            let calm = cancel::is_calm();
            if take_unpark(fiber) {
                return;
            }
            hub::park_until(hub, fiber, Wait::Park, hub.clock.deadline_after(timeout));
            if !take_unpark(fiber) {
                cancel::throw_after_wait(fiber, calm);
            }
        }
        _ => park_thread(Some(timeout)),
    }
}

/// Takes what `unpark` left. Other waits leave it alone.
#[inline(always)]
fn take_unpark(fiber: &'static FiberSlot) -> bool {
    let was_unparked = fiber.unparked.replace(false);
    if was_unparked {
        fiber.clear(flag::TOKEN);
    }
    was_unparked
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread has no hub that could be blocked"
)]
#[cold]
pub(crate) fn park_thread(timeout: Option<Duration>) {
    match timeout {
        Some(timeout) => std::thread::park_timeout(timeout),
        None => std::thread::park(),
    }
}

/// Lets the other fibers that are ready run first. Returns at once if there are none.
///
/// On a thread without a hub it yields the thread.
#[switchpoint(wakes = "its turn comes again", cancel = "nothing is left behind")]
#[inline(always)]
pub fn yield_now() {
    match (existing_hub(), running_fiber()) {
        (Some(hub), Some(fiber)) => {
            cancel::is_calm();
            hub.enqueue(fiber);
            switch_out(fiber);
        }
        _ => std::thread::yield_now(),
    }
}
