//! A 4-ary heap of deadlines. What they are of knows its place in it, so that it is taken out without a search.
//!
//! A heap and not a wheel: nanosecond deadlines without ticks, 16 bytes a timer, no cascades; four children a node share a
//! cache line.

const ARITY: usize = 4;

/// What a deadline is of.
pub(super) trait Placed {
    /// It is at `position` from now on.
    fn place(&self, position: u32);
}

pub(super) struct DeadlineHeap<T> {
    entries: Vec<Entry<T>>,
}

struct Entry<T> {
    deadline: u64,
    value: T,
}

impl<T> Default for DeadlineHeap<T> {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
        }
    }
}

impl<T: Placed> DeadlineHeap<T> {
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    #[inline]
    pub(super) fn earliest(&self) -> Option<u64> {
        self.entries.first().map(|entry| entry.deadline)
    }

    pub(super) fn insert(&mut self, deadline: u64, value: T) {
        let position = self.entries.len();
        self.entries.push(Entry { deadline, value });
        self.sift_up(position);
    }

    /// Makes the deadline at `position` an earlier one.
    pub(super) fn move_up(&mut self, position: u32, deadline: u64) {
        let position = position as usize;
        self.entries[position].deadline = deadline;
        self.sift_up(position);
    }

    /// Takes out what is at `position`.
    pub(super) fn remove(&mut self, position: u32) -> T {
        let position = position as usize;
        let removed = self.entries.swap_remove(position);
        if position < self.entries.len() {
            let position = self.sift_down(position);
            self.sift_up(position);
        }
        removed.value
    }

    /// Takes out the first, if its deadline is `now` or earlier.
    pub(super) fn pop_due(&mut self, now: u64) -> Option<T> {
        let is_due = self.earliest().is_some_and(|earliest| earliest <= now);
        is_due.then(|| self.remove(0))
    }

    fn sift_up(&mut self, mut position: usize) {
        while position > 0 {
            let parent = (position - 1) / ARITY;
            if self.entries[parent].deadline <= self.entries[position].deadline {
                break;
            }
            self.entries.swap(parent, position);
            self.place(position);
            position = parent;
        }
        self.place(position);
    }

    /// Returns where it came to lie, without having told it.
    fn sift_down(&mut self, mut position: usize) -> usize {
        loop {
            let first = position * ARITY + 1;
            let children = first..self.entries.len().min(first + ARITY);
            let Some(least) = children.min_by_key(|&child| self.entries[child].deadline) else {
                return position;
            };
            if self.entries[position].deadline <= self.entries[least].deadline {
                return position;
            }
            self.entries.swap(position, least);
            self.place(position);
            position = least;
        }
    }

    fn place(&self, position: usize) {
        // Four billion timers do not fit into any machine's memory.
        self.entries[position].value.place(position as u32);
    }
}
