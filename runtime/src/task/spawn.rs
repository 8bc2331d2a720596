//! `spawn`, and the body that every fiber runs.

use std::any::Any;
use std::io;
use std::panic::{AssertUnwindSafe, Location, catch_unwind};

use super::{JoinError, JoinHandle};
use crate::fiber::FiberSlot;
use crate::fiber::slot::{NEVER, Wait, attention, flag};
use crate::fiber::store;
use crate::hub::Hub;
use crate::hub::cancel::{Unwinding, shielded};
use crate::hub::current;

/// Runs `f` on a new fiber of this thread and returns a handle to its result.
///
/// The fiber is put at the end of the run queue; it first runs when the caller parks. It stays on this thread for good, so
/// neither `f` nor its result need be `Send`. Dropping the handle detaches the fiber. On a thread that has no hub yet, one is
/// made. Costs a few dozen nanoseconds and no allocation if `f` and its result are at most 96 bytes each. The stack has 128
/// KiB; [`Builder`](crate::Builder) makes other sizes and gives names.
///
/// # Panics
///
/// If the system has no memory or guard pages for another stack ([`Builder::spawn`](crate::Builder::spawn) returns the
/// error), on a thread of [`unblock`](crate::unblock)'s pool, and while the thread's locals are destroyed.
///
/// # Examples
///
/// ```
/// let fiber = kapok::spawn(|| 6 * 7);
/// assert_eq!(fiber.join().unwrap(), 42);
/// ```
///
/// What a fiber borrows must live for ever, as nobody promises to join it:
///
/// ```compile_fail,E0597
/// let local = String::new();
/// let fiber = kapok::spawn(|| local.len());
/// ```
#[inline]
#[track_caller]
pub fn spawn<F, T>(f: F) -> JoinHandle<T>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    match spawn_in(current::hub(), 0, f) {
        Ok(handle) => handle,
        Err(error) => cannot_spawn(&error),
    }
}

#[cold]
#[inline(never)]
#[track_caller]
fn cannot_spawn(error: &io::Error) -> ! {
    panic!("kapok: cannot spawn a fiber: {error}")
}

#[inline(always)]
#[track_caller]
pub(super) fn spawn_in<F, T>(hub: &'static Hub, stack_class: u8, f: F) -> io::Result<JoinHandle<T>>
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    hub.stacks.class(stack_class).reserve()?;
    let fiber = hub.slots.take();
    fiber.serial.set(hub.take_serial());
    fiber.flags.set(flag::LIVE | flag::HANDLE);
    // A hub that is being drained runs nothing new: its closures are dropped on a fiber, and told.
    fiber.attention.set(if hub.is_draining.get() {
        attention::CANCELLED
    } else {
        0
    });
    fiber.wait.set(Wait::Nothing);
    fiber.stack_class.set(stack_class);
    fiber.unparked.set(false);
    fiber.deadline.set(NEVER);
    fiber.scope_deadline.set(NEVER);
    fiber.guard_depth.set(0);
    fiber.shield_depth.set(0);
    fiber.spawned_at.set(Location::caller());
    store::put_closure(fiber, f);
    fiber.body.set(Some(body::<F, T>));
    hub.live.set(hub.live.get() + 1);
    hub.enqueue(fiber);
    Ok(JoinHandle::new(hub, fiber))
}

/// What a fiber runs from its first resume to its last, on its own stack.
fn body<F, T>(fiber: &'static FiberSlot)
where
    F: FnOnce() -> T + 'static,
    T: 'static,
{
    // SAFETY: this body was set by `spawn_in::<F, T>` right after it put an `F` into the store; a body runs once.
    let closure = unsafe { store::take_closure::<F>(fiber) };
    if fiber.attention.get() & attention::CANCELLED != 0 {
        // What it owns gets to the end of its destructors, as it would in a fiber that unwinds.
        shielded(|| store::drop_quietly(closure));
        fail(fiber, JoinError::Cancelled);
    } else {
        match catch_unwind(AssertUnwindSafe(closure)) {
            Ok(value) => store::put_value(fiber, value),
            Err(payload) => fail(fiber, error_of(payload)),
        }
    }
    // The handle may be dropped while a destructor has switched, and a destructor may make locals: until nothing is left.
    loop {
        if fiber.rare.borrow().is_some() {
            end_rare(fiber);
        }
        if fiber.has(flag::HANDLE) || !fiber.has(flag::VALUE) {
            break;
        }
        // SAFETY: this body was made for results of type `T`.
        let value = unsafe { store::take_value::<T>(fiber) };
        store::drop_quietly(value);
    }
}

fn error_of(payload: Box<dyn Any + Send>) -> JoinError {
    match payload.downcast::<Unwinding>() {
        Ok(_) => JoinError::Cancelled,
        Err(payload) => JoinError::of_panic(payload),
    }
}

#[cold]
fn fail(fiber: &'static FiberSlot, error: JoinError) {
    if fiber.has(flag::HANDLE) {
        fiber.with_rare(|rare| rare.failure = Some(error));
    } else {
        store::drop_quietly(error);
    }
}

/// Drops what few fibers have, but for a failure that the handle still has to see.
#[cold]
fn end_rare(fiber: &'static FiberSlot) {
    while fiber.rare.borrow().is_some() {
        super::local::drop_all(fiber);
        if fiber.has(flag::HANDLE) {
            // The name, and the failure if there is one, are the handle's.
            return;
        }
        let rare = fiber.rare.take();
        // Its destructor may ask for locals again.
        store::drop_quietly(rare);
    }
}
