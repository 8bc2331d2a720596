//! Cancelling a fiber, and deadlines over whole sections: both unwind.
//!
//! # Rules
//!
//! - An unwind starts only at a switchpoint's entry ([`throw_if_due`]) or out of a wait that took no effect
//!   ([`throw_after_wait`]). An operation that took effect returns normally.
//! - Never while the thread unwinds, never in [`shielded`], never in a `Drop` of ours: they reach no switchpoint.
//! - Whoever swallows one meets it again at the next switchpoint: the fiber's `attention` stays set. From the second time on
//!   the others run first, so a fiber that swallows in a loop does not hold its hub.
//! - Each [`timeout`] catches its own number alone. If several have expired the outermost is thrown, as it ends them all.
//! - `thread::panicking()` is a property of the thread: a sibling that parked in a `Drop` while it unwinds makes it true for
//!   all. So a fiber that parked while nobody was unwinding is known to be calm whatever it says later.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::time::Duration;

use crate::fiber::FiberSlot;
use crate::fiber::slot::{DeadlineScope, NEVER, attention, flag};
use crate::hub::current::{self, Remembered};
use crate::hub::report::report;
use crate::hub::{Hub, switch_out, wake};

/// The payload that unwinds a cancelled fiber or an expired section.
#[derive(Debug)]
pub(crate) enum Unwinding {
    Cancelled,
    Scope(u64),
}

impl Unwinding {
    /// Whether a caught panic is the end of that scope.
    pub(crate) fn is_of_scope(payload: &(dyn Any + Send), id: u64) -> bool {
        let unwinding = payload.downcast_ref::<Self>();
        matches!(unwinding, Some(Self::Scope(expired)) if *expired == id)
    }
}

/// Whether a caught panic is kapok's way to cancel a fiber or to end a [`timeout`].
///
/// Code that catches panics and goes on should pass these on with [`std::panic::resume_unwind`]. If it does not they are
/// thrown again at the next switchpoint.
///
/// # Examples
///
/// ```
/// use std::panic;
///
/// let fiber = kapok::spawn(|| {
///     let caught = panic::catch_unwind(|| kapok::sleep(std::time::Duration::from_secs(3600)));
///     match caught {
///         Err(payload) if kapok::is_cancel(&*payload) => panic::resume_unwind(payload),
///         other => drop(other),
///     }
/// });
/// kapok::yield_now();
/// fiber.cancel();
/// assert!(fiber.join().unwrap_err().is_cancelled());
/// ```
#[must_use]
pub fn is_cancel(payload: &(dyn Any + Send)) -> bool {
    payload.is::<Unwinding>()
}

/// Asks a fiber to end by unwinding. Called on its hub's thread.
pub(crate) fn cancel(hub: &Hub, fiber: &'static FiberSlot) {
    if fiber.has(flag::DONE) {
        return;
    }
    fiber
        .attention
        .set(fiber.attention.get() | attention::CANCELLED);
    wake(hub, fiber);
}

/// Whether an unwind is due and nothing is in its way, at a switchpoint's entry.
#[cold]
#[inline(never)]
pub(crate) fn throw_if_due(fiber: &'static FiberSlot) {
    if fiber.attention.get() & attention::UNWIND != 0
        && fiber.shield_depth.get() == 0
        && !std::thread::panicking()
    {
        throw(fiber);
    }
}

/// Whether the fiber that is going to wait is certainly not unwinding. To be asked before it parks or yields. Ends the process if
/// the fiber is in a panic hook.
#[inline(always)]
pub(crate) fn is_calm() -> bool {
    let Some(fiber) = current::fiber() else {
        return true; // a thread without a hub has no other fibers
    };
    let calm = !std::thread::panicking();
    let unwinds = !calm && unwinds_itself(fiber);
    if unwinds != fiber.unwinds.get() {
        note_unwinding(current::hub(), fiber, unwinds);
    }
    if !calm {
        refuse_panic_hook();
    }
    calm
}

