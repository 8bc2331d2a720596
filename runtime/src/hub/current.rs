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
    /// Waits of the thread's root fibers, wrapping.
    static ROOT_WAITS: Cell<u32> = const { Cell::new(0) };
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

/// A fiber as a guard on its thread remembers it. Both may be gone when the guard is dropped: the fiber, and the hub, whose
/// memory another thread may use by then.
#[derive(Clone, Copy)]
pub(crate) struct Remembered {
    hub: &'static Hub,
    fiber: &'static FiberSlot,
    serial: u64,
}

impl Remembered {
    /// The fiber that runs, none on a thread without a hub.
    pub(crate) fn running() -> Option<Self> {
        let (hub, fiber) = (existing_hub()?, fiber()?);
        let serial = fiber.serial.get();
        Some(Self { hub, fiber, serial })
    }

    /// The fiber, if it is still there. Its slot is looked at only if the hub is this thread's.
    pub(crate) fn get(self) -> Option<&'static FiberSlot> {
        let is_own = existing_hub().is_some_and(|hub| std::ptr::eq(hub, self.hub));
        (is_own && self.fiber.serial.get() == self.serial).then_some(self.fiber)
    }
}

impl std::fmt::Debug for Remembered {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "#{}", self.serial)
    }
}

pub(crate) fn bare_guard() -> (u32, Option<&'static Location<'static>>) {
    BARE_GUARD.get()
}

pub(crate) fn set_bare_guard(depth: u32, place: Option<&'static Location<'static>>) {
    BARE_GUARD.set((depth, place));
}

/// Counts a wait of the root fiber. Returns how many there have been.
#[inline(always)]
pub(crate) fn count_root_wait() -> u32 {
    let waits = ROOT_WAITS.get().wrapping_add(1);
    ROOT_WAITS.set(waits);
    waits
}

pub(crate) fn role() -> ThreadRole {
    ROLE.get()
}

pub(crate) fn set_role(role: ThreadRole) {
    ROLE.set(role);
}

/// Whether this is the thread whose end is the program's. Any thread may be named "main".
#[cfg(target_os = "linux")]
pub(crate) fn is_main_thread() -> bool {
    rustix::thread::gettid() == rustix::process::getpid()
}

#[cfg(not(target_os = "linux"))]
pub(crate) fn is_main_thread() -> bool {
    std::thread::current().name() == Some("main")
}
