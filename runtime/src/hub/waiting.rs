//! Waiting in lists that threads share: the safe side of [`wait_list`](super::wait_list).

use std::cell::{OnceCell, UnsafeCell};
use std::ptr::NonNull;
use std::time::{Duration, Instant};

use super::sync_facade::{Mutex, MutexGuard, const_unless_loom, park as park_thread, park_timeout};
use super::wait_list::{Ticket, WaitList, Waiter};
use super::waker::Waker;
use super::{cancel, current, park_until};
use crate::fiber::slot::{NEVER, Wait};

/// What threads share, under a lock that is never held while anybody waits or user code runs.
#[derive(Debug)]
pub(crate) struct Lock<S>(Mutex<S>);

impl<S> Lock<S> {
    const_unless_loom! {
        pub(crate) const fn new(state: S) -> Self {
            Self(Mutex::new(state))
        }
    }

    #[inline(always)]
    pub(crate) fn lock(&self) -> MutexGuard<'_, S> {
        // No user code runs under it: what is there is right even if something panicked.
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }
}

/// Until when a call may wait.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Deadline {
    Never,
    /// In the hub's nanoseconds.
    Hub(u64),
    /// For a thread without a hub.
    Thread(Instant),
}

impl Deadline {
    /// The end of a wait of this thread that starts now.
    pub(crate) fn after(timeout: Duration) -> Self {
        match current::existing_hub() {
            Some(hub) => Self::Hub(hub.clock.deadline_after(timeout)),
            None => match Instant::now().checked_add(timeout) {
                Some(end) => Self::Thread(end),
                None => Self::Never,
            },
        }
    }

    pub(crate) fn at(instant: Instant) -> Self {
        match current::existing_hub() {
            Some(hub) => Self::Hub(hub.clock.nanoseconds(instant)),
            None => Self::Thread(instant),
        }
    }
}

/// Parks the running fiber, or this thread if it has no hub. Returns whether the deadline has passed; may return for no reason.
#[inline(always)]
pub(crate) fn park_here(wait: Wait, deadline: Deadline) -> bool {
    match (current::existing_hub(), current::fiber()) {
        (Some(hub), Some(fiber)) => {
            let deadline = match deadline {
                Deadline::Never => NEVER,
                Deadline::Hub(deadline) => deadline,
                // The thread got its hub since: `wait_timeout_while` calls a closure between its waits.
                Deadline::Thread(end) => hub.clock.nanoseconds(end),
            };
            park_until(hub, fiber, wait, deadline)
        }
        _ => park_bare_thread(deadline),
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the thread has no hub that could be blocked"
)]
#[cold]
#[inline(never)]
fn park_bare_thread(deadline: Deadline) -> bool {
    let Deadline::Thread(end) = deadline else {
        park_thread();
        return false;
    };
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return true;
    }
    park_timeout(left);
    false
}

/// Whether a wait that took no effect yet is to be left by unwinding.
#[inline(always)]
pub(crate) fn must_leave(calm: bool) -> bool {
    current::fiber().is_some_and(|fiber| cancel::is_due(fiber, calm))
}

/// How a state takes part in a wait: which of its lists, and what is to be done when a waiter has left it without a grant.
pub(crate) struct Entry<S, P> {
    pub(crate) list: fn(&mut S) -> &mut WaitList<P>,
    /// Called under the lock. What it grants it also wakes.
    pub(crate) left: fn(&mut S),
}

/// Waits in a list until granted, or until the deadline has passed. Returns whether it was granted: the payload is then as the granter
/// left it, and otherwise as it was.
///
/// A cancel unwinds out of here if nothing was granted.
#[inline(always)]
pub(crate) fn wait<S, P>(
    lock: &Lock<S>,
    guard: MutexGuard<'_, S>,
    entry: Entry<S, P>,
    payload: &mut P,
    wait: Wait,
    deadline: Deadline,
) -> bool {
    let calm = cancel::is_calm();
    let ticket = Ticket::single(Waker::current());
    let waiter = Waiter::new(&ticket, 0, NonNull::from(payload));
    let listed = Listed::enter(lock, guard, entry, &ticket, &waiter);
    let mut expired = false;
    while ticket.granted().is_none() {
        // Looked at before the first park too: a caller that waits again may have been cancelled when it was granted the last time.
        let leaves = must_leave(calm);
        if (expired || leaves) && listed.leave() {
            if leaves {
                cancel::throw_after_wait(current::running_fiber(), calm);
            }
            return false;
        }
        expired = park_here(wait, deadline);
    }
    true
}

/// A waiter that is in its list for as long as this lives, unless it is granted.
struct Listed<'a, S, P> {
    lock: &'a Lock<S>,
    entry: Entry<S, P>,
    ticket: &'a Ticket,
    waiter: &'a Waiter<P>,
}