/// Whether the running fiber unwinds, given that somebody on this thread does.
///
/// If no other waits in the middle of its unwinding it is this one. If one does, it is known of this fiber from its last wait. Not
/// noticed is a fiber that begins to unwind while a sibling waits so.
fn unwinds_itself(fiber: &FiberSlot) -> bool {
    fiber.unwinds.get() || current::hub().unwinding.get() == 0
}

/// The fiber is about to wait, or has ended.
#[cold]
pub(crate) fn note_unwinding(hub: &Hub, fiber: &FiberSlot, unwinds: bool) {
    fiber.unwinds.set(unwinds);
    let others = hub.unwinding.get();
    hub.unwinding
        .set(if unwinds { others + 1 } else { others - 1 });
}

/// Whether the code that asks is being dropped by a panic of its own fiber: not by a cancel or a timeout, and not while another
/// fiber of the thread unwinds. On a thread without a hub, by any unwinding.
#[inline(always)]
pub(crate) fn is_panicking() -> bool {
    std::thread::panicking()
        && current::fiber().is_none_or(|fiber| unwinds_itself(fiber) && !fiber.has(flag::THROWN))
}

/// Aborts in a panic hook: another fiber that panicked meanwhile would have no hook, and std would abort with less to say.
///
/// std tells nobody that a hook runs. But it does not count a panic inside one, and uncounts each that is caught; so after
/// another unwinding the thread counts as calm in a hook, and as panicking in a destructor that runs while a fiber unwinds.
/// Should std ever count otherwise, this finds no hooks any more and does no harm. Not found is a hook of a second panic while
/// a sibling unwinds.
#[cold]
#[inline(never)]
pub(crate) fn refuse_panic_hook() {
    // Where nothing can unwind nothing but a hook runs after a panic.
    let unwinds = cfg!(panic = "unwind");
    if unwinds {
        drop(catch_unwind(|| resume_unwind(Box::new(()))));
    }
    if !unwinds || !std::thread::panicking() {
        report(format_args!(
            "a panic hook called something that waits, which would run other fibers in the middle of a panic: aborting"
        ));
        std::process::abort();
    }
}

/// To be called after a wait that took no effect, with what [`is_calm`] said before it.
#[inline(always)]
pub(crate) fn throw_after_wait(fiber: &'static FiberSlot, calm: bool) {
    if is_due(fiber, calm) {
        throw(fiber);
    }
}

/// Whether [`throw_after_wait`] would throw.
#[inline(always)]
pub(crate) fn is_due(fiber: &'static FiberSlot, calm: bool) -> bool {
    if fiber.attention.get() & attention::UNWIND == 0 || fiber.shield_depth.get() != 0 {
        return false;
    }
    let may_throw = calm || !std::thread::panicking();
    if !may_throw {
        // This fiber or a sibling unwinds, nobody can tell: asked again when nobody does.
        current::hub().has_deferred.set(true);
    }
    may_throw
}

/// Unwinds a fiber whose work is of no use any more: by what is due, or as if it were cancelled where that has not come to it yet.
#[cold]
#[inline(never)]
pub(crate) fn throw_now(fiber: &'static FiberSlot) -> ! {
    throw_if_due(fiber);
    fiber.set(flag::THROWN);
    resume_unwind(Box::new(Unwinding::Cancelled))
}

