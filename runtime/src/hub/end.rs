//! How a hub ends, and what happens to one that was not ended.

use std::sync::{Mutex, PoisonError};

use super::{Hub, report::report};
use crate::fiber::slot::flag;
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
    let left = hub.remote.close();
    hub.stacks.recycle();
    hub.driver.take();
    hub.forget_sources();
    let root = hub.root();
    hub.timers.disarm(root);
    hub.root.set(None);
    root.rare.take();
    hub.release(root);
    hub.is_stopping.set(false);
    hub.is_expired.set(false);
    current::leave();
    // Closures that nobody ran and sockets that were on their way to be closed: dropped while nothing of the hub is in use.
    left.into_iter().for_each(store::drop_quietly);
    let mut slots = (0..hub.slots.len()).filter_map(|index| hub.slots.at(index));
    // A join handle that outlives its fiber and its hub keeps the hub's memory from being used again.
    if !slots.any(|slot| slot.has(flag::HANDLE)) {
        SPARE_HUBS
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(SpareHub(hub));
    }
}

thread_local! {
    static WATCH: ThreadEnd = const { ThreadEnd };
}

/// Its destructor runs when the thread ends.
struct ThreadEnd;

pub(super) fn watch_this_thread() {
    WATCH.with(|_| ());
}

impl Drop for ThreadEnd {
    /// Touches no stack and no fiber: closes the hub to other threads and leaks it (see the head of `hub`).
    fn drop(&mut self) {
        let hub = current::existing_hub();
        current::set_role(ThreadRole::Ending);
        current::leave();
        let Some(hub) = hub else {
            return;
        };
        let left = hub.remote.close();
        hub.driver.take();
        // Who sent it may be waiting to be told. A destructor that misses a local of the thread panics, and no more.
        left.into_iter().for_each(store::drop_quietly);
        if hub.live.get() > 0 && !hub.is_main_thread.get() {
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
            .map(crate::fiber::FiberSlot::describe)
            .collect()
    }
}