impl<'a, S, P> Listed<'a, S, P> {
    #[inline(always)]
    fn enter(
        lock: &'a Lock<S>,
        mut guard: MutexGuard<'_, S>,
        entry: Entry<S, P>,
        ticket: &'a Ticket,
        waiter: &'a Waiter<P>,
    ) -> Self {
        let listed = Self {
            lock,
            entry,
            ticket,
            waiter,
        };
        // SAFETY: the waiter is new; it and its ticket are borrowed by `listed`, which `wait`, its only user, does not forget, and
        // which takes the waiter out when it is dropped; `wait` has the payload borrowed that long. The list is the locked state's.
        unsafe { (listed.entry.list)(&mut guard).push(waiter) };
        listed
    }

    /// Takes the waiter out. False if it was granted before.
    #[cold]
    #[inline(never)]
    fn leave(&self) -> bool {
        let mut state = self.lock.lock();
        // SAFETY: the only list that this waiter was ever put into.
        let was_in = unsafe { (self.entry.list)(&mut state).remove(self.waiter) };
        if was_in {
            (self.entry.left)(&mut state);
        }
        was_in
    }
}

impl<S, P> Drop for Listed<'_, S, P> {
    #[inline(always)]
    fn drop(&mut self) {
        if self.ticket.granted().is_none() {
            self.leave();
        }
    }
}

/// A place in one list, for who waits in several: the waiter and what it brings or gets.
pub struct Place<P> {
    payload: UnsafeCell<P>,
    waiter: OnceCell<Waiter<P>>,
}

impl<P: Default> Default for Place<P> {
    fn default() -> Self {
        Self {
            payload: UnsafeCell::new(P::default()),
            waiter: OnceCell::new(),
        }
    }
}

impl<P> Place<P> {
    /// Puts the place's waiter into a list, with something to bring. To be called once a place.
    ///
    /// # Safety
    ///
    /// All access to the list is under one lock. Before the place or the ticket is moved or dropped, the waiter has been granted, or the
    /// ticket cannot be granted any more and [`leave`](Self::leave) has been called with the list.
    pub(crate) unsafe fn enter(
        &self,
        list: &mut WaitList<P>,
        payload: P,
        ticket: &Ticket,
        number: u32,
    ) {
        // SAFETY: the waiter is in no list yet, so nobody else looks at the payload.
        unsafe { *self.payload.get() = payload };
        let pointer = NonNull::new(self.payload.get()).expect("a cell's address is not null");
        let entered = self
            .waiter
            .get_or_init(|| Waiter::new(ticket, number, pointer));
        // SAFETY: the waiter is new, as a place is entered once; the rest is the caller's promise.
        unsafe { list.push(entered) };
    }

    /// Takes the waiter out, if it is in, after its wait was decided otherwise. Returns what it has brought.
    pub(crate) fn leave(&self, list: &mut WaitList<P>) -> P
    where
        P: Default,
    {
        if let Some(waiter) = self.waiter.get() {
            // SAFETY: `enter` is called once, so it is in that list or in none; callers have one list a place.
            unsafe { list.remove(waiter) };
        }
        // SAFETY: the waiter is in no list and was not granted, so nobody else looks at the payload.
        std::mem::take(unsafe { &mut *self.payload.get() })
    }

    /// What was brought, or granted. The waiter is in no list any more.
    pub(crate) fn into_payload(self) -> P {
        self.payload.into_inner()
    }
}

impl<P> std::fmt::Debug for Place<P> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Place")
    }
}

#[cfg(all(test, kapok_loom))]
mod tests {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::hub::sync_facade::{Cell, model};
    use crate::hub::wait_list::wake;

    type Slot = Cell<Option<Arc<u32>>>;
    type List = Lock<WaitList<Slot>>;

    /// Waits with a deadline that has passed.
    fn receive(list: &List) -> Option<Arc<u32>> {
        let entry = Entry {
            list: |list| list,
            left: |_| (),
        };
        let mut slot = Cell::new(None);
        let past = Deadline::Thread(Instant::now());
        let granted = wait(list, list.lock(), entry, &mut slot, Wait::Receive, past);
        let message = slot.take();
        assert_eq!(granted, message.is_some());
        message
    }

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

    #[test]
    fn a_message_comes_to_a_wait_or_the_wait_times_out() {
        model(|| {
            let list = Arc::new(List::new(WaitList::new()));
            let giver = {
                let list = Arc::clone(&list);
                thread::spawn(move || give(&list, 1))
            };
            let got = receive(&list);
            assert_eq!(giver.join().unwrap(), got.is_some());
            assert!(list.lock().is_empty());
        });
    }

    #[test]
    fn waits_that_time_out_leave_the_others_in_the_list() {
        model(|| {
            let list = Arc::new(List::new(WaitList::new()));
            let threads = [0, 1].map(|_| {
                let list = Arc::clone(&list);
                thread::spawn(move || receive(&list).is_some())
            });
            let given = give(&list, 1);
            let got = threads.map(|thread| thread.join().unwrap());
            assert_eq!(
                got.into_iter().filter(|got| *got).count(),
                usize::from(given)
            );
            assert!(list.lock().is_empty());
        });
    }
}
