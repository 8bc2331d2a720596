//! Tasks: futures that fibers poll. What wakes one is a [`std::task::Waker`], and that may be anybody's code.
//!
//! # Whose fiber, whose waker
//!
//! Every future on kapok is polled by a fiber inside `block_on`, which gives it the waker of a [`Signal`]. But the waker that a
//! socket is polled with need not be that one: a `FuturesUnordered`, a `select` or a connection that is shared by its streams
//! hands wakers of its own down, and polls only those of its parts whose wakers were called. Nor need the fiber that polled be
//! the one that waits in the end: a future that several tasks share is polled by one of them and wakes them all. So a readiness
//! wakes the waker that the last poll left, never just the fiber that polled.
//!
//! # No user code on the hub's loop
//!
//! A source keeps one waker a direction. When the loop takes note of an event it **moves** wakers, which runs nobody's code:
//!
//! - A `Signal`'s own waker, known by its table of functions, is called right there. It only sets a word and enqueues, and
//!   dropping it frees memory of ours alone. This is the common case and costs what waking a fiber does.
//! - Any other goes to the list of those that are due, and a fiber is spawned that calls them, one after the other, unless one
//!   is on its way already. It holds a no-switch guard: what a waker does must not wait, since others come after it.
//!
//! Whoever drops a stream drops its wakers, on his own stack. If it was dropped or polled on another hub they are called here as
//! if there were an event: calling for no reason is harmless, and a reader may still count on this hub when the writer has gone.
//! Without a stack for the fiber, those that wait in `block_on` are woken to do its work; later events and the loop, before it
//! sleeps, try again.
//!
//! Nobody's code runs while a list is borrowed. Polls of sockets never switch: a caller may hold a lock of its thread over them
//! (h2 does), and another fiber that wanted it would stop the thread.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, OnceLock};
use std::task::{self, RawWakerVTable, Wake};

use super::sync_facade::{AtomicU8, Ordering};
use super::waker::Waker;
use super::{Hub, wake};
use crate::fiber::slot::{Wait, flag};
use crate::fiber::store;
use crate::hub::switchpoint::assert_no_switchpoints;

/// Wakers of others that a hub has to call.
#[derive(Default)]
pub(crate) struct Tasks {
    due: RefCell<VecDeque<task::Waker>>,
    /// A fiber that calls them has been spawned and has not run yet.
    is_served: Cell<bool>,
    serve: Cell<Option<Serve>>,
}

/// Spawns a fiber that calls [`Hub::wake_due_tasks`]. Returns whether there was a stack for it.
pub(crate) type Serve = fn() -> bool;

impl Tasks {
    /// To be called before a waker is left with a source: spawning is the business of a layer above.
    pub(crate) fn serve_by(&self, serve: Serve) {
        self.serve.set(Some(serve));
    }

    /// The hub ends: nobody can be spawned any more.
    pub(super) fn serve_no_more(&self) {
        self.serve.set(None);
    }

    /// What is still due when the hub has ended.
    pub(super) fn take_due(&self) -> VecDeque<task::Waker> {
        self.is_served.set(false);
        self.due.take()
    }
}

impl Hub {
    /// Wakes a task, now or from a fiber. Runs no user code.
    pub(crate) fn wake_task(&self, waker: task::Waker) {
        if Signal::made(&waker) {
            waker.wake();
            return;
        }
        self.tasks.due.borrow_mut().push_back(waker);
        if self.tasks.is_served.get() {
            return;
        }
        if self.tasks.serve.get().is_some() && !self.serve_tasks() {
            self.wake_pollers();
        }
    }

    /// Has a fiber call the wakers that are due. Returns whether there is a stack for it.
    fn serve_tasks(&self) -> bool {
        let is_served = self.tasks.serve.get().is_some_and(|serve| serve());
        self.tasks.is_served.set(is_served);
        is_served
    }

    /// Tries again what there was no stack for: a fiber may have ended since. Returns whether there is one now.
    pub(super) fn serve_tasks_left(&self) -> bool {
        let are_left = !self.tasks.is_served.get() && !self.tasks.due.borrow().is_empty();
        are_left && self.serve_tasks()
    }

    /// The thread ends, and its only fiber is one of ours that was to call wakers and has not begun: takes it back.
    pub(super) fn take_back_server(&self) {
        if self.live.get() != 1 || !self.tasks.is_served.get() {
            return;
        }
        let Some(fiber) = self.dequeue() else {
            return;
        };
        // Its closure, which stays where it is, owns nothing: those who are due are woken by the hub's end.
        fiber.body.take();
        self.stacks.class(fiber.stack_class.get()).release();
        self.live.set(0);
        self.release(fiber);
    }

    /// Calls the wakers that are due. To be called by a fiber.
    pub(crate) fn wake_due_tasks(&self) {
        self.tasks.is_served.set(false);
        loop {
            let next = self.tasks.due.borrow_mut().pop_front();
            let Some(waker) = next else {
                return;
            };
            wake_quietly(waker);
        }
    }

    /// Has the fibers that wait in `block_on` look at what is due.
    #[cold]
    fn wake_pollers(&self) {
        let fibers = (0..self.slots.len()).filter_map(|index| self.slots.at(index));
        for fiber in fibers.filter(|fiber| fiber.has(flag::PARKED)) {
            if fiber.wait.get() == Wait::Future {
                wake(self, fiber);
            }
        }
    }
}

