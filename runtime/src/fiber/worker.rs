//! A worker: a stack with a coroutine on it that runs one fiber's body after the other.
//!
//! Making a coroutine costs more than switching to one, so a worker is kept suspended between two fibers and its warm stack is
//! used again, last in, first out. The worker's own record lies at the very top of its stack, above the coroutine's base: a
//! resume touches no page that the fiber does not touch anyway.
//!
//! ```text
//! bottom                                                                   top of the stack's memory
//! |guard|  free  … frames of the fiber … | parent link | colour | Worker |
//!                                        base
//! ```
//!
//! The base is lowered by a varying number of cache lines (*colour*), as stacks whose tops agree in their low address bits
//! would fight for the same few sets of the first-level cache.
//!
//! # Invariants
//!
//! - Between [`Worker::make`] and [`Worker::retire`] the record is valid and no other code writes to its memory.
//! - `resume` is called by the hub's loop on the hub's thread alone, and never from inside the coroutine itself: a fiber that
//!   is running is not in the run queue.
//! - The coroutine catches every panic of a body before it comes near corosensei's frames, and is never force-unwound.

use std::cell::{Cell, UnsafeCell};
use std::mem::ManuallyDrop;
use std::num::NonZeroUsize;

use corosensei::stack::{STACK_ALIGNMENT, Stack, StackPointer};
use corosensei::{Coroutine, CoroutineResult, Yielder};

use super::FiberSlot;
use super::stack::StackMemory;

const COLOURS: usize = 16;
const CACHE_LINE: usize = 64;

/// Why a coroutine gave control back to the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Signal {
    /// The fiber parked or yielded.
    Switched,
    /// The fiber's body has ended; the worker is free.
    Done,
}

pub(crate) struct Worker {
    coroutine: UnsafeCell<ManuallyDrop<Coroutine<(), Signal, (), StackBounds>>>,
    yielder: Cell<Option<&'static Yielder<(), Signal>>>,
    fiber: Cell<Option<&'static FiberSlot>>,
    memory: StackMemory,
}

impl Worker {
    /// Makes a worker on an unused stack and lets it run up to where it waits for its first fiber.
    pub(crate) fn make(memory: StackMemory, colour: usize) -> &'static Self {
        let record_bytes = size_of::<Self>().next_multiple_of(CACHE_LINE);
        let address = memory.below_top(record_bytes).cast::<Self>();
        let base = memory.below_top(record_bytes + colour % COLOURS * CACHE_LINE);
        let bounds = StackBounds {
            base: base.addr(),
            limit: memory.bottom().addr(),
        };

        // The coroutine finds its worker through the address, which is only read once the record has been written.
        let record: *const Self = address.as_ptr();
        let coroutine = Coroutine::with_stack(bounds, move |yielder: &Yielder<(), Signal>, ()| {
            // SAFETY: `make` writes the record before it resumes the coroutine for the first time.
            let worker: &'static Self = unsafe { &*record };
            let yielder: *const Yielder<(), Signal> = yielder;
            // SAFETY: the yielder is the parent link at the base of this stack, in memory that is never unmapped; it is used
            // only between here and the coroutine's return, as `retire` needs a worker without a fiber.
            worker.yielder.set(Some(unsafe { &*yielder }));
            worker.serve();
        });
        let record = Self {
            coroutine: UnsafeCell::new(ManuallyDrop::new(coroutine)),
            yielder: Cell::new(None),
            fiber: Cell::new(None),
            memory,
        };
        // SAFETY: the address is aligned to a cache line, lies in this stack above the coroutine's base, and nobody uses the
        // stack: `make` is given unused ones.
        unsafe { address.write(record) };
        // SAFETY: the record was just written and stays valid until `retire`, which consumes the only use of it.
        let worker: &'static Self = unsafe { address.as_ref() };
        worker.resume();
        worker
    }

    /// The loop of the coroutine: one fiber's body after the other, until there is none.
    fn serve(&self) {
        let yielder = self
            .yielder
            .get()
            .expect("invariant: set before the first fiber");
        yielder.suspend(Signal::Done);
        while let Some(fiber) = self.fiber.get() {
            let body = fiber
                .body
                .take()
                .expect("invariant: a spawned fiber has a body");
            body(fiber);
            yielder.suspend(Signal::Done);
        }
    }

    /// Gives the worker a fiber to run at the next resume.
    #[inline(always)]
    pub(crate) fn bind(&'static self, fiber: &'static FiberSlot) {
        self.fiber.set(Some(fiber));
        fiber.worker.set(Some(self));
        fiber.yielder.set(self.yielder.get());
    }

    /// Switches to the fiber until it parks, yields or ends. Called by the hub's loop alone.
    #[inline(always)]
    pub(crate) fn resume(&self) -> Signal {
        // SAFETY: only the hub's loop resumes, and it is not running while the coroutine is: the reference is unique.
        let coroutine = unsafe { &mut *self.coroutine.get() };
        match coroutine.resume(()) {
            CoroutineResult::Yield(signal) => signal,
            CoroutineResult::Return(()) => Signal::Done,
        }
    }

    /// Ends the coroutine of a free worker; its stack may then be discarded or used anew.
    pub(crate) fn retire(&'static self) -> StackMemory {
        self.fiber.set(None);
        self.resume();
        // SAFETY: the hub's loop is the caller, so nothing else refers to the coroutine; it has just returned.
        let coroutine = unsafe { &mut *self.coroutine.get() };
        // SAFETY: the coroutine is taken once: the worker is not used after this, its memory holds no record any more.
        let coroutine = unsafe { ManuallyDrop::take(coroutine) };
        coroutine.into_stack();
        self.memory
    }

    pub(crate) fn memory(&self) -> StackMemory {
        self.memory
    }
}

/// What corosensei needs to know of a stack. Whoever made it owns the memory.
#[derive(Debug)]
struct StackBounds {
    base: NonZeroUsize,
    limit: NonZeroUsize,
}

// SAFETY: made by `Worker::make` alone: the base is aligned to a cache line, the range from limit to base is the stack's own
// memory with a guard as its lowest page, and the pitch is at least 64 KiB.
unsafe impl Stack for StackBounds {
    fn base(&self) -> StackPointer {
        const { assert!(CACHE_LINE.is_multiple_of(STACK_ALIGNMENT)) };
        self.base
    }

    fn limit(&self) -> StackPointer {
        self.limit
    }
}
