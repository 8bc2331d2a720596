//! Waiting for the first of several things, with [`select!`](crate::select!).
//!
//! A branch is what one waits for. Only the branch that is taken has an effect: a message is received or sent by it alone, and a
//! cancel in the middle leaves all as it was.
//!
//! # How
//!
//! First all branches are tried, in their order. If none is ready each is entered in its list, with one ticket for all; whoever
//! grants first decides (see `hub/wait_list.rs`). What is not granted but only reported, such as the end of a fiber of this hub,
//! is looked at whenever the fiber is woken, and may only be taken if the ticket could be given up.

use std::cell::RefCell;
use std::convert::Infallible;
use std::time::{Duration, Instant};

use kapok_macros::switchpoint_runtime as switchpoint;

use super::channel::{Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError};
use super::waitable::{Sealed, Waitable};
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::cancel;
use crate::hub::current;
use crate::hub::wait_list::Ticket;
use crate::hub::waiting::{Deadline, Place, must_leave, park_here};
use crate::hub::waker::Waker;

/// Something that [`select!`](crate::select!) can wait for. Only kapok's types implement it; `None` of an `Option` is never ready.
///
/// ```compile_fail,E0277
/// struct Mine;
/// impl kapok::sync::select::Branch for Mine {}
/// ```
pub trait Branch: Sealed {
    /// What the branch gives when it is taken.
    type Output;
    #[doc(hidden)]
    type Place: Default;

    /// Takes the branch if that needs no waiting.
    #[doc(hidden)]
    fn try_take(&self) -> Option<Self::Output>;

    /// Enters the branch's list. False if it is ready now.
    ///
    /// # Safety
    ///
    /// Before the place or the ticket is moved or dropped, this branch is granted, or [`leave`](Self::leave) is called with the place. A
    /// place is used once.
    #[doc(hidden)]
    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool;

    /// Takes back what `enter` has done, if it was called. Another branch was granted, or the ticket was given up.
    #[doc(hidden)]
    fn leave(&self, place: &Self::Place);

    /// Whether it is ready without a grant.
    #[doc(hidden)]
    fn is_reported(&self) -> bool {
        false
    }

    /// The output of a branch that was granted.
    #[doc(hidden)]
    fn granted(&self, place: Self::Place) -> Self::Output;

    /// When it becomes ready by itself.
    #[doc(hidden)]
    fn deadline(&self) -> Option<Instant> {
        None
    }
}

/// Receives a message; an error if all senders and messages are gone.
pub fn recv<T>(receiver: &Receiver<T>) -> Recv<'_, T> {
    Recv { receiver }
}

/// What [`recv`] returns.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct Recv<'a, T> {
    receiver: &'a Receiver<T>,
}

impl<T> Sealed for Recv<'_, T> {}

impl<T> Branch for Recv<'_, T> {
    type Output = Result<T, RecvError>;
    type Place = Place<Option<T>>;

    fn try_take(&self) -> Option<Self::Output> {
        match self.receiver.try_recv() {
            Ok(message) => Some(Ok(message)),
            Err(TryRecvError::Disconnected) => Some(Err(RecvError)),
            Err(TryRecvError::Empty) => None,
        }
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        let shared = self.receiver.shared();
        let mut state = shared.state.lock();
        if shared.can_receive(&state, ticket) {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.receivers, None, ticket, number) };
        true
    }

    fn leave(&self, place: &Self::Place) {
        place.leave(&mut self.receiver.shared().state.lock().receivers);
    }

    fn granted(&self, place: Self::Place) -> Self::Output {
        place.into_payload().ok_or(RecvError)
    }
}

/// Sends the message in `message`, and leaves `None` there. With `None` the branch is never ready. An error if all receivers are gone.
pub fn send<'a, T>(sender: &'a Sender<T>, message: &'a mut Option<T>) -> Send<'a, T> {
    Send {
        sender,
        message: RefCell::new(message),
    }
}

/// What [`send`] returns.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct Send<'a, T> {
    sender: &'a Sender<T>,
    message: RefCell<&'a mut Option<T>>,
}

impl<T> Sealed for Send<'_, T> {}

