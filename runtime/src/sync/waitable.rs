//! Waiting for some of many things that happen once or stay: handles, events, values.

use std::fmt;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::event::Event;
use super::once::OnceLock;
use crate::fiber::slot::Wait;
use crate::hub::cancel;
use crate::hub::current;
use crate::hub::wait_list::Ticket;
use crate::hub::waiting::{Deadline, Place, must_leave, park_here};
use crate::hub::waker::Waker;
use crate::task::{GroupHandle, JoinHandle, RemoteJoinHandle, ScopedJoinHandle};

/// Keeps a trait to kapok's own types: waits rely on what these do, and above all on a `leave` that does not unwind half-way.
#[expect(unnameable_types, reason = "who can name it could implement it")]
pub trait Sealed {}

impl Sealed for Event {}
impl<T> Sealed for OnceLock<T> {}
impl<T> Sealed for JoinHandle<T> {}
impl<T> Sealed for ScopedJoinHandle<'_, T> {}
impl<T> Sealed for GroupHandle<'_, T> {}
impl<T> Sealed for RemoteJoinHandle<T> {}

/// Something that becomes ready, and can be waited for together with others: by [`wait`], [`as_completed`] and
/// [`select!`](crate::select!).
///
/// Waiting takes nothing: a handle that is ready can be joined then, without waiting. Only kapok's types implement it.
///
/// ```compile_fail,E0277
/// struct Mine;
/// impl kapok::sync::Waitable for Mine {}
/// ```
pub trait Waitable: Sealed {
    /// Whether it is ready now.
    fn is_ready(&self) -> bool;

    /// Has the running fiber woken when this becomes ready, by a grant to `place` or at least once. False if it is ready now.
    ///
    /// # Safety
    ///
    /// [`leave`](Self::leave) is called with the place before the place or the ticket is moved or dropped. A place is used once.
    #[doc(hidden)]
    unsafe fn enter(&self, place: &Place<()>, ticket: &Ticket, number: u32) -> bool;

    /// Takes back what `enter` has done.
    #[doc(hidden)]
    fn leave(&self, place: &Place<()>);
}

impl Waitable for Event {
    fn is_ready(&self) -> bool {
        self.is_set()
    }

    unsafe fn enter(&self, place: &Place<()>, ticket: &Ticket, number: u32) -> bool {
        let mut waiters = self.waiters().lock();
        if self.is_set() {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut waiters, (), ticket, number) };
        true
    }

    fn leave(&self, place: &Place<()>) {
        place.leave(&mut self.waiters().lock());
    }
}

/// Ready when the value is set.
impl<T> Waitable for OnceLock<T> {
    fn is_ready(&self) -> bool {
        self.event().is_ready()
    }

    unsafe fn enter(&self, place: &Place<()>, ticket: &Ticket, number: u32) -> bool {
        // SAFETY: the same promise.
        unsafe { self.event().enter(place, ticket, number) }
    }

    fn leave(&self, place: &Place<()>) {
        self.event().leave(place);
    }
}

/// Ready when the fiber has ended.
impl<T> Waitable for JoinHandle<T> {
    fn is_ready(&self) -> bool {
        self.is_finished()
    }

    unsafe fn enter(&self, _: &Place<()>, _: &Ticket, _: u32) -> bool {
        if !self.is_finished() {
            self.add_joiner(current::running_fiber());
        }
        !self.is_finished()
    }

    fn leave(&self, _: &Place<()>) {
        // Without a hub nobody was noted.
        if !self.is_finished()
            && let Some(fiber) = current::fiber()
        {
            self.remove_joiner(fiber);
        }
    }
}

macro_rules! waitable_as_inner {
    ($($handle:ident),+) => {
        $(/// Ready when the fiber has ended.
        impl<T> Waitable for $handle<'_, T> {
            fn is_ready(&self) -> bool {
                self.is_finished()
            }

            unsafe fn enter(&self, place: &Place<()>, ticket: &Ticket, number: u32) -> bool {
                // SAFETY: the same promise.
                unsafe { self.inner().enter(place, ticket, number) }
            }

            fn leave(&self, place: &Place<()>) {
                self.inner().leave(place);
            }
        })+
    };
}

waitable_as_inner!(ScopedJoinHandle, GroupHandle);

/// Ready when the fiber has ended.
impl<T: Send> Waitable for RemoteJoinHandle<T> {
    fn is_ready(&self) -> bool {
        self.is_finished()
    }

    unsafe fn enter(&self, place: &Place<()>, ticket: &Ticket, number: u32) -> bool {
        let mut packet = self.packet().lock();
        if packet.is_ready() {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut packet.waiters, (), ticket, number) };
        true
    }

    fn leave(&self, place: &Place<()>) {
        place.leave(&mut self.packet().lock().waiters);
    }
}

macro_rules! waitable_by_pointer {
    ($($pointer:ty),+) => {
        $(impl<W: Waitable + ?Sized> Sealed for $pointer {}

        impl<W: Waitable + ?Sized> Waitable for $pointer {
            fn is_ready(&self) -> bool {
                (**self).is_ready()
            }

            unsafe fn enter(&self, place: &Place<()>, ticket: &Ticket, number: u32) -> bool {
                // SAFETY: the same promise.
                unsafe { (**self).enter(place, ticket, number) }
            }

            fn leave(&self, place: &Place<()>) {
                (**self).leave(place);
            }
        })+
    };
}

waitable_by_pointer!(&W, Arc<W>, Rc<W>);

