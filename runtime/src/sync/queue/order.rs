//! In which order a queue gives its items back.

use std::cmp::Ordering;
use std::collections::{BinaryHeap, VecDeque};
use std::fmt;

use crate::hub::switchpoint::assert_no_switchpoints;
use crate::sync::waitable::Sealed;

/// Where a queue keeps its items: [`Fifo`], [`Lifo`] or [`Priority`]. Only these implement it, as it is used under the queue's lock.
pub trait Order<T>: Default + Sealed {
    #[doc(hidden)]
    fn push(&mut self, item: T, size: usize);
    #[doc(hidden)]
    fn pop(&mut self) -> Option<(T, usize)>;
    #[doc(hidden)]
    fn len(&self) -> usize;
    #[doc(hidden)]
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// First in, first out.
pub struct Fifo<T>(VecDeque<(T, usize)>);

/// Last in, first out.
pub struct Lifo<T>(Vec<(T, usize)>);

/// The smallest first; of equal ones the one that came first.
pub struct Priority<T> {
    heap: BinaryHeap<Entry<T>>,
    pushed: u64,
}

struct Entry<T> {
    item: T,
    size: usize,
    number: u64,
}

impl<T> Default for Fifo<T> {
    fn default() -> Self {
        Self(VecDeque::new())
    }
}

impl<T> Sealed for Fifo<T> {}
impl<T> Sealed for Lifo<T> {}
impl<T> Sealed for Priority<T> {}

impl<T> Order<T> for Fifo<T> {
    fn push(&mut self, item: T, size: usize) {
        self.0.push_back((item, size));
    }

    fn pop(&mut self) -> Option<(T, usize)> {
        self.0.pop_front()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T> Default for Lifo<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> Order<T> for Lifo<T> {
    fn push(&mut self, item: T, size: usize) {
        self.0.push((item, size));
    }

    fn pop(&mut self) -> Option<(T, usize)> {
        self.0.pop()
    }

    fn len(&self) -> usize {
        self.0.len()
    }
}

impl<T: Ord> Default for Priority<T> {
    fn default() -> Self {
        Self {
            heap: BinaryHeap::new(),
            pushed: 0,
        }
    }
}

impl<T: Ord> Order<T> for Priority<T> {
    fn push(&mut self, item: T, size: usize) {
        let number = self.pushed;
        self.pushed += 1;
        let entry = Entry { item, size, number };
        // Comparing is the user's code, and the queue is locked.
        assert_no_switchpoints(|| self.heap.push(entry));
    }

    fn pop(&mut self) -> Option<(T, usize)> {
        let entry = assert_no_switchpoints(|| self.heap.pop())?;
        Some((entry.item, entry.size))
    }

    fn len(&self) -> usize {
        self.heap.len()
    }
}

/// The other way round: a `BinaryHeap` gives the greatest.
impl<T: Ord> Ord for Entry<T> {
    fn cmp(&self, other: &Self) -> Ordering {
        let by_item = other.item.cmp(&self.item);
        by_item.then_with(|| other.number.cmp(&self.number))
    }
}

impl<T: Ord> PartialOrd for Entry<T> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl<T: Ord> PartialEq for Entry<T> {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl<T: Ord> Eq for Entry<T> {}

macro_rules! debug_by_name {
    ($($name:ident),+) => {
        $(impl<T> fmt::Debug for $name<T> {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(stringify!($name))
            }
        })+
    };
}

debug_by_name!(Fifo, Lifo, Priority);
