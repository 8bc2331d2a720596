//! The branches of locks, channels and time. Those of other things are where these are.

use std::cell::RefCell;
use std::time::{Duration, Instant};

use super::Branch;
use crate::hub::wait_list::Ticket;
use crate::hub::waiting::Place;
use crate::sync::channel::{Receiver, RecvError, SendError, Sender, TryRecvError, TrySendError};
use crate::sync::waitable::{Sealed, Waitable};

/// Receives: a message of a channel, a broadcast or a oneshot, an item of a queue, or a signal.
///
/// Gives what the method `recv` of the receiver returns, such as an error if all senders and messages are gone.
pub fn recv<R: Receive>(receiver: R) -> R::Branch {
    receiver.into_branch()
}

/// What [`recv`] receives from.
#[diagnostic::on_unimplemented(
    message = "`select!` cannot receive from `{Self}`",
    note = "`recv` takes `&receiver` of a channel, `&mut receiver` of a broadcast or a oneshot, `&queue`, or `&signals`; for a watch there \
            is `changed(&mut receiver)`"
)]
pub trait Receive {
    /// The branch for it.
    type Branch: Branch;

    /// Makes the branch.
    fn into_branch(self) -> Self::Branch;
}

impl<'a, T> Receive for &'a Receiver<T> {
    type Branch = Recv<'a, T>;

    fn into_branch(self) -> Recv<'a, T> {
        Recv { receiver: self }
    }
}

/// What [`recv`] returns for a channel.
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

    fn granted(&self, place: Self::Place) -> Option<Self::Output> {
        Some(place.into_payload().ok_or(RecvError))
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

    fn granted(&self, place: Self::Place) -> Option<Self::Output> {
        let unsent = place.into_payload();
        Some(unsent.map_or(Ok(()), |unsent| Err(SendError(unsent))))
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

    fn granted(&self, _: Self::Place) -> Option<()> {
        Some(())
    }
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

    fn granted(&self, _: Self::Place) -> Option<()> {
        Some(())
    }

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

    fn granted(&self, place: B::Place) -> Option<B::Output> {
        let branch = self.as_ref();
        branch
            .expect("invariant: a branch that is none is never entered")
            .granted(place)
    }

    fn deadline(&self) -> Option<Instant> {
        self.as_ref().and_then(Branch::deadline)
    }
}
