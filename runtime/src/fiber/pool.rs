//! The stacks of one hub, by size: which are in use, which wait warm with a worker on them, which were given back.
//!
//! A fiber gets its stack when it first runs, so that a fiber which runs to its end at once finds the stack that its
//! predecessor just warmed. So that this cannot fail in the hub's loop, `spawn` **reserves**: there are never more live fibers
//! of a size than stacks.
//!
//! Stacks are warm as long as fibers come and go. After a burst the hub gives most of them back, a second later.

use std::cell::{Cell, RefCell};
use std::io;

use super::stack::{StackMemory, StackSlab, discard};
use super::worker::Worker;

/// Free stacks of one size kept warm for good: 1024 of the default size. Beyond it they are given back in batches.
const WARM_BYTES_MAX: usize = 1024 * DEFAULT_STACK_BYTES;
/// Takes some 200 us.
const TRIM_BATCH: usize = 256;
const FIRST_SLAB: usize = 16;

/// All stacks of one size.
#[derive(Default)]
pub(crate) struct StackClass {
    pitch: usize,
    /// Free workers kept warm for good.
    warm_max: usize,
    /// Live fibers, with or without a stack yet.
    live: Cell<usize>,
    /// Stacks that exist.
    capacity: Cell<usize>,
    /// Free workers, the warmest last.
    warm: RefCell<Vec<&'static Worker>>,
    /// Stacks without a worker.
    cold: RefCell<Vec<StackMemory>>,
    slabs: RefCell<Vec<StackSlab>>,
    colour: Cell<usize>,
}

impl StackClass {
    pub(crate) fn new(pitch: usize) -> Self {
        Self {
            pitch,
            warm_max: WARM_BYTES_MAX / pitch,
            ..Self::default()
        }
    }

    pub(crate) fn pitch(&self) -> usize {
        self.pitch
    }

    /// Whether one more fiber would find a stack.
    pub(crate) fn has_room(&self) -> bool {
        self.live.get() < self.capacity.get() || self.grow().is_ok()
    }

    /// Makes sure that one more fiber will find a stack.
    #[inline(always)]
    pub(crate) fn reserve(&self) -> io::Result<()> {
        if self.live.get() == self.capacity.get() {
            self.grow()?;
        }
        self.live.set(self.live.get() + 1);
        Ok(())
    }

    /// Takes back what [`Self::reserve`] counted, for a fiber that never runs.
    pub(crate) fn release(&self) {
        self.live.set(self.live.get() - 1);
    }

