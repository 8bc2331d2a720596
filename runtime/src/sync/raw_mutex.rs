//! The lock inside [`Mutex`](super::Mutex): fair, without a value.
//!
//! One word says how it stands; who waits is in a list beside it. Locking and unlocking without contention is one
//! compare-exchange each. With somebody in the list the owner hands the lock to the first: it is never free in between, so nobody
//! can overtake.

use crate::fiber::slot::Wait;
use crate::hub::sync_facade::{AtomicU32, Ordering, const_unless_loom};
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
    const_unless_loom! {
        pub(super) const fn new() -> Self {
            Self {
                state: AtomicU32::new(FREE),
                waiters: Lock::new(WaitList::new()),
            }
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

#[cfg(all(test, kapok_loom))]
mod tests {
    use std::time::Instant;

    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::hub::sync_facade::{Cell, model};

    /// What it protects; loom tells if two have it at once.
    #[derive(Default)]
    struct Locked {
        raw: RawMutex,
        count: Cell<u32>,
    }

    impl Default for RawMutex {
        fn default() -> Self {
            Self::new()
        }
    }

    impl Locked {
        fn add(&self) {
            self.count.set(self.count.get() + 1);
            self.raw.unlock();
        }
    }

    /// Whether each thread waits until it has the lock, or has a deadline that has passed.
    fn locks(patience: &[bool]) {
        let locked = Arc::new(Locked::default());
        let threads: Vec<_> = (patience.iter().copied())
            .map(|waits| {
                let locked = Arc::clone(&locked);
                thread::spawn(move || {
                    if waits {
                        locked.raw.lock();
                    } else if !locked.raw.try_lock()
                        && !locked.raw.lock_contended(Deadline::Thread(Instant::now()))
                    {
                        return 0;
                    }
                    locked.add();
                    1
                })
            })
            .collect();
        locked.raw.lock();
        locked.add();
        let had = threads.into_iter().map(|thread| thread.join().unwrap());
        let all = had.sum::<u32>() + 1;
        assert!(locked.raw.try_lock(), "it is free in the end");
        assert_eq!(locked.count.get(), all);
        locked.raw.unlock();
    }

    #[test]
    fn two_threads_have_it_one_after_the_other() {
        model(|| locks(&[true]));
    }

    #[test]
    fn it_is_handed_over_or_the_wait_times_out() {
        model(|| locks(&[false]));
    }

    #[test]
    fn three_threads_have_it_one_after_the_other() {
        model(|| locks(&[true, true]));
    }

    #[test]
    fn a_wait_that_times_out_does_not_keep_it_from_the_next() {
        model(|| locks(&[false, true]));
    }
}