/// Calls somebody's waker. It must not wait; its panic has been told by the panic hook and concerns nobody else.
pub(super) fn wake_quietly(waker: task::Waker) {
    let woken = catch_unwind(AssertUnwindSafe(|| {
        assert_no_switchpoints(|| waker.wake());
    }));
    store::drop_quietly(woken);
}

/// What wakes a fiber, or a thread without a hub, that waits for a future.
pub(crate) struct Signal {
    state: SignalState,
    waker: Waker,
}

impl Signal {
    /// For the running fiber, or for this thread if it has no hub.
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            state: SignalState::new(),
            waker: Waker::current(),
        })
    }

    /// The waker to poll with. Made here alone, so that all of them have one table.
    #[inline(never)]
    pub(crate) fn waker(self: &Arc<Self>) -> task::Waker {
        let waker = task::Waker::from(Arc::clone(self));
        TABLE.get_or_init(|| waker.vtable());
        waker
    }

    /// Whether it wakes who runs now.
    pub(crate) fn is_for_current(&self) -> bool {
        self.waker.is_current()
    }

    /// Whether a waker is a signal's. Functions are the same where tables are, so what is called is certainly ours.
    fn made(waker: &task::Waker) -> bool {
        TABLE
            .get()
            .is_some_and(|table| std::ptr::eq(*table, waker.vtable()))
    }

    pub(crate) fn state(&self) -> &SignalState {
        &self.state
    }
}

static TABLE: OnceLock<&'static RawWakerVTable> = OnceLock::new();

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.set() {
            self.waker.wake();
        }
    }
}

/// Whether a future is to be polled again, in one word:
///
/// ```text
///            take: swap                     may_park: compare_exchange
/// WOKEN ────────────────> IDLE ─────────────────────────────────────────> PARKED
///   ^                       │  <─────────────────────── take: swap ──────── │
///   └────── set: swap ──────┴────── set: swap, and wake the fiber ──────────┘
/// ```
///
/// - Any number of threads swap `WOKEN` in. Whoever swaps `PARKED` out, which only one can, wakes the fiber; a fiber that polls
///   or is queued costs its wakers no message.
/// - The fiber parks only if it turns `IDLE` into `PARKED`, which fails once it was woken. A wake of the fiber between that and
///   its park is kept by the fiber as a token, so the park returns. It takes `WOKEN` before it polls, so a wake that comes
///   while it polls is seen after the poll.
/// - A park that returns for another reason finds `PARKED`, takes that back, and begins again.
/// - Whoever was cancelled leaves `PARKED`: one late wake goes to a fiber that has gone on or is gone, which is harmless.
///
/// All steps are read-modify-write operations on one word; acquire and release make what was written before a wake visible to
/// the poll after it, also if another waker came first. The loom model is `tests` below.
#[derive(Debug)]
pub(crate) struct SignalState(AtomicU8);

const IDLE: u8 = 0;
const WOKEN: u8 = 1;
const PARKED: u8 = 2;

impl SignalState {
    fn new() -> Self {
        Self(AtomicU8::new(IDLE))
    }

    /// Notes a wake. Returns whether the fiber has to be woken for it.
    fn set(&self) -> bool {
        self.0.swap(WOKEN, Ordering::AcqRel) == PARKED
    }

    /// Whether it was woken; it is not any more.
    pub(crate) fn take(&self) -> bool {
        self.0.swap(IDLE, Ordering::AcqRel) == WOKEN
    }

    /// Announces that the fiber is going to park. If it was woken nothing is announced.
    pub(crate) fn may_park(&self) -> bool {
        self.0
            .compare_exchange(IDLE, PARKED, Ordering::AcqRel, Ordering::Acquire)
            .is_ok()
    }

    /// Whether it was woken.
    pub(crate) fn is_set(&self) -> bool {
        self.0.load(Ordering::Acquire) == WOKEN
    }
}

#[cfg(all(test, kapok_loom))]
mod tests {
    use loom::sync::atomic::AtomicUsize;
    use loom::sync::{Arc, Notify};
    use loom::thread;

    use super::*;

    /// `block_on`: loom finds a deadlock if it parks and nobody wakes it.
    fn wait(state: &SignalState, fiber: &Notify) {
        while !state.take() {
            if state.may_park() {
                fiber.wait();
            }
        }
    }

    #[test]
    fn no_wake_of_a_signal_is_lost_and_what_came_before_it_is_seen() {
        loom::model(|| {
            let state = Arc::new((SignalState::new(), Notify::new(), AtomicUsize::new(0)));
            let wakers: Vec<_> = (0..2)
                .map(|_| {
                    let state = Arc::clone(&state);
                    thread::spawn(move || {
                        state.2.fetch_add(1, Ordering::Relaxed);
                        if state.0.set() {
                            state.1.notify();
                        }
                    })
                })
                .collect();
            while state.2.load(Ordering::Relaxed) < 2 {
                wait(&state.0, &state.1);
            }
            for waker in wakers {
                waker.join().unwrap();
            }
        });
    }

    #[test]
    fn a_park_that_returns_for_nothing_harms_no_signal() {
        loom::model(|| {
            let state = Arc::new((SignalState::new(), Notify::new()));
            let waker = {
                let state = Arc::clone(&state);
                thread::spawn(move || {
                    if state.0.set() {
                        state.1.notify();
                    }
                })
            };
            // It returns before anybody woke it.
            let _ = state.0.may_park();
            wait(&state.0, &state.1);
            waker.join().unwrap();
        });
    }
}
