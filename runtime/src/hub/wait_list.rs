//! Who waits for something that threads share: a list through the frames of those who wait, first come, first served.
//!
//! Waiting allocates nothing: a [`Waiter`] lies in the frame of the call that waits, and lists are links between waiters.
//! Whoever has what is waited for takes the first waiter out and **grants**: moves the thing itself (a message, a permit, the
//! ownership of a lock) into the waiter, and only then says so. So nothing is ever on its way: until the grant the giver has
//! it, and after it the waiter has, even if the waiter is cancelled or times out at that moment.
//!
//! # Protocol
//!
//! A list and the links of its waiters are touched under one lock, that of the state the list is part of. A [`Ticket`] says how
//! a wait stands; it is read without the lock by who waits, so that a woken waiter needs no lock to see that it was granted.
//!
//! ```text
//!             grant: claim                    grant: the payload is there
//! WAITING ──────────────────────> CLAIMED ──────────────────────────────────> GRANTED by waiter number n
//!    │  abandon: compare_exchange
//!    └────────────> ABANDONED
//! ```
//!
//! - A wait in **one** list is decided under that list's lock: who is in the list is waiting, who was taken out is granted. It
//!   goes from `WAITING` to `GRANTED` in one store, and gives up by taking itself out.
//! - A wait in **several** lists (a `select`) has a waiter in each and one ticket; two lists may want to grant it at once, and it
//!   may give up at that moment. The compare-exchange on the ticket decides. Waiters of a wait that is decided stay in their
//!   lists until somebody who grants passes them over, or until they are taken out by who made them.
//!
//! # Why the pointers are good
//!
//! A waiter and its ticket live in a frame that is not left, by return or by unwinding, before the waiter is out of its list
//! ([`WaitList::push`]'s contract, kept by `hub::waiting`). A fiber that is leaked with its stack keeps its frames for ever. A
//! granter reads nothing of a waiter after it has stored `GRANTED`: from then on its frame may be gone.

use std::marker::PhantomData;
use std::ptr::NonNull;

use super::sync_facade::{AtomicU32, Cell, Ordering};
use super::waker::Waker;

const WAITING: u32 = 0;
const CLAIMED: u32 = 1;
const ABANDONED: u32 = 2;
/// Plus the number of the waiter that was granted.
const GRANTED: u32 = 3;

/// How a wait stands.
#[derive(Debug)]
pub struct Ticket {
    state: AtomicU32,
    /// It has waiters in several lists.
    is_shared: bool,
    waker: Waker,
}

impl Ticket {
    /// For a wait in one list.
    #[inline(always)]
    pub(crate) fn single(waker: Waker) -> Self {
        Self {
            state: AtomicU32::new(WAITING),
            is_shared: false,
            waker,
        }
    }

    /// For a wait in several lists.
    pub(crate) fn shared(waker: Waker) -> Self {
        let mut ticket = Self::single(waker);
        ticket.is_shared = true;
        ticket
    }

    /// Which waiter was granted, if one was.
    #[inline(always)]
    pub(crate) fn granted(&self) -> Option<u32> {
        self.state.load(Ordering::Acquire).checked_sub(GRANTED)
    }

    /// Gives a wait in several lists up. False if one of them is about to grant, or has.
    pub(crate) fn abandon(&self) -> bool {
        debug_assert!(self.is_shared, "a single wait leaves its list instead");
        let (success, failure) = (Ordering::AcqRel, Ordering::Acquire);
        let given_up = (self.state).compare_exchange(WAITING, ABANDONED, success, failure);
        matches!(given_up, Ok(_) | Err(ABANDONED))
    }

    fn is_waiting(&self) -> bool {
        self.state.load(Ordering::Relaxed) == WAITING
    }

    #[inline(always)]
    fn claim(&self) -> bool {
        !self.is_shared
            || self
                .state
                .compare_exchange(WAITING, CLAIMED, Ordering::AcqRel, Ordering::Acquire)
                .is_ok()
    }
}

