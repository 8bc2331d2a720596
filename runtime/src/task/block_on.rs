//! Waiting for a future: it is polled on the fiber's own stack, and the fiber parks while it is pending.

use std::future::{Future, IntoFuture};
use std::pin::pin;
use std::task::{Context, Poll};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::fiber_handle::park_thread;
use super::spawn::spawn_in;
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::cancel;
use crate::hub::current;
use crate::hub::tasks::Signal;

/// Runs a future to its end and returns its output. Other fibers run while it is pending.
///
/// The future lives on the fiber's stack and is polled there, so it may hold what is not `Send`, use fiber-locals, and call
/// what waits: that holds up this future alone. (Code that is polled under a lock, as parts of many async crates are, must not
/// wait.) A large future wants a large stack: [`Builder::stack_size`](crate::Builder::stack_size), or box it. Its wakers may go
/// to any thread and outlive the call. A future that wakes itself again and again lets other fibers run now and then. On a
/// thread without a hub it parks the thread, and makes no hub. Costs one small allocation.
///
/// What needs another runtime does not work in it: the guide's chapter on async crates says what does.
///
/// # Panics
///
/// Passes a panic of the future on.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let text = kapok::block_on(async {
///     kapok::future::sleep(Duration::from_millis(1)).await;
///     "done"
/// });
/// assert_eq!(text, "done");
/// ```
///
/// A limit of time drops the future, wherever it is:
///
/// ```
/// use std::time::Duration;
///
/// let never = kapok::timeout(Duration::from_millis(1), || kapok::block_on(std::future::pending::<()>()));
/// assert_eq!(never, Err(kapok::TimedOut));
/// ```
#[switchpoint(
    wakes = "the future's waker",
    cancel = "the future is dropped, on this fiber"
)]
pub fn block_on<F: IntoFuture>(future: F) -> F::Output {
    let mut future = pin!(future.into_future());
    loop {
        let signal = Signal::new();
        let waker = signal.waker();
        let mut context = Context::from_waker(&waker);
        // If all this is in a coroutine of the user's a poll may pass it on to another fiber, which is the one to be woken then.
        while signal.is_for_current() {
            if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
                return output;
            }
            if signal.is_for_current() {
                wait(&signal);
            }
        }
    }
}

/// Waits until the future is to be polled again.
fn wait(signal: &Signal) {
    let calm = cancel::is_calm();
    let state = signal.state();
    if state.take() {
        // Woken while it was polled, maybe by itself and for ever.
        if let (Some(hub), Some(fiber)) = (current::existing_hub(), current::fiber())
            && hub.spend_budget(fiber)
        {
            cancel::throw_after_wait(fiber, calm);
        }
        return;
    }
    while !state.take() {
        // Asked anew each time: a poll may have made the thread a hub.
        match (current::existing_hub(), current::fiber()) {
            (Some(hub), Some(fiber)) => {
                // There may have been no stack for a fiber that calls them.
                hub.wake_due_tasks();
                if state.may_park() {
                    // A shielded section of the poll may have used up the wake of a cancel.
                    cancel::throw_after_wait(fiber, calm);
                    hub::park(fiber, Wait::Future);
                    if !state.is_set() {
                        hub.wake_due_tasks();
                        cancel::throw_after_wait(fiber, calm);
                    }
                }
            }
            _ if state.may_park() => park_thread(None),
            _ => {}
        }
    }
}

/// Spawns a fiber that calls the wakers that are due. Called by the hub's loop; returns whether there is a stack for it.
pub(crate) fn wake_tasks_on_a_fiber() -> bool {
    /// Calls them when it is dropped: a hub that is being drained runs no closures, but drops them, on a fiber too.
    struct Due;
    impl Drop for Due {
        fn drop(&mut self) {
            current::hub().wake_due_tasks();
        }
    }
    let hub = current::hub();
    // Asked first: a closure that comes back would be dropped here, on the loop.
    if !hub.stacks.class(0).has_room() {
        return false;
    }
    let due = Due;
    spawn_in(hub, 0, move || drop(due)).is_ok()
}
