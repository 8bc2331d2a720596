//! Ending all fibers of a hub, in code on an ordinary stack.

use std::fmt;
use std::time::Duration;

use super::end::end;
use super::{Hub, park, park_until, switch_out};
use crate::fiber::slot::{Wait, attention, flag};
use crate::hub::cancel;
use crate::hub::current;

/// Fibers cancelled at a time: each touches a second page of its stack while it unwinds, and its stack is given back before
/// the next ones come.
const CANCEL_BATCH: usize = 256;
/// Unwinding gets at least this long.
const UNWIND_TIME_MIN: Duration = Duration::from_secs(1);
/// What [`run`] gives fibers that are left to unwind.
const RUN_UNWIND_TIME: Duration = Duration::from_secs(5);

/// Ends this thread's fibers: waits up to `grace` for them to end by themselves, then cancels those that are left and waits
/// once more as long, at least a second, for them to unwind. What they spawn while they unwind is cancelled before it runs.
/// Listeners go on accepting: close them before, or who waits in `accept` uses up the grace.
///
/// To be called by the root fiber: from `main`, or a thread's own function. When it returns `Ok` no fiber is left, and all
/// that fibers owned has been dropped. Their memory goes back to the system in batches as they end. Under `panic = "abort"`
/// nothing is unwound: instead all waiting for I/O times out.
///
/// # Errors
///
/// [`DrainError`]: fibers that did not end, by name. They are still there.
///
/// # Panics
///
/// If called by another fiber than the root.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// drop(kapok::spawn(|| kapok::sleep(Duration::from_secs(3600))));
/// kapok::drain(Duration::ZERO)?;
/// # Ok::<(), kapok::DrainError>(())
/// ```
#[kapok_macros::switchpoint_runtime(
    wakes = "the last fiber's end, or the time",
    cancel = "fibers are left as they are"
)]
pub fn drain(grace: Duration) -> Result<(), DrainError> {
    let Some(hub) = current::existing_hub() else {
        return Ok(());
    };
    let on_root = current::fiber().is_some_and(|fiber| std::ptr::eq(fiber, hub.root()));
    assert!(on_root, "only the root fiber can drain its hub");
    let calm = cancel::is_calm();
    // What unwinds already is not broken off again: its destructors may wait.
    let patience = if calm {
        Patience::UntilUnwound
    } else {
        Patience::ToTheEnd
    };
    let end = hub.clock.deadline_after(grace);
    let result = drain_hub(hub, || end, grace, patience);
    if result.is_err() {
        cancel::throw_after_wait(hub.root(), calm);
    }
    result
}

/// Whether a limit on the root ends its draining.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Patience {
    /// The root has nothing else to do.
    ToTheEnd,
    /// It is in a section that may be unwound.
    UntilUnwound,
}

/// Runs `f` as this thread's root fiber, then ends all fibers of the thread, and the hub if `run` made it.
///
/// Fibers that can run do so up to their next wait. Those that are left then are cancelled and given 5 seconds to unwind; one that
/// is still there is named on standard error and leaked. A thread that uses this leaves nothing behind; `main` may do without it.
///
/// # Panics
///
/// Passes a panic of `f` on, after the fibers have ended. Panics if called by another fiber than the root.
///
/// # Examples
///
/// ```
/// let sum = std::thread::spawn(|| {
///     kapok::run(|| {
///         let fibers: Vec<_> = (1..=10).map(|n| kapok::spawn(move || n)).collect();
///         fibers.into_iter().map(|fiber| fiber.join().unwrap()).sum::<i32>()
///     })
/// });
/// assert_eq!(sum.join().unwrap(), 55);
/// ```
#[kapok_macros::switchpoint_runtime(wakes = "the last fiber's end, or the time")]
pub fn run<T>(f: impl FnOnce() -> T) -> T {
    let was_there = current::existing_hub().is_some();
    let hub = current::hub();
    let on_root = current::fiber().is_some_and(|fiber| std::ptr::eq(fiber, hub.root()));
    assert!(on_root, "only the root fiber can run a hub");
    if std::thread::panicking() {
        cancel::refuse_panic_hook();
    }
    let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(f));
    if let Err(error) = drain_hub(hub, || 0, RUN_UNWIND_TIME, Patience::ToTheEnd) {
        super::report::report(format_args!("{error}"));
    }
    if !was_there {
        end(hub);
    }
    match result {
        Ok(value) => value,
        Err(payload) => std::panic::resume_unwind(payload),
    }
}

