//! Switchpoints: where a fiber may be switched out, and the guard that forbids it.

use std::marker::PhantomData;
use std::panic::Location;

use crate::fiber::FiberSlot;
use crate::fiber::slot::attention;
use crate::hub::cancel;
use crate::hub::current::{self, Remembered};

/// What `#[switchpoint]` puts at the start of a function. Makes no hub; two loads and two branches when all is well.
#[doc(hidden)]
#[inline(always)]
#[track_caller]
pub fn switchpoint_entry(name: &'static str) {
    match current::fiber() {
        Some(fiber) if fiber.attention.get() == 0 => {}
        fiber => attend(fiber, name, Location::caller()),
    }
}

#[cold]
#[inline(never)]
fn attend(fiber: Option<&'static FiberSlot>, name: &str, place: &Location<'_>) {
    let guard = match fiber {
        Some(fiber) if fiber.attention.get() & attention::NO_SWITCH != 0 => fiber.guard_place.get(),
        Some(_) => None,
        None => current::bare_guard().1,
    };
    if let Some(guard) = guard
        // A second panic would abort the program, and the first one is being told already.
        && !std::thread::panicking()
    {
        panic!(
            "switchpoint `{name}` reached at {place} inside a section entered at {guard} that must not switch"
        );
    }
    if let Some(fiber) = fiber {
        cancel::throw_if_due(fiber);
    }
}

/// Runs `section` and panics if it reaches a switchpoint, even one that would not have blocked.
///
/// What fibers of one hub share needs no lock as long as nobody switches in the middle. This makes the assumption visible and
/// checks it. It is an assertion, not a lock: it stops nobody else. It nests, belongs to the fiber that called it, and ends
/// when `section` unwinds. While a panic unwinds the check is off.
///
/// # Panics
///
/// In `section`, at the first switchpoint. The message names the switchpoint, where it was reached, and this call's place.
///
/// # Examples
///
/// ```
/// use std::cell::Cell;
///
/// let (from, to) = (Cell::new(10), Cell::new(0));
/// kapok::assert_no_switchpoints(|| {
///     // No other fiber can see the sum in between.
///     from.set(from.get() - 3);
///     to.set(to.get() + 3);
/// });
/// assert_eq!(from.get() + to.get(), 10);
/// ```
///
/// # Source
///
/// Gruvi's `assert_no_switchpoints`, which checks when the hub resumes; this one checks at the call.
#[track_caller]
pub fn assert_no_switchpoints<T>(section: impl FnOnce() -> T) -> T {
    let _guard = NoSwitchGuard::new();
    section()
}

/// [`assert_no_switchpoints`] as a guard: from its making until it is dropped.
///
/// The guard belongs to the fiber that made it, wherever it is dropped on that fiber's thread.
///
/// ```compile_fail,E0277
/// fn assert_send<T: Send>() {}
/// assert_send::<kapok::NoSwitchGuard>();
/// ```
#[derive(Debug)]
#[must_use = "switchpoints are forbidden only as long as the guard lives"]
pub struct NoSwitchGuard {
    /// None if the thread had no hub.
    fiber: Option<Remembered>,
    place: &'static Location<'static>,
    outer: Option<&'static Location<'static>>,
    not_send: PhantomData<*mut ()>,
}

impl NoSwitchGuard {
    /// Forbids switchpoints in the running fiber.
    #[track_caller]
    pub fn new() -> Self {
        let place = Location::caller();
        let fiber = Remembered::running();
        let outer = match current::fiber() {
            Some(fiber) => {
                fiber.guard_depth.set(fiber.guard_depth.get() + 1);
                fiber
                    .attention
                    .set(fiber.attention.get() | attention::NO_SWITCH);
                fiber.guard_place.replace(Some(place))
            }
            None => {
                let (depth, outer) = current::bare_guard();
                current::set_bare_guard(depth + 1, Some(place));
                outer
            }
        };
        Self {
            fiber,
            place,
            outer,
            not_send: PhantomData,
        }
    }
}

impl Default for NoSwitchGuard {
    #[track_caller]
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for NoSwitchGuard {
    fn drop(&mut self) {
        let fiber = match self.fiber {
            Some(fiber) => fiber.get(),
            None => {
                let (depth, place) = current::bare_guard();
                let depth = depth.saturating_sub(1);
                current::set_bare_guard(depth, self.place_after(depth, place));
                // The root fiber took the guard over if a hub was made since.
                current::existing_hub().map(|hub| hub.root())
            }
        };
        if let Some(fiber) = fiber {
            let depth = fiber.guard_depth.get().saturating_sub(1);
            fiber.guard_depth.set(depth);
            fiber
                .guard_place
                .set(self.place_after(depth, fiber.guard_place.get()));
            if depth == 0 {
                fiber
                    .attention
                    .set(fiber.attention.get() & !attention::NO_SWITCH);
            }
        }
    }
}

impl NoSwitchGuard {
    /// The place to tell once this guard is gone. Guards may be dropped in any order.
    fn place_after(
        &self,
        depth: u32,
        place: Option<&'static Location<'static>>,
    ) -> Option<&'static Location<'static>> {
        match place {
            _ if depth == 0 => None,
            Some(place) if std::ptr::eq(place, self.place) => self.outer.or(Some(place)),
            other => other,
        }
    }
}
