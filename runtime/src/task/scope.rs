//! Fibers that borrow from the frame they were spawned in.

use std::cell::{Cell, RefCell};
use std::fmt;
use std::io;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::spawn::spawn_in;
use super::{Fiber, JoinError, JoinHandle};
use crate::fiber::FiberSlot;
use crate::fiber::slot::{NEVER, Wait};
use crate::hub::cancel::{self, Unwinding};
use crate::hub::remote::FiberId;
use crate::hub::{current, park, wake};

/// Runs `f`, which may spawn fibers that borrow from the frames around, and returns when all of them have ended: what
/// [`std::thread::scope`] is for threads.
///
/// A cancel or a [`timeout`](crate::timeout()) of the calling fiber is passed on: its children are cancelled, and when they have ended
/// the unwinding goes on. So it is if `f` unwinds. Children have the deadline that their parent had when the scope began. They stay on
/// its hub and need not be `Send`. Each costs three small allocations more than [`spawn`](crate::spawn()).
///
/// [`task_group`](crate::task_group()) also ends all as soon as one fails.
///
/// # Panics
///
/// If a child panicked that nobody has joined. Passes a panic of `f` on. Both after all children have ended.
///
/// # Examples
///
/// ```
/// let words = vec!["one".to_owned(), "two".to_owned()];
/// let lengths = kapok::scope(|scope| {
///     let fibers: Vec<_> = words.iter().map(|word| scope.spawn(|| word.len())).collect();
///     fibers.into_iter().map(|fiber| fiber.join().unwrap()).collect::<Vec<_>>()
/// });
/// assert_eq!(lengths, [3, 3]);
/// ```
///
/// What is borrowed must outlive the scope, not only its closure:
///
/// ```compile_fail,E0373
/// kapok::scope(|scope| {
///     let local = String::new();
///     scope.spawn(|| local.len());
/// });
/// ```
#[switchpoint(
    wakes = "the last child's end",
    cancel = "passed on to the children; goes on when they have ended"
)]
pub fn scope<'env, F, T>(f: F) -> T
where
    F: for<'scope> FnOnce(&'scope Scope<'scope, 'env>) -> T,
{
    let scope = Scope {
        children: Children::new(),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| f(&scope)));
    if result.is_err() {
        scope.children.end();
    }
    scope.children.wait();
    match result {
        Err(payload) => resume_unwind(payload),
        Ok(value) => {
            scope.children.throw_if_passed_on();
            assert!(
                scope.children.panics_unjoined.get() == 0,
                "a scoped fiber panicked"
            );
            value
        }
    }
}

/// Where [`scope`] lets fibers be spawned.
pub struct Scope<'scope, 'env: 'scope> {
    pub(super) children: Rc<Children>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

impl<'scope> Scope<'scope, '_> {
    /// Runs `f` on a new fiber of this hub, which has ended when [`scope`] returns.
    /// [`Builder::spawn_scoped`](crate::Builder::spawn_scoped) gives it a name or another stack.
    ///
    /// # Panics
    ///
    /// If the system has no memory or guard pages for another stack.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        // SAFETY: `scope`, which made `self`, does not return, by value or by unwinding, before all children have ended.
        unsafe { self.children.spawn(f) }
    }

    /// [`spawn`](Self::spawn) on a stack of that class.
    #[track_caller]
    pub(super) fn try_spawn<F, T>(
        &'scope self,
        stack_class: u8,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        // SAFETY: as in `spawn`.
        unsafe { self.children.try_spawn(stack_class, f) }
    }
}

impl fmt::Debug for Scope<'_, '_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Scope")
            .field("running", &self.children.running.get())
            .finish_non_exhaustive()
    }
}

/// The fibers of one scope, seen from the fiber that waits for them.
///
/// Neither hub nor parent are kept while the scope's closure runs. It may be in a coroutine of the user's that another fiber of the
/// thread goes on with, or that goes on when the hub has ended; not while children run.
pub(super) struct Children {
    /// Who waits, while it does.
    waiting: Cell<Option<&'static FiberSlot>>,
    running: Cell<usize>,
    /// Those that run, and some that have ended.
    fibers: RefCell<Vec<FiberId>>,
    /// Children that panicked and were not joined yet.
    panics_unjoined: Cell<usize>,
    was_passed_on: Cell<bool>,
    /// All were cancelled for good: what is spawned now is cancelled at once.
    is_ending: Cell<bool>,
    /// The parent's when the scope began. Those it has set since then, or that a child has set, are not the scope's.
    deadline: u64,
}