/// The two halves of a drain: by themselves until `end`, which may be moved forward meanwhile, then by force.
pub(crate) fn drain_hub(
    hub: &'static Hub,
    end: impl Fn() -> u64,
    unwind_time: Duration,
    patience: Patience,
) -> Result<(), DrainError> {
    if wait_until_empty(hub, end, patience) {
        return Ok(());
    }
    if is_unwound(hub, patience) {
        return Err(left(hub));
    }
    let limit = hub.clock.deadline_after(unwind_time.max(UNWIND_TIME_MIN));
    if !cfg!(panic = "unwind") {
        hub.expire_all();
    }
    hub.is_draining.set(cfg!(panic = "unwind"));
    let is_empty = unwind_all(hub, limit, patience);
    hub.is_draining.set(false);
    if is_empty {
        return Ok(());
    }
    Err(left(hub))
}

fn left(hub: &Hub) -> DrainError {
    DrainError {
        left: hub.live.get(),
        fibers: hub.describe_live(32),
    }
}

/// Whether the section that drains is to be unwound itself.
fn is_unwound(hub: &Hub, patience: Patience) -> bool {
    patience == Patience::UntilUnwound
        && hub.root().attention.get() & attention::UNWIND != 0
        && hub.root().shield_depth.get() == 0
}

fn unwind_all(hub: &'static Hub, limit: u64, patience: Patience) -> bool {
    let mut cursor = 0;
    while cfg!(panic = "unwind") && cancel_batch(hub, &mut cursor) > 0 {
        // Behind the cancelled fibers in the queue, so that they have unwound (or parked again) when the root comes back.
        hub.enqueue(hub.root());
        switch_out(hub.root());
    }
    wait_until_empty(hub, || limit, patience)
}

/// Waits until no fiber is left or the hub is asked to stop.
pub(crate) fn wait_until_empty_or_stopped(hub: &'static Hub) {
    hub.root_awaits_stop.set(true);
    // What `main` sent to its own hub has not been received yet.
    hub.receive_messages();
    hub.root_awaits_drained.set(true);
    while hub.live.get() > 0 && !hub.is_stopping.get() {
        park(hub.root(), Wait::Drain);
    }
    hub.root_awaits_drained.set(false);
    hub.root_awaits_stop.set(false);
}

fn wait_until_empty(hub: &'static Hub, end: impl Fn() -> u64, patience: Patience) -> bool {
    hub.root_awaits_drained.set(true);
    while hub.live.get() > 0 && !is_unwound(hub, patience) {
        park_until(hub, hub.root(), Wait::Drain, end());
        if end() <= hub.clock.now() {
            break;
        }
    }
    hub.root_awaits_drained.set(false);
    hub.live.get() == 0
}

/// Cancels up to a batch of fibers that are not cancelled yet, going round all slots from `cursor` on. Returns how many.
fn cancel_batch(hub: &Hub, cursor: &mut u32) -> usize {
    let (slots, mut cancelled) = (hub.slots.len(), 0);
    for _ in 0..slots {
        let Some(fiber) = hub.slots.at(*cursor) else {
            break;
        };
        *cursor = (*cursor + 1) % slots;
        if fiber.has(flag::LIVE) && fiber.attention.get() & attention::CANCELLED == 0 {
            cancel::cancel(hub, fiber);
            cancelled += 1;
            if cancelled == CANCEL_BATCH {
                break;
            }
        }
    }
    cancelled
}

/// Fibers did not end in the time they were given.
#[derive(Clone, Debug)]
pub struct DrainError {
    left: usize,
    fibers: Vec<String>,
}

impl DrainError {
    /// How many fibers are left.
    #[must_use]
    pub fn left(&self) -> usize {
        self.left
    }

    /// The first of them: name, where spawned, what it waits for.
    #[must_use]
    pub fn fibers(&self) -> &[String] {
        &self.fibers
    }
}

impl fmt::Display for DrainError {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} fibers did not end: {}",
            self.left,
            self.fibers.join("; ")
        )
    }
}

impl std::error::Error for DrainError {}