#[cold]
#[inline(never)]
fn throw(fiber: &'static FiberSlot) -> ! {
    if fiber.has(flag::THROWN) {
        // It swallowed one before and may go on doing so for ever: let the others run, who might give up on it.
        is_calm();
        current::hub().enqueue(fiber);
        switch_out(fiber);
    }
    fiber.set(flag::THROWN);
    let reason = if fiber.attention.get() & attention::CANCELLED != 0 {
        Unwinding::Cancelled
    } else {
        let hub = current::hub();
        let now = hub.clock.now();
        let expired = fiber.with_rare(|rare| {
            rare.scopes
                .iter()
                .find(|scope| scope.deadline <= now)
                .copied()
        });
        Unwinding::Scope(
            expired
                .expect("invariant: SCOPE_EXPIRED is set while an expired scope is open")
                .id,
        )
    };
    // Not a panic: the panic hook has nothing to tell.
    resume_unwind(Box::new(reason))
}

/// Runs `section` without letting it be cancelled or timed out; whatever is due is thrown at the next switchpoint after it.
///
/// For sections that must not stop half-way, and for callbacks from C, through whose frames nothing may unwind. Nests.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let result = kapok::timeout(Duration::from_millis(1), || {
///     kapok::shielded(|| kapok::sleep(Duration::from_millis(5)));
///     "written in full"
/// });
/// assert_eq!(result, Ok("written in full"));
/// ```
pub fn shielded<T>(section: impl FnOnce() -> T) -> T {
    struct Shield(Option<Remembered>);
    impl Drop for Shield {
        fn drop(&mut self) {
            if let Some(fiber) = self.0.and_then(Remembered::get) {
                fiber.shield_depth.set(fiber.shield_depth.get() - 1);
            }
        }
    }
    // A thread without a hub has nothing that could cancel it.
    let _shield = Shield(Remembered::running());
    if let Some(fiber) = current::fiber() {
        fiber.shield_depth.set(fiber.shield_depth.get() + 1);
    }
    section()
}

/// The time given to a [`timeout`] passed before its section ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimedOut;

impl std::fmt::Display for TimedOut {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("the section took longer than its timeout")
    }
}

impl std::error::Error for TimedOut {}

impl From<TimedOut> for std::io::Error {
    fn from(error: TimedOut) -> Self {
        Self::new(std::io::ErrorKind::TimedOut, error)
    }
}

/// Runs `section`, and unwinds it if it has not ended when `duration` is over.
///
/// The unwinding starts at a switchpoint, or in a wait that took no effect; a section that computes is not stopped. The hub sees
/// that the time is over when it looks at the clock, at the latest when it has nothing else to run: a section that computed past its
/// time may get through switchpoints that do not wait, a thousand or so, and returns its value if it ends before. Timeouts nest: an
/// outer one that expires ends the inner ones too. Costs a timer and no allocation of its own once the fiber has used one before.
///
/// # Errors
///
/// [`TimedOut`]: the section was unwound. What it owned has been dropped.
///
/// # Panics
///
/// Passes the section's own panic on. Does not compile under `panic = "abort"`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let slow = kapok::timeout(Duration::from_millis(5), || kapok::sleep(Duration::from_secs(3600)));
/// assert_eq!(slow, Err(kapok::TimedOut));
/// let quick = kapok::timeout(Duration::from_secs(3600), || 7);
/// assert_eq!(quick, Ok(7));
/// ```
pub fn timeout<T>(duration: Duration, section: impl FnOnce() -> T) -> Result<T, TimedOut> {
    const {
        assert!(
            cfg!(panic = "unwind"),
            "kapok: `timeout` unwinds its section and needs `panic = \"unwind\"`"
        )
    };
    let hub = current::hub();
    let fiber = current::running_fiber();
    let remembered = Remembered::running();
    let id = hub.take_serial();
    open_scope(
        hub,
        fiber,
        DeadlineScope {
            id,
            deadline: hub.clock.deadline_after(duration),
        },
    );
    let result = catch_unwind(AssertUnwindSafe(section));
    if let Some(fiber) = remembered.and_then(Remembered::get) {
        close_scope(hub, fiber, id);
    }
    match result {
        Ok(value) => Ok(value),
        Err(payload) if Unwinding::is_of_scope(&*payload, id) => Err(TimedOut),
        Err(payload) => resume_unwind(payload),
    }
}

