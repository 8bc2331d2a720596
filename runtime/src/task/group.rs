//! Fibers that succeed or fail together.

use std::any::Any;
use std::cell::RefCell;
use std::fmt;
use std::marker::PhantomData;
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::rc::Rc;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::scope::{Children, ScopedJoinHandle};
use crate::fiber::FiberSlot;
use crate::fiber::slot::{DeadlineScope, NEVER};
use crate::hub::Hub;
use crate::hub::cancel::{self, Unwinding, is_cancel};
use crate::hub::current::{self, Remembered};

/// Runs `f` and the fibers it spawns in the group, until all have ended. As soon as one of them fails, by an error or a panic, the others
/// are cancelled, `f` too, and when they have ended the failure is returned.
///
/// Children borrow from the frames around, inherit the caller's deadline, and are cancelled with the caller, as in [`scope`](crate::scope()).
/// Of several failures the first counts.
///
/// # Errors
///
/// The first error of a child or of `f`.
///
/// # Panics
///
/// Passes on the first panic of a child or of `f`. Does not compile under `panic = "abort"`.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// let result = kapok::task_group(|group| {
///     group.spawn(|| Err::<(), _>("no route to host"));
///     group.spawn(|| Ok(kapok::sleep(Duration::from_secs(3600))));
///     kapok::sleep(Duration::from_secs(3600));
///     Ok(())
/// });
/// assert_eq!(result, Err("no route to host"));
///
/// let sum = kapok::task_group(|group| {
///     let numbers = ["6", "7"].map(|text| group.spawn(|| text.parse::<u32>()));
///     Ok(numbers.map(|number| number.join()).iter().sum::<u32>())
/// });
/// assert_eq!(sum, Ok(13));
/// ```
///
/// # Source
///
/// Trio's nurseries, Go's `errgroup`.
#[switchpoint(
    wakes = "the last child's end",
    cancel = "passed on to the children; goes on when they have ended"
)]
pub fn task_group<'env, F, T, E>(f: F) -> Result<T, E>
where
    F: for<'scope> FnOnce(&'scope TaskGroup<'scope, 'env, E>) -> Result<T, E>,
{
    const {
        assert!(
            cfg!(panic = "unwind"),
            "kapok: `task_group` unwinds what has not ended and needs `panic = \"unwind\"`"
        )
    };
    let (hub, fiber) = (current::hub(), current::running_fiber());
    let remembered = Remembered::running();
    let id = hub.take_serial();
    // A scope without an end of its own: a failure lets it expire, which unwinds `f`.
    let deadline = NEVER;
    cancel::open_scope(hub, fiber, DeadlineScope { id, deadline });
    let group = TaskGroup {
        children: Children::new(),
        failure: Rc::new(FirstFailure {
            failure: RefCell::new(None),
            body: Body { hub, fiber, id },
        }),
        scope: PhantomData,
        env: PhantomData,
    };
    let result = catch_unwind(AssertUnwindSafe(|| f(&group)));
    // A failure that is not the first is kept until all have ended: its destructor may unwind.
    let (value, late) = match result {
        Ok(Ok(value)) => (Some(value), None),
        Ok(Err(error)) => (None, group.failure.note(Failure::Error(error))),
        Err(payload) if Unwinding::is_of_scope(&*payload, id) => (None, None),
        Err(payload) => (None, group.failure.note(Failure::Panic(payload))),
    };
    if value.is_none() {
        group.children.end();
    }
    group.children.wait();
    if let Some(fiber) = remembered.and_then(Remembered::get) {
        cancel::close_scope(hub, fiber, id);
    }
    drop(late);
    match (group.failure.failure.take(), value) {
        (Some(Failure::Panic(payload)), _) => resume_unwind(payload),
        (Some(Failure::Error(error)), _) => {
            group.children.throw_if_passed_on();
            Err(error)
        }
        (None, Some(value)) => {
            group.children.throw_if_passed_on();
            Ok(value)
        }
        (None, None) => unreachable!("`f` is unwound by a failure alone"),
    }
}

/// Where [`task_group`] lets fibers be spawned.
pub struct TaskGroup<'scope, 'env: 'scope, E> {
    children: Rc<Children>,
    failure: Rc<FirstFailure<E>>,
    scope: PhantomData<&'scope mut &'scope ()>,
    env: PhantomData<&'env mut &'env ()>,
}

