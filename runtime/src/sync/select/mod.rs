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

mod branches;

use std::convert::Infallible;
use std::time::Instant;

use kapok_macros::switchpoint_runtime as switchpoint;

use super::waitable::Sealed;
use crate::fiber::slot::Wait;
use crate::hub;
use crate::hub::cancel;
use crate::hub::current;
use crate::hub::wait_list::Ticket;
use crate::hub::waiting::{Deadline, must_leave, park_here};
use crate::hub::waker::Waker;

pub use super::broadcast::RecvNext;
pub use super::notify::{Notified, notified};
pub use super::oneshot::RecvOne;
pub use super::queue::Get;
pub use super::semaphore::{Acquire, acquire};
pub use super::watch::{Changed, changed};
pub use branches::{At, Ready, Receive, Recv, Send, after, at, ready, recv, send};

/// Something that [`select!`](crate::select!) can wait for. Only kapok's types implement it; `None` of an `Option` is never ready.
///
/// ```compile_fail,E0277
/// struct Mine;
/// impl kapok::sync::select::Branch for Mine {}
/// ```
#[diagnostic::on_unimplemented(
    message = "`select!` cannot wait for `{Self}`",
    note = "a branch is `recv(&receiver)`, `send(&sender, &mut message)`, `changed(&mut watch)`, `ready(&handle)`, \
            `notified(&notify)`, `acquire(&semaphore)`, `readable(&socket)`, `writable(&socket)`, `after(duration)`, \
            `at(instant)`, or an `Option` of these"
)]
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

    /// The output of a branch that was granted; none if somebody else was faster to take what the grant told of.
    #[doc(hidden)]
    fn granted(&self, place: Self::Place) -> Option<Self::Output>;

    /// When it becomes ready by itself.
    #[doc(hidden)]
    fn deadline(&self) -> Option<Instant> {
        None
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
    type Places;

    fn places(&self) -> Self::Places;
    fn try_take(&self) -> Option<Self::Outcome>;
    /// # Safety
    ///
    /// As for [`Branch::enter`].
    unsafe fn enter(&self, places: &Self::Places, ticket: &Ticket, number: u32) -> bool;
    fn leave(&self, places: &Self::Places, granted: Option<u32>);
    fn is_reported(&self) -> bool;
    fn granted(&self, places: Self::Places, number: u32) -> Option<Self::Outcome>;
    fn deadline(&self) -> Option<Instant>;
}

impl Sealed for () {}

impl Branches for () {
    type Outcome = Infallible;
    type Places = ();

    fn places(&self) {}

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

    fn granted(&self, (): (), number: u32) -> Option<Infallible> {
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

    fn places(&self) -> Self::Places {
        (B::Place::default(), self.1.places())
    }

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

    fn granted(&self, places: Self::Places, number: u32) -> Option<Self::Outcome> {
        match number.checked_sub(1) {
            None => self.0.granted(places.0).map(Either::First),
            Some(number) => self.1.granted(places.1, number).map(Either::Rest),
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let (first, rest) = (self.0.deadline(), self.1.deadline());
        first.into_iter().chain(rest).min()
    }
}

impl<B: Branch> Sealed for [B] {}

impl<B: Branch> Branches for [B] {
    type Outcome = (usize, B::Output);
    type Places = Vec<B::Place>;

    fn places(&self) -> Self::Places {
        self.iter().map(|_| B::Place::default()).collect()
    }

    fn try_take(&self) -> Option<Self::Outcome> {
        let mut branches = self.iter().enumerate();
        branches.find_map(|(position, branch)| Some((position, branch.try_take()?)))
    }

    unsafe fn enter(&self, places: &Self::Places, ticket: &Ticket, number: u32) -> bool {
        let mut numbered = self.iter().zip(places).zip(number..);
        numbered.all(|((branch, place), number)| {
            // SAFETY: the same promise.
            unsafe { branch.enter(place, ticket, number) }
        })
    }

    fn leave(&self, places: &Self::Places, granted: Option<u32>) {
        for ((branch, place), number) in self.iter().zip(places).zip(0..) {
            if granted != Some(number) {
                branch.leave(place);
            }
        }
    }

    fn is_reported(&self) -> bool {
        self.iter().any(Branch::is_reported)
    }

    fn granted(&self, places: Self::Places, number: u32) -> Option<Self::Outcome> {
        let position = number as usize;
        let place = places.into_iter().nth(position)?;
        Some((position, self[position].granted(place)?))
    }

    fn deadline(&self) -> Option<Instant> {
        self.iter().filter_map(Branch::deadline).min()
    }
}

/// One attempt to wait for all branches: entered until this is dropped.
struct Attempt<'a, B: Branches + ?Sized> {
    branches: &'a B,
    places: &'a B::Places,
    ticket: &'a Ticket,
}

impl<B: Branches + ?Sized> Drop for Attempt<'_, B> {
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
pub fn select<B: Branches + ?Sized>(branches: &B) -> B::Outcome {
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
pub fn try_select<B: Branches + ?Sized>(branches: &B) -> Option<B::Outcome> {
    branches.try_take()
}

/// Waits for the first of any number of branches of one kind, and returns its position with what it gives. With none it waits for ever.
///
/// Costs an allocation, and a look at each branch before and after the wait.
///
/// # Examples
///
/// ```
/// use kapok::sync::{channel, select};
///
/// let (senders, receivers): (Vec<_>, Vec<_>) = (0..10).map(|_| channel::unbounded()).unzip();
/// senders[7].send("hello").unwrap();
/// let branches: Vec<_> = receivers.iter().map(select::recv).collect();
/// assert_eq!(select::first_of(&branches), (7, Ok("hello")));
/// ```
#[switchpoint(
    wakes = "the first branch that is ready",
    cancel = "no branch is taken"
)]
pub fn first_of<B: Branch>(branches: &[B]) -> (usize, B::Output) {
    select(branches)
}

/// Waits until one branch is granted and returns it, or until one may be ready.
fn wait_once<B: Branches + ?Sized>(branches: &B, deadline: Deadline) -> Option<B::Outcome> {
    let calm = cancel::is_calm();
    let ticket = Ticket::shared(Waker::current());
    let places = branches.places();
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
    branches.granted(places, number)
}

#[cfg(all(test, kapok_loom))]
mod tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::hub::sync_facade::model;
    use crate::sync::channel::{Receiver, Sender, bounded};

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