/// One wait's place in one list, with what it brings or gets.
///
/// The links are apart from each other: side by side they would be read as one after they were written one by one, and the processor
/// would wait for the writes.
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Waiter<P> {
    previous: Cell<Option<NonNull<Self>>>,
    ticket: NonNull<Ticket>,
    next: Cell<Option<NonNull<Self>>>,
    payload: NonNull<P>,
    number: u32,
    is_linked: Cell<bool>,
}

impl<P> Waiter<P> {
    /// A waiter that is in no list yet. `number` tells it from the others of its ticket.
    #[inline(always)]
    pub(crate) fn new(ticket: &Ticket, number: u32, payload: NonNull<P>) -> Self {
        Self {
            previous: Cell::new(None),
            ticket: NonNull::from(ticket),
            next: Cell::new(None),
            payload,
            number,
            is_linked: Cell::new(false),
        }
    }

    /// Whether it is in its list. To be asked under the list's lock.
    pub(crate) fn is_linked(&self) -> bool {
        self.is_linked.get()
    }
}

/// Who waits, in the order in which they came.
#[derive(Debug)]
pub(crate) struct WaitList<P> {
    first: Option<NonNull<Waiter<P>>>,
    last: Option<NonNull<Waiter<P>>>,
}

// SAFETY: a list is the links to its waiters, which are used by whoever has exclusive access to the list, on any thread: tickets
// are atomics and wakers, which are `Sync`, and payloads move between threads, hence `P: Send`.
unsafe impl<P: Send> Send for WaitList<P> {}

impl<P> WaitList<P> {
    pub(crate) const fn new() -> Self {
        Self {
            first: None,
            last: None,
        }
    }

    #[inline(always)]
    pub(crate) fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Whether somebody waits here who has another ticket.
    pub(crate) fn has_others(&self, ticket: &Ticket) -> bool {
        let mut next = self.first;
        while let Some(link) = next {
            // SAFETY: it is in the list, so it has not been moved or dropped.
            let waiter = unsafe { link.as_ref() };
            // SAFETY: the ticket lives as long as its waiter.
            let its_ticket = unsafe { waiter.ticket.as_ref() };
            if !std::ptr::eq(its_ticket, ticket) && its_ticket.is_waiting() {
                return true;
            }
            next = waiter.next.get();
        }
        false
    }

    /// Puts a waiter at the end.
    ///
    /// # Safety
    ///
    /// The waiter is in no list. Until it has been granted or removed neither it nor its ticket is moved or dropped, its payload is
    /// not touched by who waits, and all access to this list is under one lock.
    #[inline(always)]
    pub(crate) unsafe fn push(&mut self, waiter: &Waiter<P>) {
        let link = NonNull::from(waiter);
        waiter.previous.set(self.last);
        waiter.is_linked.set(true);
        match self.last.replace(link) {
            // SAFETY: it is in the list, so it has not been moved or dropped.
            Some(last) => unsafe { last.as_ref() }.next.set(Some(link)),
            None => self.first = Some(link),
        }
    }

    /// Takes a waiter out. Returns whether it was in.
    ///
    /// # Safety
    ///
    /// If the waiter is in a list it is this one.
    pub(crate) unsafe fn remove(&mut self, waiter: &Waiter<P>) -> bool {
        let was_in = waiter.is_linked();
        if was_in {
            self.unlink(waiter);
        }
        was_in
    }

    /// What the first waiter brings. Of a wait in several lists it may have been decided elsewhere: see [`claim_if`](Self::claim_if).
    pub(crate) fn first(&self) -> Option<&P> {
        // SAFETY: it is in the list, so it has not been moved or dropped.
        let first = unsafe { self.first?.as_ref() };
        // SAFETY: the payload of a waiter in a list is touched under the lock alone, which the caller has.
        Some(unsafe { first.payload.as_ref() })
    }