/// Fibers noted before those that have ended are looked for.
const FIBERS_UNPRUNED: usize = 64;

impl Children {
    pub(super) fn new() -> Rc<Self> {
        // What is shielded has no deadline, and neither have the children that are part of it.
        let parent = current::fiber().filter(|fiber| fiber.shield_depth.get() == 0);
        let deadline = parent.map_or(NEVER, |fiber| fiber.scope_deadline.get());
        Rc::new(Self {
            waiting: Cell::new(None),
            running: Cell::new(0),
            fibers: RefCell::new(Vec::new()),
            panics_unjoined: Cell::new(0),
            was_passed_on: Cell::new(false),
            is_ending: Cell::new(false),
            deadline,
        })
    }

    /// Spawns a fiber whose closure and result may borrow.
    ///
    /// # Safety
    ///
    /// [`wait`](Self::wait) returns before `'scope` ends.
    #[track_caller]
    pub(super) unsafe fn spawn<'scope, F, T>(self: &Rc<Self>, f: F) -> ScopedJoinHandle<'scope, T>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        // SAFETY: what the caller promises is what is asked for.
        match unsafe { self.try_spawn(0, f) } {
            Ok(handle) => handle,
            Err(error) => panic!("kapok: cannot spawn a fiber: {error}"),
        }
    }

    /// [`spawn`](Self::spawn) on a stack of that class.
    ///
    /// # Safety
    ///
    /// [`wait`](Self::wait) returns before `'scope` ends.
    #[track_caller]
    unsafe fn try_spawn<'scope, F, T>(
        self: &Rc<Self>,
        stack_class: u8,
        f: F,
    ) -> io::Result<ScopedJoinHandle<'scope, T>>
    where
        F: FnOnce() -> T + 'scope,
        T: 'scope,
    {
        let packet = Rc::new(ScopedPacket {
            result: Cell::new(None),
            children: Rc::clone(self),
        });
        let child = Child {
            f: Some(f),
            packet: Rc::clone(&packet),
            end: End::new(self),
        };
        let body: Box<dyn FnOnce() + 'scope> = Box::new(move || child.run());
        // SAFETY: only the lifetime changes. `Child` drops all that may borrow before its `End`, whether it runs, unwinds or never
        // starts; and `wait`, which returns when all `End`s are gone, returns before `'scope` ends, as the caller promises.
        let body: Box<dyn FnOnce()> = unsafe { std::mem::transmute(body) };
        // If there is no room `body` is dropped here, and the child counts as ended.
        let fiber = spawn_in(current::hub(), stack_class, body)?;
        self.note(&fiber);
        Ok(ScopedJoinHandle {
            fiber,
            packet,
            scope: PhantomData,
        })
    }

    fn note(&self, fiber: &JoinHandle<()>) {
        let (hub, slot) = (current::hub(), fiber.slot());
        cancel::inherit_deadline(hub, slot, self.deadline);
        if self.is_ending.get() {
            cancel::cancel(hub, slot);
        }
        let mut fibers = self.fibers.borrow_mut();
        if fibers.len() >= FIBERS_UNPRUNED.max(self.running.get() * 2) {
            fibers.retain(|&id| hub.fiber(id).is_some());
        }
        fibers.push(FiberId {
            index: slot.index,
            serial: slot.serial.get(),
        });
    }

    /// Cancels all children, and those that are still to come.
    pub(super) fn end(&self) {
        self.is_ending.set(true);
        self.cancel_all();
    }

    pub(super) fn cancel_all(&self) {
        let Some(hub) = current::existing_hub() else {
            return; // where no fiber was spawned
        };
        for fiber in self.fibers.borrow().iter().filter_map(|&id| hub.fiber(id)) {
            cancel::cancel(hub, fiber);
        }
    }

    /// Waits until all have ended, and throws nothing: what would unwind the parent is passed on to the children.
    pub(super) fn wait(&self) {
        if self.running.get() == 0 {
            return; // maybe on a thread that has no hub
        }
        let calm = cancel::is_calm();
        let parent = current::running_fiber();
        self.waiting.set(Some(parent));
        while self.running.get() > 0 {
            if cancel::is_due(parent, calm) && !self.was_passed_on.replace(true) {
                self.end();
            }
            park(parent, Wait::Scope);
        }
    }

    /// Goes on with the unwinding that was passed on.
    pub(super) fn throw_if_passed_on(&self) {
        if self.was_passed_on.get() {
            cancel::throw_if_due(current::running_fiber());
        }
    }
}