impl<T> Branch for Send<'_, T> {
    type Output = Result<(), SendError<T>>;
    type Place = Place<Option<T>>;

    fn try_take(&self) -> Option<Self::Output> {
        let mut message = self.message.borrow_mut();
        match self.sender.try_send(message.take()?) {
            Ok(()) => Some(Ok(())),
            Err(TrySendError::Disconnected(message)) => Some(Err(SendError(message))),
            Err(TrySendError::Full(unsent)) => {
                **message = Some(unsent);
                None
            }
        }
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        let mut message = self.message.borrow_mut();
        if message.is_none() {
            return true; // never ready
        }
        let shared = self.sender.shared();
        let mut state = shared.state.lock();
        if state.can_send(shared.capacity, ticket) {
            return false;
        }
        // SAFETY: the list is used under this lock alone, and the caller promises the rest.
        unsafe { place.enter(&mut state.senders, message.take(), ticket, number) };
        true
    }

    fn leave(&self, place: &Self::Place) {
        let unsent = place.leave(&mut self.sender.shared().state.lock().senders);
        let mut message = self.message.borrow_mut();
        if unsent.is_some() {
            **message = unsent;
        }
    }

    fn granted(&self, place: Self::Place) -> Self::Output {
        place
            .into_payload()
            .map_or(Ok(()), |unsent| Err(SendError(unsent)))
    }
}

/// Ready when the object is: a handle's fiber has ended, an event is set. Takes nothing; a handle can be joined then.
pub fn ready<W: Waitable + ?Sized>(object: &W) -> Ready<'_, W> {
    Ready { object }
}

/// What [`ready`] returns.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct Ready<'a, W: ?Sized> {
    object: &'a W,
}

impl<W: Waitable + ?Sized> Sealed for Ready<'_, W> {}

impl<W: Waitable + ?Sized> Branch for Ready<'_, W> {
    type Output = ();
    type Place = Place<()>;

    fn try_take(&self) -> Option<()> {
        self.object.is_ready().then_some(())
    }

    unsafe fn enter(&self, place: &Self::Place, ticket: &Ticket, number: u32) -> bool {
        // SAFETY: the same promise.
        unsafe { self.object.enter(place, ticket, number) }
    }

    fn leave(&self, place: &Self::Place) {
        self.object.leave(place);
    }

    fn is_reported(&self) -> bool {
        self.object.is_ready()
    }

    fn granted(&self, _: Self::Place) {}
}

/// Ready when `duration` is over, counted from now.
pub fn after(duration: Duration) -> At {
    At {
        // So far away that it is never.
        instant: Instant::now().checked_add(duration),
    }
}

/// Ready at an instant.
pub fn at(instant: Instant) -> At {
    At {
        instant: Some(instant),
    }
}

/// What [`after`] and [`at`] return.
#[derive(Debug)]
#[must_use = "it is for `select!`"]
pub struct At {
    instant: Option<Instant>,
}

impl Sealed for At {}

impl Branch for At {
    type Output = ();
    type Place = ();

    fn try_take(&self) -> Option<()> {
        let instant = self.instant?;
        (instant <= Instant::now()).then_some(())
    }

    unsafe fn enter(&self, _: &Self::Place, _: &Ticket, _: u32) -> bool {
        true
    }

    fn leave(&self, _: &Self::Place) {}

    fn granted(&self, _: Self::Place) {}

    fn deadline(&self) -> Option<Instant> {
        self.instant
    }
}

impl<B: Branch> Sealed for Option<B> {}

impl<B: Branch> Branch for Option<B> {
    type Output = B::Output;
    type Place = B::Place;

    fn try_take(&self) -> Option<B::Output> {
        self.as_ref()?.try_take()
    }

    unsafe fn enter(&self, place: &B::Place, ticket: &Ticket, number: u32) -> bool {
        match self {
            // SAFETY: the same promise.
            Some(branch) => unsafe { branch.enter(place, ticket, number) },
            None => true,
        }
    }

    fn leave(&self, place: &B::Place) {
        if let Some(branch) = self {
            branch.leave(place);
        }
    }

    fn is_reported(&self) -> bool {
        self.as_ref().is_some_and(Branch::is_reported)
    }

