//! How a hub ends, and what happens to one that was not ended.

use std::sync::{Mutex, PoisonError};
use std::thread::LocalKey;

use super::{Hub, report::report, tasks::wake_quietly};
use crate::fiber::slot::{NEVER, flag};
use crate::fiber::store;
use crate::hub::current::{self, ThreadRole};

/// Hubs whose threads are done with them. Their slots, sources and remote parts are never freed but used again.
static SPARE_HUBS: Mutex<Vec<SpareHub>> = Mutex::new(Vec::new());

struct SpareHub(&'static Hub);

// SAFETY: `end` puts a hub here only when its thread can reach it no more: the thread-local is cleared, no fiber is left, no
// join handle points into it, and what other threads hold is a `Remote`, which is `Sync`. Whoever takes it out is
// its only user.
unsafe impl Send for SpareHub {}

pub(super) fn take_spare() -> Option<&'static Hub> {
    SPARE_HUBS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .pop()
        .map(|spare| spare.0)
}

/// Ends this thread's hub, on the thread's own stack, when no fiber is left: gives its stacks back, closes its driver, and
/// keeps its memory for the next hub. Does nothing if fibers are left.
pub(crate) fn end(hub: &'static Hub) {
    let on_root = current::fiber().is_some_and(|fiber| std::ptr::eq(fiber, hub.root()));
    if hub.live.get() > 0 || !on_root {
        return;
    }
    // First: closing may drop the last of a promise, and its destructor must not find a hub that ends.
    current::leave();
    super::waker::leave_thread();
    let left = hub.remote.close();
    hub.stacks.recycle();
    hub.driver.take();
    hub.tasks.serve_no_more();
    hub.forget_sources();
    hub.end_task_timers();
    let root = hub.root();
    hub.timers.disarm(root);
    hub.root.set(None);
    root.rare.take();
    hub.release(root);
    hub.is_stopping.set(false);
    hub.stop_deadline.set(NEVER);
    hub.is_expired.set(false);
    // Closures that nobody ran and sockets that were on their way to be closed: dropped while nothing of the hub is in use.
    left.into_iter().for_each(store::drop_quietly);
    // Tasks whose streams outlive the hub find another when they are polled again.
    hub.tasks.take_due().into_iter().for_each(wake_quietly);
    let slots = (0..hub.slots.len()).filter_map(|index| hub.slots.at(index));
    match slots.filter(|slot| slot.has(flag::HANDLE)).count() {
        0 => spare(hub),
        handles => hub.late_handles.set(handles),
    }
}

/// A join handle that has outlived its hub is dropped: the last one gives the hub to the next thread.
#[cold]
pub(crate) fn drop_late_handle(hub: &'static Hub) {
    let left = hub.late_handles.get() - 1;
    hub.late_handles.set(left);
    if left == 0 {
        spare(hub);
    }
}

/// Keeps an ended hub, to which nothing on this thread refers any more, for the next thread.
fn spare(hub: &'static Hub) {
    SPARE_HUBS
        .lock()
        .unwrap_or_else(PoisonError::into_inner)
        .push(SpareHub(hub));
}

macro_rules! watches {
    ($($name:ident)*) => {
        thread_local! {
            $(static $name: ThreadEnd = const { ThreadEnd };)*
        }
        const WATCHES: &[&LocalKey<ThreadEnd>] = &[$(&$name),*];
    };
}

watches!(W0 W1 W2 W3 W4 W5 W6 W7 W8 W9 W10 W11 W12 W13 W14 W15);

/// Its destructor runs when the thread ends: before those of all thread-locals that are older.
///
/// A thread-local of the user's that waits in its destructor would resume fibers, and one of them may be inside
/// [`LocalKey::with`] of another that is gone already. So the hub has to know of the thread's end before any local goes that a
/// fiber has seen. New ones may come with every fiber that runs, and nobody tells: the thread is watched anew when the root
/// fiber goes on after its first wait, the second, the fourth and so on, as often as there are watches.
struct ThreadEnd;

/// Called when a hub is made.
pub(super) fn watch_this_thread() {
    WATCHES[0].with(|_| ());
}

/// Called when the root fiber goes on after a wait.
#[inline(always)]
pub(super) fn watch_again() {
    let waits = current::count_root_wait();
    if waits.is_power_of_two()
        && let Some(watch) = WATCHES.get(waits.ilog2() as usize + 1)
    {
        watch.with(|_| ());
    }
}

impl Drop for ThreadEnd {
    /// Ends the hub if no fiber is left. If not it touches no stack and no fiber: closes the hub to other threads and leaks it
    /// (see the head of `hub`).
    fn drop(&mut self) {
        let Some(hub) = current::existing_hub() else {
            current::set_role(ThreadRole::Ending);
            return;
        };
        let on_root = current::fiber().is_some_and(|fiber| std::ptr::eq(fiber, hub.root()));
        current::set_role(ThreadRole::Ending);
        if on_root {
            hub.take_back_server();
        }
        if hub.live.get() == 0 && on_root && !hub.is_main_thread.get() {
            end(hub);
            return;
        }
        current::leave();
        super::waker::leave_thread();
        let left = hub.remote.close();
        hub.driver.take();
        // Who sent it may be waiting to be told. A destructor that misses a local of the thread panics, and no more.
        left.into_iter().for_each(store::drop_quietly);
        // On another fiber's stack the process exits, and no thread ends.
        if on_root && !hub.is_main_thread.get() {
            // Their futures may have gone to other threads.
            hub.tasks.serve_no_more();
            hub.end_task_timers();
            hub.tasks.take_due().into_iter().for_each(wake_quietly);
            report(format_args!(
                "a thread ended with {} fibers that had not; they are leaked: {}. `kapok::drain` or `kapok::run` ends them",
                hub.live.get(),
                hub.describe_live(8).join("; ")
            ));
        }
    }
}

impl Hub {
    /// Descriptions of the first `most` live fibers.
    pub(crate) fn describe_live(&self, most: usize) -> Vec<String> {
        let slots = (0..self.slots.len()).filter_map(|index| self.slots.at(index));
        slots
            .filter(|fiber| fiber.has(flag::LIVE))
            .take(most)
            .map(|fiber| fiber.record(false).to_string())
            .collect()
    }
}