/// A child's closure, and what it leaves. The order of the fields is the order in which they are dropped: nothing that may borrow is
/// left when `end` goes.
struct Child<F, T> {
    f: Option<F>,
    packet: Rc<ScopedPacket<T>>,
    #[expect(dead_code, reason = "for its destructor")]
    end: End,
}

impl<F: FnOnce() -> T, T> Child<F, T> {
    fn run(mut self) {
        let f = self.f.take().expect("invariant: a child runs once");
        let result = catch_unwind(AssertUnwindSafe(f)).map_err(|payload| {
            match payload.downcast::<Unwinding>() {
                Ok(_) => JoinError::Cancelled,
                Err(payload) => JoinError::of_panic(payload),
            }
        });
        if matches!(result, Err(JoinError::Panicked(_))) {
            let panics = &self.packet.children.panics_unjoined;
            panics.set(panics.get() + 1);
        }
        self.packet.result.set(Some(result));
        drop(self);
    }
}

/// Dropped last of all that a child owns.
struct End(Rc<Children>);

impl End {
    fn new(children: &Rc<Children>) -> Self {
        children.running.set(children.running.get() + 1);
        Self(Rc::clone(children))
    }
}

impl Drop for End {
    fn drop(&mut self) {
        let running = self.0.running.get() - 1;
        self.0.running.set(running);
        if running == 0
            && let (Some(hub), Some(parent)) = (current::existing_hub(), self.0.waiting.get())
        {
            wake(hub, parent);
        }
    }
}

/// A child's result on its way to the handle.
struct ScopedPacket<T> {
    result: Cell<Option<Result<T, JoinError>>>,
    children: Rc<Children>,
}

/// Owns the right to a scoped fiber's result. Dropping it leaves the fiber to its scope, which waits for it.
pub struct ScopedJoinHandle<'scope, T> {
    fiber: JoinHandle<()>,
    packet: Rc<ScopedPacket<T>>,
    scope: PhantomData<&'scope ()>,
}

impl<T> ScopedJoinHandle<'_, T> {
    /// Waits for the fiber to end and returns its result.
    ///
    /// # Errors
    ///
    /// [`JoinError`]: the fiber panicked or was cancelled.
    ///
    /// # Panics
    ///
    /// If a fiber joins itself.
    #[switchpoint(wakes = "the fiber's end", cancel = "the scope waits for the fiber")]
    pub fn join(self) -> Result<T, JoinError> {
        self.fiber.join()?;
        let result = self.packet.result.take();
        if matches!(result, Some(Err(JoinError::Panicked(_)))) {
            let panics = &self.packet.children.panics_unjoined;
            panics.set(panics.get() - 1);
        }
        result.unwrap_or(Err(JoinError::Cancelled))
    }

    /// Asks the fiber to end, as [`JoinHandle::cancel`] does.
    pub fn cancel(&self) {
        self.fiber.cancel();
    }

    /// Whether the fiber has ended, so that `join` would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.fiber.is_finished()
    }

    /// The fiber, to unpark it or to tell its name.
    #[must_use]
    pub fn fiber(&self) -> Fiber {
        self.fiber.fiber()
    }

    /// The handle of the fiber itself.
    pub(crate) fn inner(&self) -> &JoinHandle<()> {
        &self.fiber
    }
}

impl<T> fmt::Debug for ScopedJoinHandle<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("ScopedJoinHandle")
            .field("fiber", &self.fiber())
            .field("is_finished", &self.is_finished())
            .finish()
    }
}
