//! The lock inside [`Mutex`](super::Mutex): fair, without a value.
//!
//! One word says how it stands; who waits is in a list beside it. Locking and unlocking without contention is one
//! compare-exchange each. With somebody in the list the owner hands the lock to the first: it is never free in between, so nobody
//! can overtake.

use std::sync::atomic::{AtomicU32, Ordering};

use crate::fiber::slot::Wait;
use crate::hub::wait_list::{Claim, WaitList, wake};
use crate::hub::waiting::{Deadline, Entry, Lock, wait};

const FREE: u32 = 0;
const LOCKED: u32 = 1;
/// Locked, and somebody is in the list: changed under the list's lock alone.
const AWAITED: u32 = 2;

#[derive(Debug)]
pub(super) struct RawMutex {
    state: AtomicU32,
    waiters: Lock<WaitList<()>>,
}

impl RawMutex {
    pub(super) const fn new() -> Self {
        Self {
            state: AtomicU32::new(FREE),
            waiters: Lock::new(WaitList::new()),
        }
    }

    #[inline(always)]
    pub(super) fn try_lock(&self) -> bool {
        self.state
            .compare_exchange(FREE, LOCKED, Ordering::Acquire, Ordering::Relaxed)
            .is_ok()
    }

    #[inline(always)]
    pub(super) fn lock(&self) {
        if !self.try_lock() {
            self.lock_contended(Deadline::Never);
        }
    }

    /// Returns whether it was locked before the deadline.
    #[inline(never)]
    pub(super) fn lock_contended(&self, deadline: Deadline) -> bool {
        let waiters = self.waiters.lock();
        loop {
            let state = self.state.load(Ordering::Relaxed);
            let next = if state == FREE { LOCKED } else { AWAITED };
            let changed =
                self.state
                    .compare_exchange(state, next, Ordering::Acquire, Ordering::Relaxed);
            match changed {
                Ok(FREE) => return true,
                Ok(_) => break,
                Err(_) => {} // locked or unlocked meanwhile
            }
        }
        let entry = Entry {
            list: |waiters| waiters,
            // The owner finds an empty list.
            left: |_| (),
        };
        wait(&self.waiters, waiters, entry, &mut (), Wait::Lock, deadline)
    }

    /// To be called by the owner.
    #[inline(always)]
    pub(super) fn unlock(&self) {
        let freed = self
            .state
            .compare_exchange(LOCKED, FREE, Ordering::Release, Ordering::Relaxed);
        if freed.is_err() {
            self.hand_over();
        }
    }

    #[inline(never)]
    fn hand_over(&self) {
        let mut waiters = self.waiters.lock();
        // A grant makes what was done under the lock visible to who is granted.
        let next = waiters.claim();
        let state = if next.is_some() { LOCKED } else { FREE };
        let waker = next.and_then(Claim::grant);
        if waiters.is_empty() {
            self.state.store(state, Ordering::Release);
        }
        drop(waiters);
        wake(waker);
    }
}