    /// A worker for a fiber that [`Self::reserve`] counted.
    #[inline(always)]
    pub(crate) fn take(&self) -> &'static Worker {
        let warm = self.warm.borrow_mut().pop();
        match warm {
            Some(worker) => worker,
            None => self.warm_up(),
        }
    }

    /// Takes the worker of a fiber that is done. Returns whether more are warm now than are kept for good, so that the hub
    /// [trims](Self::trim) soon. Called by the hub's loop.
    #[inline(always)]
    pub(crate) fn give_back(&self, worker: &'static Worker) -> bool {
        self.live.set(self.live.get() - 1);
        let mut warm = self.warm.borrow_mut();
        warm.push(worker);
        warm.len() > self.warm_max
    }

    /// Gives one batch of stacks back to the system, if more are warm than are kept. Returns whether there are more batches.
    pub(crate) fn trim(&self) -> bool {
        let mut warm = self.warm.borrow_mut();
        let Some(excess) = warm
            .len()
            .checked_sub(self.warm_max)
            .filter(|excess| *excess > 0)
        else {
            return false;
        };
        // Of large stacks few are kept, and a quarter of these makes a batch.
        let count = (self.warm_max / 4).clamp(1, TRIM_BATCH);
        // Not the very oldest, which would move all the others: the warmest stay.
        let last = excess.max(count);
        let batch: Vec<_> = warm.drain(last - count..last).collect();
        let has_more = warm.len() > self.warm_max;
        drop(warm);
        self.cool(batch);
        has_more
    }

    /// Gives all slabs to other hubs, if no fiber uses them. Called on an ordinary stack.
    pub(crate) fn recycle(&self) {
        if self.live.get() != 0 {
            return;
        }
        self.cool(self.warm.take());
        self.cold.take();
        self.capacity.set(0);
        for slab in self.slabs.take() {
            slab.recycle();
        }
    }

    #[cold]
    #[inline(never)]
    fn grow(&self) -> io::Result<()> {
        let wanted = self.capacity.get().max(FIRST_SLAB);
        let slab = StackSlab::obtain(self.pitch, wanted)?;
        // Backwards, so that stacks are taken in the order of their addresses from the top: neighbours share page tables.
        self.cold
            .borrow_mut()
            .extend((0..slab.stacks()).rev().map(|index| slab.stack(index)));
        self.capacity.set(self.capacity.get() + slab.stacks());
        self.slabs.borrow_mut().push(slab);
        Ok(())
    }

    #[cold]
    #[inline(never)]
    fn warm_up(&self) -> &'static Worker {
        let memory = self.cold.borrow_mut().pop();
        let memory = memory.expect("invariant: `reserve` keeps as many stacks as live fibers");
        let colour = self.colour.get();
        self.colour.set(colour.wrapping_add(1));
        Worker::make(memory, colour)
    }

    #[cold]
    #[inline(never)]
    fn cool(&self, workers: Vec<&'static Worker>) {
        let stacks: Vec<StackMemory> = workers.into_iter().map(Worker::retire).collect();
        for batch in stacks.chunks(TRIM_BATCH) {
            discard(batch);
        }
        self.cold.borrow_mut().extend(stacks);
    }
}

/// The stack classes of a hub. Class 0 has the default size.
pub(crate) struct StackPool {
    default: StackClass,
    others: RefCell<Vec<&'static StackClass>>,
}

/// Stacks are this large unless the builder says otherwise.
pub(crate) const DEFAULT_STACK_BYTES: usize = 128 * 1024;

/// Sizes are rounded up to a multiple of this, which is also the smallest.
pub(crate) const STACK_STEP_BYTES: usize = 64 * 1024;

impl StackPool {
    pub(crate) fn new() -> Self {
        Self {
            default: StackClass::new(DEFAULT_STACK_BYTES),
            others: RefCell::new(Vec::new()),
        }
    }

    #[inline(always)]
    pub(crate) fn class(&self, class: u8) -> &StackClass {
        match class {
            0 => &self.default,
            other => self.others.borrow()[usize::from(other) - 1],
        }
    }

    /// The class for stacks of at least `bytes`.
    pub(crate) fn class_for(&self, bytes: usize) -> io::Result<u8> {
        let pitch = bytes
            .clamp(STACK_STEP_BYTES, isize::MAX as usize / 2)
            .next_multiple_of(STACK_STEP_BYTES);
        if pitch == DEFAULT_STACK_BYTES {
            return Ok(0);
        }
        let mut others = self.others.borrow_mut();
        let known = others.iter().position(|class| class.pitch() == pitch);
        if known.is_none() && others.len() == usize::from(u8::MAX) {
            return Err(io::Error::new(
                io::ErrorKind::InvalidInput,
                "more than 255 different stack sizes on one hub",
            ));
        }
        let position = known.unwrap_or_else(|| {
            // Leaked with the hub, which is never freed: a program uses a handful of stack sizes.
            others.push(Box::leak(Box::new(StackClass::new(pitch))));
            others.len() - 1
        });
        Ok(position as u8 + 1)
    }

    /// Gives one batch of each class's warm stacks back to the system. Returns whether there are more.
    pub(crate) fn trim(&self) -> bool {
        let others = self.others.borrow();
        others.iter().fold(self.default.trim(), |has_more, class| {
            class.trim() || has_more
        })
    }

    /// Gives all slabs to other hubs. Called when no fiber is left.
    pub(crate) fn recycle(&self) {
        self.default.recycle();
        for class in self.others.borrow().iter() {
            class.recycle();
        }
    }
}