enum Failure<E> {
    Error(E),
    Panic(Box<dyn Any + Send>),
}

struct FirstFailure<E> {
    failure: RefCell<Option<Failure<E>>>,
    body: Body,
}

/// The fiber that runs `f`, and the scope around it.
struct Body {
    hub: &'static Hub,
    fiber: &'static FiberSlot,
    id: u64,
}

impl<E> FirstFailure<E> {
    /// Keeps the first failure, and gives any other back.
    fn note(&self, failure: Failure<E>) -> Option<Failure<E>> {
        let mut first = self.failure.borrow_mut();
        if first.is_some() {
            return Some(failure);
        }
        *first = Some(failure);
        None
    }
}

impl<'scope, E> TaskGroup<'scope, '_, E> {
    /// Runs `f` on a new fiber of this hub. If it fails the whole group does.
    ///
    /// # Panics
    ///
    /// If the system has no memory or guard pages for another stack.
    #[track_caller]
    pub fn spawn<F, T>(&'scope self, f: F) -> GroupHandle<'scope, T>
    where
        F: FnOnce() -> Result<T, E> + 'scope,
        T: 'scope,
        E: 'scope,
    {
        let (children, failure) = (Rc::clone(&self.children), Rc::clone(&self.failure));
        let body = move || {
            let failed = match catch_unwind(AssertUnwindSafe(f)) {
                Ok(Ok(value)) => return Some(value),
                Ok(Err(error)) => Failure::Error(error),
                // The group has failed already, or the child alone was cancelled.
                Err(payload) if is_cancel(&*payload) => resume_unwind(payload),
                Err(payload) => Failure::Panic(payload),
            };
            if failure.note(failed).is_none() {
                let Body { hub, fiber, id } = failure.body;
                children.end();
                cancel::expire_scope(hub, fiber, id);
            }
            None
        };
        // SAFETY: `task_group`, which made `self`, does not return, by value or by unwinding, before all children have ended.
        let fiber = unsafe { self.children.spawn(body) };
        GroupHandle { fiber }
    }

    /// Cancels all children. Those that are spawned later run.
    pub fn cancel(&self) {
        self.children.cancel_all();
    }
}

impl<E> fmt::Debug for TaskGroup<'_, '_, E> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("TaskGroup").finish_non_exhaustive()
    }
}

/// Owns the right to the result of a group's fiber. Dropping it leaves the fiber to its group.
pub struct GroupHandle<'scope, T> {
    fiber: ScopedJoinHandle<'scope, Option<T>>,
}

impl<T> GroupHandle<'_, T> {
    /// Waits for the fiber to end and returns its result. If the fiber failed, so has the group, and who calls this is unwound with all
    /// its other fibers.
    ///
    /// # Panics
    ///
    /// If the fiber was cancelled, by a handle or by [`TaskGroup::cancel`], which is no failure: [`try_join`](Self::try_join) tells. If a
    /// fiber joins itself.
    #[switchpoint(wakes = "the fiber's end", cancel = "the group waits for the fiber")]
    pub fn join(self) -> T {
        match self.fiber.join() {
            Ok(Some(value)) => value,
            Ok(None) => cancel::throw_now(current::running_fiber()),
            Err(_) => panic!("a fiber of the group was cancelled and has no result"),
        }
    }

    /// Waits for the fiber to end and returns its result; nothing if it was cancelled or failed, and then who calls this is unwound from
    /// its next switchpoint. For destructors and for [`shielded`](crate::shielded()) sections too, where nothing may unwind.
    ///
    /// # Panics
    ///
    /// If a fiber joins itself.
    #[switchpoint(wakes = "the fiber's end", cancel = "the group waits for the fiber")]
    pub fn try_join(self) -> Option<T> {
        self.fiber.join().ok().flatten()
    }

    /// Asks the fiber to end. That is no failure of the group.
    pub fn cancel(&self) {
        self.fiber.cancel();
    }

    /// Whether the fiber has ended, so that `join` would not wait.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.fiber.is_finished()
    }

    /// The handle of the fiber itself.
    pub(crate) fn inner(&self) -> &crate::task::JoinHandle<()> {
        self.fiber.inner()
    }
}

impl<T> fmt::Debug for GroupHandle<'_, T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("GroupHandle")
            .field("fiber", &self.fiber)
            .finish()
    }
}