    fn granted(&self, place: B::Place) -> B::Output {
        let branch = self.as_ref();
        branch
            .expect("invariant: a branch that is none is never entered")
            .granted(place)
    }

    fn deadline(&self) -> Option<Instant> {
        self.as_ref().and_then(Branch::deadline)
    }
}

/// The output of the first branch, or of one of the others.
#[derive(Debug)]
pub enum Either<A, B> {
    /// The first was taken.
    First(A),
    /// One of the others was.
    Rest(B),
}

/// A list of branches: pairs that end in `()`.
#[doc(hidden)]
pub trait Branches: Sealed {
    type Outcome;
    type Places: Default;

    fn try_take(&self) -> Option<Self::Outcome>;
    /// # Safety
    ///
    /// As for [`Branch::enter`].
    unsafe fn enter(&self, places: &Self::Places, ticket: &Ticket, number: u32) -> bool;
    fn leave(&self, places: &Self::Places, granted: Option<u32>);
    fn is_reported(&self) -> bool;
    fn granted(&self, places: Self::Places, number: u32) -> Self::Outcome;
    fn deadline(&self) -> Option<Instant>;
}

impl Sealed for () {}

impl Branches for () {
    type Outcome = Infallible;
    type Places = ();

    fn try_take(&self) -> Option<Infallible> {
        None
    }

    unsafe fn enter(&self, (): &(), _: &Ticket, _: u32) -> bool {
        true
    }

    fn leave(&self, (): &(), _: Option<u32>) {}

    fn is_reported(&self) -> bool {
        false
    }

    fn granted(&self, (): (), number: u32) -> Infallible {
        unreachable!("there is no branch {number} more")
    }

    fn deadline(&self) -> Option<Instant> {
        None
    }
}

impl<B: Branch, R: Branches> Sealed for (B, R) {}

impl<B: Branch, R: Branches> Branches for (B, R) {
    type Outcome = Either<B::Output, R::Outcome>;
    type Places = (B::Place, R::Places);

    fn try_take(&self) -> Option<Self::Outcome> {
        match self.0.try_take() {
            Some(output) => Some(Either::First(output)),
            None => self.1.try_take().map(Either::Rest),
        }
    }

    unsafe fn enter(&self, places: &Self::Places, ticket: &Ticket, number: u32) -> bool {
        // SAFETY: the same promise.
        let waits = unsafe { self.0.enter(&places.0, ticket, number) };
        // SAFETY: the same promise.
        waits && unsafe { self.1.enter(&places.1, ticket, number + 1) }
    }

    fn leave(&self, places: &Self::Places, granted: Option<u32>) {
        if granted != Some(0) {
            self.0.leave(&places.0);
        }
        let granted = granted.and_then(|number| number.checked_sub(1));
        self.1.leave(&places.1, granted);
    }

    fn is_reported(&self) -> bool {
        self.0.is_reported() || self.1.is_reported()
    }

    fn granted(&self, places: Self::Places, number: u32) -> Self::Outcome {
        match number {
            0 => Either::First(self.0.granted(places.0)),
            _ => Either::Rest(self.1.granted(places.1, number - 1)),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let (first, rest) = (self.0.deadline(), self.1.deadline());
        first.into_iter().chain(rest).min()
    }
}

/// One attempt to wait for all branches: entered until this is dropped.
struct Attempt<'a, B: Branches> {
    branches: &'a B,
    places: &'a B::Places,
    ticket: &'a Ticket,
}

impl<B: Branches> Drop for Attempt<'_, B> {
    fn drop(&mut self) {
        // Only if the wait is broken off by a panic is it undecided, and then somebody may be about to grant.
        while self.ticket.granted().is_none() && !self.ticket.abandon() {
            std::thread::yield_now();
        }
        self.branches.leave(self.places, self.ticket.granted());
    }
}

/// What `select!` calls. Without a branch that is ready, and if it may not wait, returns nothing.
#[doc(hidden)]
#[switchpoint(
    wakes = "the first branch that is ready",
    cancel = "no branch is taken"
)]
pub fn select<B: Branches>(branches: &B) -> B::Outcome {
    let deadline = branches.deadline().map_or(Deadline::Never, Deadline::at);
    loop {
        if let Some(outcome) = branches.try_take() {
            hub::spend_here();
            return outcome;
        }
        if let Some(outcome) = wait_once(branches, deadline) {
            return outcome;
        }
    }
}