pub(crate) fn open_scope(hub: &Hub, fiber: &'static FiberSlot, scope: DeadlineScope) {
    fiber.with_rare(|rare| rare.scopes.push(scope));
    fiber
        .scope_deadline
        .set(fiber.scope_deadline.get().min(scope.deadline));
    if scope.deadline != NEVER {
        hub.timers.arm(fiber, scope.deadline);
    }
}

pub(crate) fn close_scope(hub: &Hub, fiber: &'static FiberSlot, id: u64) {
    let (earliest, expired) = fiber.with_rare(|rare| {
        rare.scopes.retain(|scope| scope.id != id);
        let earliest = rare
            .scopes
            .iter()
            .map(|scope| scope.deadline)
            .min()
            .unwrap_or(NEVER);
        (earliest, earliest != NEVER && earliest <= hub.clock.now())
    });
    fiber.scope_deadline.set(earliest);
    let others = fiber.attention.get() & !attention::SCOPE_EXPIRED;
    let attention = others | if expired { attention::SCOPE_EXPIRED } else { 0 };
    fiber.attention.set(attention);
    if attention & attention::UNWIND == 0 {
        // If anything else is due the fiber may be swallowing that.
        fiber.clear(flag::THROWN);
    }
}

/// Lets one of the fiber's open scopes expire now. Does nothing if it is not the fiber's any more.
pub(crate) fn expire_scope(hub: &Hub, fiber: &'static FiberSlot, id: u64) {
    let is_open = fiber.with_rare(|rare| {
        let scope = rare.scopes.iter_mut().find(|scope| scope.id == id);
        scope.map(|scope| scope.deadline = 0).is_some()
    });
    if !is_open {
        return;
    }
    fiber.scope_deadline.set(0);
    fiber
        .attention
        .set(fiber.attention.get() | attention::SCOPE_EXPIRED);
    wake(hub, fiber);
}

/// The deadline that a fiber has from the one whose `scope` it belongs to.
const INHERITED_SCOPE: u64 = u64::MAX;

/// Gives a new fiber the deadline that its scope began with.
pub(crate) fn inherit_deadline(hub: &Hub, child: &'static FiberSlot, deadline: u64) {
    if deadline != NEVER {
        let id = INHERITED_SCOPE;
        open_scope(hub, child, DeadlineScope { id, deadline });
    }
}

/// The scope around the main function of a hub that is stopping.
const ROOT_SCOPE: u64 = 0;

/// Gives the root fiber of a stopping hub a time by which it must return, in the place of one it may have.
pub(crate) fn limit_root(hub: &Hub, deadline: u64) {
    let root = hub.root();
    root.with_rare(|rare| rare.scopes.retain(|scope| scope.id != ROOT_SCOPE));
    open_scope(
        hub,
        root,
        DeadlineScope {
            id: ROOT_SCOPE,
            deadline,
        },
    );
}

/// The root has returned: its limit has no meaning any more.
pub(crate) fn unlimit_root(hub: &Hub) {
    close_scope(hub, hub.root(), ROOT_SCOPE);
}

/// A fiber's timer has fired: marks it if a scope of its has expired. Returns when the next one will.
pub(crate) fn expire_scopes(hub: &Hub, fiber: &'static FiberSlot, now: u64) -> u64 {
    if fiber.scope_deadline.get() <= now {
        if cfg!(panic = "unwind") {
            fiber
                .attention
                .set(fiber.attention.get() | attention::SCOPE_EXPIRED);
            wake(hub, fiber);
        } else {
            // Only a stopping hub opens scopes where nothing can unwind.
            hub.expire_all();
        }
    }
    fiber.with_rare(|rare| {
        rare.scopes
            .iter()
            .map(|scope| scope.deadline)
            .filter(|&deadline| deadline > now)
            .min()
            .unwrap_or(NEVER)
    })
}