    /// Takes out the first waiter that still waits, to be granted at once.
    #[inline(always)]
    pub(crate) fn claim(&mut self) -> Option<Claim<'_, P>> {
        self.claim_if(|_| true)
    }

    /// [`claim`](Self::claim), if what it brings is accepted. Nobody behind it is asked instead.
    #[inline(always)]
    pub(crate) fn claim_if(&mut self, accepts: impl Fn(&P) -> bool) -> Option<Claim<'_, P>> {
        loop {
            let first = self.first?;
            // SAFETY: it is in the list, so it has not been moved or dropped.
            let waiter = unsafe { first.as_ref() };
            // SAFETY: the payload of a waiter in a list is touched under the lock alone, which the caller has.
            if !accepts(unsafe { waiter.payload.as_ref() }) {
                return None;
            }
            self.unlink(waiter);
            // SAFETY: the ticket lives as long as its waiter, which waits for this lock before it goes, or for `GRANTED`.
            let ticket = unsafe { waiter.ticket.as_ref() };
            if ticket.claim() {
                return Some(Claim {
                    waiter: first,
                    ticket: waiter.ticket,
                    list: PhantomData,
                });
            }
            // Decided by another list, or given up: its owner only takes it out.
        }
    }

    /// Grants to all and wakes them, under the lock.
    pub(crate) fn grant_all(&mut self) {
        while let Some(claim) = self.claim() {
            wake(claim.grant());
        }
    }

    #[inline(always)]
    fn unlink(&mut self, waiter: &Waiter<P>) {
        let (previous, next) = (waiter.previous.take(), waiter.next.take());
        match previous {
            // SAFETY: it is in the list, so it has not been moved or dropped.
            Some(previous) => unsafe { previous.as_ref() }.next.set(next),
            None => self.first = next,
        }
        match next {
            // SAFETY: as above.
            Some(next) => unsafe { next.as_ref() }.previous.set(previous),
            None => self.last = previous,
        }
        waiter.is_linked.set(false);
    }
}

/// A waiter that was taken out of its list and has to be granted before the lock is released.
#[must_use = "a waiter that was claimed waits for ever if it is not granted"]
pub(crate) struct Claim<'a, P> {
    // Not references: those that a function is given are to be good until it returns, and `grant` outlives what these lead to.
    waiter: NonNull<Waiter<P>>,
    ticket: NonNull<Ticket>,
    list: PhantomData<&'a mut WaitList<P>>,
}

impl<P> Claim<'_, P> {
    #[inline(always)]
    pub(crate) fn payload(&mut self) -> &mut P {
        // SAFETY: the waiter was taken out under the list's lock, and waits for `GRANTED` before it goes.
        let mut payload = unsafe { self.waiter.as_ref() }.payload;
        // SAFETY: who waits does not touch the payload before it has seen `GRANTED`, and there is one claim of a waiter.
        unsafe { payload.as_mut() }
    }

    /// Says that the waiter was granted, and wakes it if it is a fiber of this hub. The waker that is returned is for any other: it is
    /// to be woken when the lock is released.
    #[inline(always)]
    pub(crate) fn grant(self) -> Option<Waker> {
        // SAFETY: the waiter waits for `GRANTED` before it goes, which is stored below.
        let granted = GRANTED + unsafe { self.waiter.as_ref() }.number;
        // SAFETY: the ticket lives as long as its waiter.
        let ticket = unsafe { self.ticket.as_ref() };
        // A fiber of this hub does not run before the caller parks.
        let elsewhere = (!ticket.waker.wake_here()).then(|| ticket.waker.clone());
        ticket.state.store(granted, Ordering::Release);
        elsewhere
    }
}

/// Wakes whom [`Claim::grant`] did not.
#[inline(always)]
pub(crate) fn wake(waker: Option<Waker>) {
    if let Some(waker) = waker {
        waker.wake_elsewhere();
    }
}

// A frame that is left: loom reports any use of a ticket or a waiter that is not known to come before.
#[cfg(kapok_loom)]
impl Drop for Ticket {
    fn drop(&mut self) {
        self.state.with_mut(|state| *state = ABANDONED);
    }
}

#[cfg(kapok_loom)]
impl<P> Drop for Waiter<P> {
    fn drop(&mut self) {
        assert!(!self.is_linked.replace(false), "left while in a list");
        self.previous.set(None);
        self.next.set(None);
    }
}

