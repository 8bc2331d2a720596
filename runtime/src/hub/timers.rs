//! Deadlines of a hub's fibers. Those of its tasks are in `task_timers`.
//!
//! A fiber has **one** timer, whatever it waits for: its own park deadline and the deadline scopes on its stack share it. It
//! is lazy: a timer that is armed earlier than needed stays where it is, and when it fires the hub looks at what the fiber
//! waits for now. So a read with a timeout that returns in time costs no heap operation at all, and a fiber that reads in a
//! loop moves its timer once a timeout, not once a read.

use std::cell::{Cell, RefCell};

use super::deadline_heap::{DeadlineHeap, Placed};
use super::task_timers::TaskTimers;
use crate::fiber::FiberSlot;
use crate::fiber::slot::NEVER;

pub(crate) struct Timers {
    fibers: RefCell<DeadlineHeap<&'static FiberSlot>>,
    pub(super) tasks: TaskTimers,
    /// When the hub looks at its warm stacks; [`NEVER`] if there are few.
    pub(super) trim: Cell<u64>,
}

impl Default for Timers {
    fn default() -> Self {
        Self {
            fibers: RefCell::default(),
            tasks: TaskTimers::default(),
            trim: Cell::new(NEVER),
        }
    }
}

impl Placed for &'static FiberSlot {
    fn place(&self, position: u32) {
        self.timer_index.set(position);
    }
}

impl Timers {
    /// Makes the fiber's timer fire at `deadline` or earlier.
    #[inline(always)]
    pub(crate) fn arm(&self, fiber: &'static FiberSlot, deadline: u64) {
        if deadline < fiber.timer.get() {
            self.move_up(fiber, deadline);
        }
    }

    #[inline(never)]
    fn move_up(&self, fiber: &'static FiberSlot, deadline: u64) {
        let mut fibers = self.fibers.borrow_mut();
        match fiber.timer.replace(deadline) {
            NEVER => fibers.insert(deadline, fiber),
            _ => fibers.move_up(fiber.timer_index.get(), deadline),
        }
    }

    /// Takes the fiber's timer out, if it has one.
    pub(crate) fn disarm(&self, fiber: &FiberSlot) {
        if fiber.timer.replace(NEVER) != NEVER {
            self.fibers.borrow_mut().remove(fiber.timer_index.get());
        }
    }

    /// Takes out a fiber whose timer fires at `now` or earlier.
    pub(crate) fn pop_due(&self, now: u64) -> Option<&'static FiberSlot> {
        let fiber = self.fibers.borrow_mut().pop_due(now)?;
        fiber.timer.set(NEVER);
        Some(fiber)
    }

    #[inline]
    pub(crate) fn earliest(&self) -> Option<u64> {
        let fibers = self.fibers.borrow().earliest();
        match self.tasks.earliest().min(self.trim.get()) {
            NEVER => fibers,
            others => Some(fibers.map_or(others, |fibers| fibers.min(others))),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.fibers.borrow().is_empty() && self.tasks.earliest().min(self.trim.get()) == NEVER
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slab::Slab;

    /// A small generator, so that a failure can be repeated.
    fn random(state: &mut u64) -> u64 {
        *state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        *state >> 33
    }

    #[test]
    fn fires_in_order_whatever_is_armed_moved_and_disarmed() {
        let (slab, timers, mut state) = (Slab::<FiberSlot>::new(), Timers::default(), 7);
        let fibers: Vec<_> = (0..2000).map(|_| slab.take()).collect();
        let mut expected = vec![None; fibers.len()];
        for _ in 0..20_000 {
            let which = random(&mut state) as usize % fibers.len();
            if random(&mut state).is_multiple_of(4) {
                timers.disarm(fibers[which]);
                expected[which] = None;
            } else {
                let deadline = random(&mut state) % 5000;
                timers.arm(fibers[which], deadline);
                expected[which] =
                    Some(expected[which].map_or(deadline, |armed: u64| armed.min(deadline)));
            }
        }
        let mut deadlines: Vec<u64> = expected.iter().flatten().copied().collect();
        deadlines.sort_unstable();
        for deadline in deadlines {
            assert_eq!(timers.earliest(), Some(deadline));
            if deadline > 0 {
                assert!(timers.pop_due(deadline - 1).is_none());
            }
            let fiber = timers.pop_due(deadline).expect("one is due");
            assert_eq!(expected[fiber.index as usize].take(), Some(deadline));
            assert_eq!(fiber.timer.get(), NEVER);
        }
        assert!(timers.is_empty());
    }
}
