//! Who runs on this thread: the only thread-locals of the runtime.
//!
//! Both are const-initialised and have no destructor, so reading one is a single load relative to the thread pointer. A
//! started fiber never leaves its thread, so neither value can change under a fiber that was switched out and in again.

use std::cell::Cell;
use std::panic::Location;

use crate::fiber::FiberSlot;
use crate::hub::Hub;

thread_local! {
    static HUB: Cell<Option<&'static Hub>> = const { Cell::new(None) };
    static FIBER: Cell<Option<&'static FiberSlot>> = const { Cell::new(None) };
    /// The no-switch guard of a thread that has no hub yet; a hub's root fiber takes it over.
    static BARE_GUARD: Cell<(u32, Option<&'static Location<'static>>)> = const { Cell::new((0, None)) };
    static ROLE: Cell<ThreadRole> = const { Cell::new(ThreadRole::Open) };
}

/// Whether a hub may be made on a thread that has none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ThreadRole {
    /// It may.
    Open,
    /// A thread of the blocking pool: its closures must not park.
    BlockingPool,
    /// The thread's locals are being destroyed.
    Ending,
}

#[inline(always)]
pub(crate) fn hub() -> &'static Hub {
    match HUB.get() {
        Some(hub) => hub,
        None => Hub::make_for_this_thread(),
    }
}

#[inline(always)]
pub(crate) fn existing_hub() -> Option<&'static Hub> {
    HUB.get()
}

/// The fiber that runs, none on a thread without a hub.
#[inline(always)]
pub(crate) fn fiber() -> Option<&'static FiberSlot> {
    FIBER.get()
}

/// The fiber that runs, on a thread that has a hub.
#[inline(always)]
pub(crate) fn running_fiber() -> &'static FiberSlot {
    fiber().expect("invariant: a thread with a hub runs a fiber")
}

#[inline(always)]
pub(crate) fn set_fiber(fiber: &'static FiberSlot) {
    FIBER.set(Some(fiber));
}

pub(crate) fn enter(hub: &'static Hub, root: &'static FiberSlot) {
    HUB.set(Some(hub));
    FIBER.set(Some(root));
}

pub(crate) fn leave() {
    HUB.set(None);
    FIBER.set(None);
}

pub(crate) fn bare_guard() -> (u32, Option<&'static Location<'static>>) {
    BARE_GUARD.get()
}

pub(crate) fn set_bare_guard(depth: u32, place: Option<&'static Location<'static>>) {
    BARE_GUARD.set((depth, place));
}

pub(crate) fn role() -> ThreadRole {
    ROLE.get()
}

pub(crate) fn set_role(role: ThreadRole) {
    ROLE.set(role);
}