#[cfg(all(test, kapok_loom))]
mod tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::hub::sync_facade::{model, park};
    use crate::hub::waiting::Lock;

    /// Loom tells if one is lost, and if one is used by two threads at once.
    type Message = Arc<u32>;
    type List = Lock<WaitList<Cell<Option<Message>>>>;

    /// Gives a message to who waits in the list. Returns whether somebody did.
    fn give(list: &List, number: u32) -> bool {
        let mut list = list.lock();
        let Some(mut claim) = list.claim() else {
            return false;
        };
        claim.payload().set(Some(Arc::new(number)));
        let waker = claim.grant();
        drop(list);
        wake(waker);
        true
    }

    fn two_lists() -> Arc<[List; 2]> {
        Arc::new([Lock::new(WaitList::new()), Lock::new(WaitList::new())])
    }

    fn spawn_giver(lists: &Arc<[List; 2]>, number: u32) -> thread::JoinHandle<bool> {
        let lists = Arc::clone(lists);
        thread::spawn(move || give(&lists[number as usize], number))
    }

    /// Waits in both lists, as a `select` does, and gives up unless it is about to be granted, or `stays`. Returns what it got.
    fn wait_in_both(lists: &[List; 2], stays: bool, meanwhile: impl FnOnce()) -> Option<Message> {
        let ticket = Ticket::shared(Waker::current());
        let slots = [Cell::new(None), Cell::new(None)];
        let waiters = [0, 1]
            .map(|number| Waiter::new(&ticket, number, NonNull::from(&slots[number as usize])));
        for (list, waiter) in lists.iter().zip(&waiters) {
            // SAFETY: it is new, and is taken out below, before its ticket and its payload go.
            unsafe { list.lock().push(waiter) };
        }
        meanwhile();
        let mut granted = None;
        if stays || !ticket.abandon() {
            granted = loop {
                match ticket.granted() {
                    None => park(),
                    number => break number,
                }
            };
        }
        for (number, (list, waiter)) in lists.iter().zip(&waiters).enumerate() {
            if granted != Some(number as u32) {
                // SAFETY: it was put into this list.
                unsafe { list.lock().remove(waiter) };
            }
        }
        let [first, second] = slots.each_ref().map(Cell::take);
        match granted {
            Some(0) => assert!(first.is_some() && second.is_none()),
            Some(_) => assert!(first.is_none() && second.is_some()),
            None => assert!(first.is_none() && second.is_none()),
        }
        first.or(second)
    }

    #[test]
    fn one_of_two_givers_grants_and_the_other_keeps_what_it_has() {
        model(|| {
            let lists = two_lists();
            let mut givers = None;
            let got = wait_in_both(&lists, true, || {
                givers = Some([0, 1].map(|number| spawn_giver(&lists, number)));
            });
            let given = givers.unwrap().map(|giver| giver.join().unwrap());
            assert_eq!(given, [*got.clone().unwrap() == 0, *got.unwrap() == 1]);
        });
    }

    #[test]
    fn a_wait_that_is_given_up_gets_nothing_and_one_that_is_not_gets_it() {
        model(|| {
            let lists = two_lists();
            let givers = [0, 1].map(|number| spawn_giver(&lists, number));
            let got = wait_in_both(&lists, false, || ());
            let given = givers.map(|giver| giver.join().unwrap());
            let number = got.map(|message| *message);
            assert_eq!(given, [number == Some(0), number == Some(1)]);
        });
    }

    #[test]
    fn who_looks_for_others_may_look_at_one_that_is_decided_elsewhere() {
        model(|| {
            let lists = two_lists();
            let giver = spawn_giver(&lists, 0);
            let looking = {
                let lists = Arc::clone(&lists);
                thread::spawn(move || {
                    let mine = Ticket::shared(Waker::current());
                    lists[1].lock().has_others(&mine);
                })
            };
            let got = wait_in_both(&lists, false, || ());
            assert_eq!(giver.join().unwrap(), got.is_some());
            looking.join().unwrap();
            let mine = Ticket::shared(Waker::current());
            assert!(!lists[1].lock().has_others(&mine));
        });
    }
}