/// Waits until at least `count` of the objects are ready, or all if there are fewer. Returns the positions of those that are.
///
/// Costs an allocation, and a look at each object that is left whenever one becomes ready.
///
/// # Examples
///
/// ```
/// use kapok::sync::{Event, Waitable, wait};
///
/// let (event, slow) = (Event::new(), kapok::spawn(|| kapok::sleep(std::time::Duration::from_secs(60))));
/// let quick = kapok::spawn(|| 7);
/// let objects: [&dyn Waitable; 3] = [&event, &slow, &quick];
/// assert_eq!(wait(&objects, 1), [2]);
/// assert_eq!(quick.join().unwrap(), 7);
/// # drop(slow);
/// ```
///
/// # Source
///
/// `concurrent.futures.wait`, as Gruvi has it for all its objects.
#[switchpoint(wakes = "enough objects", cancel = "nothing is left behind")]
pub fn wait(objects: &[&dyn Waitable], count: usize) -> Vec<usize> {
    wait_until(objects, count, Deadline::Never)
}

/// [`wait`] for at most `timeout`. Fewer objects than asked for may be ready then.
#[switchpoint(
    wakes = "enough objects, or the timeout",
    cancel = "nothing is left behind"
)]
pub fn wait_timeout(objects: &[&dyn Waitable], count: usize, timeout: Duration) -> Vec<usize> {
    wait_until(objects, count, Deadline::after(timeout))
}

fn wait_until(objects: &[&dyn Waitable], count: usize, deadline: Deadline) -> Vec<usize> {
    let count = count.min(objects.len());
    let ready = ready_of(objects);
    if ready.len() >= count {
        return ready;
    }
    let calm = cancel::is_calm();
    let mut awaited = Awaited::new(objects);
    awaited.enter();
    loop {
        let ready = awaited.ready();
        if ready.len() >= count {
            return ready;
        }
        let expired = park_here(Wait::Select, deadline);
        if must_leave(calm) {
            let ready = awaited.ready();
            drop(awaited);
            cancel::throw_after_wait(current::running_fiber(), calm);
            return ready;
        }
        if expired {
            return awaited.ready();
        }
    }
}

fn ready_of(objects: &[&dyn Waitable]) -> Vec<usize> {
    let positions = objects.iter().enumerate();
    let ready = positions.filter(|(_, object)| object.is_ready());
    ready.map(|(position, _)| position).collect()
}

/// A wait in the lists of many objects, each by itself.
struct Awaited<'a> {
    objects: &'a [&'a dyn Waitable],
    /// Neither moves as long as this lives.
    tickets: Box<[Ticket]>,
    places: Box<[Place<()>]>,
    entered: usize,
}

impl<'a> Awaited<'a> {
    fn new(objects: &'a [&'a dyn Waitable]) -> Self {
        let waker = Waker::current();
        let tickets = objects.iter().map(|_| Ticket::single(waker.clone()));
        Self {
            objects,
            tickets: tickets.collect(),
            places: objects.iter().map(|_| Place::default()).collect(),
            entered: 0,
        }
    }

    fn enter(&mut self) {
        for (object, (place, ticket)) in
            (self.objects.iter()).zip(self.places.iter().zip(&self.tickets))
        {
            self.entered += 1;
            // SAFETY: places and tickets are boxed, each is used once, and `drop` leaves all that were entered.
            unsafe { object.enter(place, ticket, 0) };
        }
    }

    /// Those that are ready, and those that have been: an event that was cleared again has granted, and does so once.
    fn ready(&self) -> Vec<usize> {
        let objects = self.objects.iter().zip(&self.tickets).enumerate();
        let ready =
            objects.filter(|(_, (object, ticket))| ticket.granted().is_some() || object.is_ready());
        ready.map(|(position, _)| position).collect()
    }
}

impl Drop for Awaited<'_> {
    fn drop(&mut self) {
        for (object, place) in self.objects.iter().zip(&self.places).take(self.entered) {
            object.leave(place);
        }
    }
}

/// Positions of the objects, each when it is ready; those that are ready at the same time in the order given. Its `next` is a
/// switchpoint.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use kapok::sync::{Waitable, as_completed};
///
/// let fibers = [20, 1, 10].map(|time| kapok::spawn(move || kapok::sleep(Duration::from_millis(time))));
/// let objects = fibers.each_ref().map(|fiber| fiber as &dyn Waitable);
/// assert_eq!(as_completed(&objects).collect::<Vec<_>>(), [1, 2, 0]);
/// ```
#[must_use]
pub fn as_completed<'a>(objects: &'a [&'a dyn Waitable]) -> AsCompleted<'a> {
    AsCompleted {
        left: objects.iter().copied().enumerate().collect(),
    }
}

/// What [`as_completed`] returns.
pub struct AsCompleted<'a> {
    left: Vec<(usize, &'a dyn Waitable)>,
}

impl Iterator for AsCompleted<'_> {
    type Item = usize;

    #[switchpoint(wakes = "an object", cancel = "no object is passed over")]
    fn next(&mut self) -> Option<usize> {
        let objects: Vec<_> = self.left.iter().map(|(_, object)| *object).collect();
        let first = *wait_until(&objects, 1, Deadline::Never).first()?;
        Some(self.left.remove(first).0)
    }
}

impl fmt::Debug for AsCompleted<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("AsCompleted")
            .field("left", &self.left.len())
            .finish_non_exhaustive()
    }
}
