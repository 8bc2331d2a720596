//! Deadlines of a hub's fibers (those of its tasks are in `task_timers`): a 4-ary heap of (deadline, fiber), with the position kept in the fiber's slot.
//!
//! A fiber has **one** timer, whatever it waits for: its own park deadline and the deadline scopes on its stack share it. It
//! is lazy: a timer that is armed earlier than needed stays where it is, and when it fires the hub looks at what the fiber
//! waits for now. So a read with a timeout that returns in time costs no heap operation at all, and a fiber that reads in a
//! loop moves its timer once a timeout, not once a read.
//!
//! A heap and not a wheel: nanosecond deadlines without ticks, 16 bytes a timer, no cascades; four children a node share a
//! cache line.

use std::cell::RefCell;

use super::task_timers::TaskTimers;
use crate::fiber::FiberSlot;
use crate::fiber::slot::NEVER;

const ARITY: usize = 4;

#[derive(Clone, Copy)]
struct Entry {
    deadline: u64,
    fiber: &'static FiberSlot,
}

#[derive(Default)]
pub(crate) struct Timers {
    heap: RefCell<Vec<Entry>>,
    pub(super) tasks: TaskTimers,
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
        let mut heap = self.heap.borrow_mut();
        let position = if fiber.timer.replace(deadline) == NEVER {
            heap.push(Entry { deadline, fiber });
            heap.len() - 1
        } else {
            fiber.timer_index.get() as usize
        };
        heap[position].deadline = deadline;
        sift_up(&mut heap, position);
    }

    /// Takes the fiber's timer out, if it has one.
    pub(crate) fn disarm(&self, fiber: &FiberSlot) {
        if fiber.timer.get() != NEVER {
            remove(
                &mut self.heap.borrow_mut(),
                fiber.timer_index.get() as usize,
            );
        }
    }

    /// Takes out a fiber whose timer fires at `now` or earlier.
    pub(crate) fn pop_due(&self, now: u64) -> Option<&'static FiberSlot> {
        let mut heap = self.heap.borrow_mut();
        match heap.first() {
            Some(first) if first.deadline <= now => Some(remove(&mut heap, 0).fiber),
            _ => None,
        }
    }

    #[inline]
    pub(crate) fn earliest(&self) -> Option<u64> {
        let fibers = self.heap.borrow().first().map(|entry| entry.deadline);
        match self.tasks.earliest() {
            NEVER => fibers,
            tasks => Some(fibers.map_or(tasks, |fibers| fibers.min(tasks))),
        }
    }

    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.heap.borrow().is_empty() && self.tasks.earliest() == NEVER
    }
}

fn remove(heap: &mut Vec<Entry>, position: usize) -> Entry {
    let removed = heap.swap_remove(position);
    removed.fiber.timer.set(NEVER);
    if position < heap.len() {
        sift_down(heap, position);
        sift_up(heap, position);
    }
    removed
}

fn sift_up(heap: &mut [Entry], mut position: usize) {
    let entry = heap[position];
    while position > 0 {
        let parent = (position - 1) / ARITY;
        if heap[parent].deadline <= entry.deadline {
            break;
        }
        place(heap, position, heap[parent]);
        position = parent;
    }
    place(heap, position, entry);
}

fn sift_down(heap: &mut [Entry], mut position: usize) {
    let entry = heap[position];
    loop {
        let first = position * ARITY + 1;
        let children = first..heap.len().min(first + ARITY);
        let Some(least) = children.min_by_key(|&child| heap[child].deadline) else {
            break;
        };
        if entry.deadline <= heap[least].deadline {
            break;
        }
        place(heap, position, heap[least]);
        position = least;
    }
    place(heap, position, entry);
}

fn place(heap: &mut [Entry], position: usize, entry: Entry) {
    heap[position] = entry;
    // Four billion fibers do not fit into any machine's memory.
    entry.fiber.timer_index.set(position as u32);
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