/// Tries all branches and does not wait.
#[doc(hidden)]
pub fn try_select<B: Branches>(branches: &B) -> Option<B::Outcome> {
    branches.try_take()
}

/// Waits until one branch is granted and returns it, or until one may be ready.
fn wait_once<B: Branches>(branches: &B, deadline: Deadline) -> Option<B::Outcome> {
    let calm = cancel::is_calm();
    let ticket = Ticket::shared(Waker::current());
    let places = B::Places::default();
    let attempt = Attempt {
        branches,
        places: &places,
        ticket: &ticket,
    };
    // SAFETY: `attempt`, which is not forgotten, leaves before ticket and places are dropped; they are new and are not moved.
    let mut waits = unsafe { branches.enter(&places, &ticket, 0) };
    let number = loop {
        if let Some(number) = ticket.granted() {
            break number;
        }
        let leaves = must_leave(calm);
        let stays = waits && !leaves && !branches.is_reported();
        if !stays && ticket.abandon() {
            drop(attempt);
            if leaves {
                cancel::throw_after_wait(current::running_fiber(), calm);
            }
            return None;
        }
        // What cannot be given up is about to be granted, or was: that wakes.
        let deadline = if stays { deadline } else { Deadline::Never };
        waits = !park_here(Wait::Select, deadline);
    };
    drop(attempt);
    Some(branches.granted(places, number))
}

#[cfg(all(test, kapok_loom))]
mod tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::super::channel::bounded;
    use super::*;
    use crate::hub::sync_facade::model;

    type Message = Arc<u32>;

    #[test]
    fn one_of_two_messages_is_taken_and_the_other_stays() {
        model(|| {
            let (senders, receivers): (Vec<_>, Vec<_>) =
                (0..2).map(|_| bounded::<Message>(1)).unzip();
            let threads = senders.into_iter().zip(0..).map(|(sender, number)| {
                thread::spawn(move || {
                    sender.try_send(Arc::new(number)).unwrap();
                    sender // the channel does not end meanwhile
                })
            });
            let threads: Vec<_> = threads.collect();
            let taken = match select(&(recv(&receivers[0]), (recv(&receivers[1]), ()))) {
                Either::First(message) => *message.unwrap() as usize,
                Either::Rest(Either::First(message)) => *message.unwrap() as usize,
                Either::Rest(Either::Rest(never)) => match never {},
            };
            let _senders: Vec<_> = (threads.into_iter())
                .map(|thread| thread.join().unwrap())
                .collect();
            assert!(receivers[taken].try_recv().is_err());
            assert_eq!(*receivers[1 - taken].try_recv().unwrap(), 1 - taken as u32);
        });
    }

    #[test]
    fn a_select_that_is_left_takes_nothing() {
        model(|| {
            let (sender, receiver) = bounded::<Message>(1);
            let thread = thread::spawn(move || {
                sender.try_send(Arc::new(1)).unwrap();
                sender
            });
            let past = Deadline::Thread(Instant::now());
            let taken = wait_once(&(recv(&receiver), ()), past).is_some();
            let _sender = thread.join().unwrap();
            assert_eq!(receiver.try_recv().is_ok(), !taken);
        });
    }

    #[test]
    fn two_who_send_or_receive_serve_each_other_but_nobody_himself() {
        model(|| {
            let (sender, receiver) = bounded::<Message>(0);
            let both = move |sender: Sender<Message>, receiver: Receiver<Message>| {
                let mut message = Some(Arc::new(1));
                match select(&(send(&sender, &mut message), (recv(&receiver), ()))) {
                    Either::First(sent) => {
                        sent.unwrap();
                        (0, sender, receiver)
                    }
                    _ => (1, sender, receiver),
                }
            };
            let thread = {
                let (sender, receiver) = (sender.clone(), receiver.clone());
                thread::spawn(move || both(sender, receiver))
            };
            let (received, _sender, _receiver) = both(sender, receiver);
            let (other, _its_sender, _its_receiver) = thread.join().unwrap();
            assert_eq!(received + other, 1);
        });
    }
}
