//! A fiber's control block.
//!
//! # States
//!
//! ```text
//! free ── spawn ──> queued ── popped ──> running ── park ──> parked
//!                     ^                    │  │                │
//!                     └──── yield_now ─────┘  │                │
//!                     └──────────────────── wake ──────────────┘
//!                                             └── body ends ──> done ── handle gone ──> free
//! ```
//!
//! - *queued*: in the run queue, once. Neither `PARKED` nor `DONE` is set, so a wake only leaves a token.
//! - *parked*: `PARKED` is set; whoever wakes it clears the flag and puts it into the run queue.
//! - *done*: its body, its locals and (without a handle) its result are gone; its stack is back in the pool. The slot is
//!   pinned while `HANDLE` is set, so a `JoinHandle` needs no generation.
//!
//! Everything here is touched by the hub's thread alone: the slot is full of `Cell`s, so a reference to it is not `Send`.

use std::any::Any;
use std::cell::{Cell, RefCell, UnsafeCell};
use std::mem::MaybeUninit;
use std::panic::Location;
use std::rc::Rc;
use std::sync::Arc;

use corosensei::Yielder;

use super::error::JoinError;
use super::worker::{Signal, Worker};
use crate::slab::SlabCell;

/// Closures and results up to this many bytes are kept in the slot; larger ones are boxed.
pub(crate) const INLINE_BYTES: usize = 96;

/// No deadline: the end of the hub's clock.
pub(crate) const NEVER: u64 = u64::MAX;

pub(crate) mod flag {
    /// Out of the run queue until somebody wakes it.
    pub(crate) const PARKED: u8 = 1;
    /// Woken while it was not parked: the next park returns at once.
    pub(crate) const TOKEN: u8 = 1 << 1;
    /// Its body has ended.
    pub(crate) const DONE: u8 = 1 << 2;
    /// A join handle is alive.
    pub(crate) const HANDLE: u8 = 1 << 3;
    /// Its park deadline passed; taken by the park that set the deadline.
    pub(crate) const EXPIRED: u8 = 1 << 4;
    /// Between spawn and done.
    pub(crate) const LIVE: u8 = 1 << 5;
    /// The body's result is in the store.
    pub(crate) const VALUE: u8 = 1 << 6;
    /// An unwind was started that may have been swallowed.
    pub(crate) const THROWN: u8 = 1 << 7;
}

/// Why a switchpoint's entry may not simply go on. Zero on the fast path.
pub(crate) mod attention {
    /// A no-switch guard is held.
    pub(crate) const NO_SWITCH: u8 = 1;
    /// The fiber was cancelled.
    pub(crate) const CANCELLED: u8 = 1 << 1;
    /// A deadline scope on its stack has expired.
    pub(crate) const SCOPE_EXPIRED: u8 = 1 << 2;
    /// Anything that unwinds.
    pub(crate) const UNWIND: u8 = CANCELLED | SCOPE_EXPIRED;
}

/// What a parked fiber waits for, for reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wait {
    Nothing,
    Accept,
    Barrier,
    Blocking,
    Condition,
    Child,
    Connect,
    Drain,
    Dump,
    Future,
    Event,
    Join,
    Lock,
    Park,
    Permit,
    Read,
    Receive,
    Scope,
    Select,
    Send,
    Signal,
    Sleep,
    Write,
}

impl Wait {
    /// What a fiber does that waits so.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::Nothing => "has not run yet",
            Self::Accept => "waits for a connection",
            Self::Barrier => "waits at a barrier",
            Self::Blocking => "waits for a thread of the pool",
            Self::Condition => "waits for a condition variable",
            Self::Child => "waits for a child process",
            Self::Connect => "connects",
            Self::Drain => "waits for the end of the others",
            Self::Dump => "waits for the hubs' answers",
            Self::Future => "waits for a future",
            Self::Event => "waits for an event",
            Self::Join => "waits for the end of a fiber",
            Self::Lock => "waits for a lock",
            Self::Park => "is parked",
            Self::Permit => "waits for a permit",
            Self::Read => "waits to read",
            Self::Receive => "waits for a message",
            Self::Scope => "waits for the fibers of its scope",
            Self::Select => "waits for one of several things",
            Self::Send => "waits for room to send",
            Self::Signal => "waits for a signal",
            Self::Sleep => "sleeps",
            Self::Write => "waits to write",
        }
    }
}

/// The untyped body of a fiber: takes the closure out of the slot's store, runs it and leaves the result there.
pub(crate) type Body = fn(&'static FiberSlot);

#[repr(C, align(16))]
pub(crate) struct FiberSlot {
    // What a switch touches, first.
    next: Cell<Option<&'static Self>>,
    pub(crate) yielder: Cell<Option<&'static Yielder<(), Signal>>>,
    pub(crate) worker: Cell<Option<&'static Worker>>,
    pub(crate) flags: Cell<u8>,
    pub(crate) attention: Cell<u8>,
    pub(crate) wait: Cell<Wait>,
    pub(crate) stack_class: Cell<u8>,
    /// Woken by a waker since it last parked for one.
    pub(crate) unparked: Cell<bool>,
    /// It was unwinding when it last parked.
    pub(crate) unwinds: Cell<bool>,
    /// Where the fiber's timer is in the heap, if it has one.
    pub(crate) timer_index: Cell<u32>,
    /// The park's own deadline in the hub's nanoseconds.
    pub(crate) deadline: Cell<u64>,
    /// When the fiber's timer fires, as the heap has it too; [`NEVER`] if it has none.
    pub(crate) timer: Cell<u64>,
    pub(crate) joiner: Cell<Option<&'static Self>>,
    pub(crate) body: Cell<Option<Body>>,

    // What spawn, cancel and reports touch.
    /// Unique among all fibers that ever used this hub's memory; 0 in a free slot.
    pub(crate) serial: Cell<u64>,
    /// The earliest deadline of the scopes on the fiber's stack.
    pub(crate) scope_deadline: Cell<u64>,
    pub(crate) index: u32,
    pub(crate) guard_depth: Cell<u32>,
    pub(crate) shield_depth: Cell<u32>,
    pub(crate) guard_place: Cell<Option<&'static Location<'static>>>,
    pub(crate) spawned_at: Cell<&'static Location<'static>>,
    pub(crate) rare: RefCell<Option<Box<Rare>>>,

    /// The closure until the fiber starts, the result or the panic once it is done, nothing in between.
    pub(super) store: UnsafeCell<MaybeUninit<Store>>,
}

#[repr(C, align(16))]
pub(crate) struct Store([u8; INLINE_BYTES]);

/// What few fibers have.
#[derive(Default)]
pub(crate) struct Rare {
    pub(crate) name: Option<Arc<str>>,
    pub(crate) locals: Vec<(usize, Rc<dyn Any>)>,
    pub(crate) scopes: Vec<DeadlineScope>,
    /// Who waits for its end beside `joiner`.
    pub(crate) joiners: Vec<&'static FiberSlot>,
    pub(crate) failure: Option<JoinError>,
    /// The task that awaits the fiber; the fiber itself is one of its joiners then.
    pub(crate) awaiter: Option<std::task::Waker>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct DeadlineScope {
    pub(crate) id: u64,
    pub(crate) deadline: u64,
}

impl SlabCell for FiberSlot {
    fn new(index: u32) -> Self {
        Self {
            next: Cell::new(None),
            yielder: Cell::new(None),
            worker: Cell::new(None),
            flags: Cell::new(0),
            attention: Cell::new(0),
            wait: Cell::new(Wait::Nothing),
            stack_class: Cell::new(0),
            unparked: Cell::new(false),
            unwinds: Cell::new(false),
            timer_index: Cell::new(0),
            deadline: Cell::new(NEVER),
            timer: Cell::new(NEVER),
            joiner: Cell::new(None),
            body: Cell::new(None),
            serial: Cell::new(0),
            scope_deadline: Cell::new(NEVER),
            index,
            guard_depth: Cell::new(0),
            shield_depth: Cell::new(0),
            guard_place: Cell::new(None),
            spawned_at: Cell::new(Location::caller()),
            rare: RefCell::new(None),
            store: UnsafeCell::new(MaybeUninit::uninit()),
        }
    }

    #[inline(always)]
    fn next_free(&self) -> &Cell<Option<&'static Self>> {
        &self.next
    }
}

impl FiberSlot {
    #[inline(always)]
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags.get() & flag != 0
    }

    #[inline(always)]
    pub(crate) fn set(&self, flag: u8) {
        self.flags.set(self.flags.get() | flag);
    }

    #[inline(always)]
    pub(crate) fn clear(&self, flag: u8) {
        self.flags.set(self.flags.get() & !flag);
    }

    /// Whether the flag was set; it is not any more.
    #[inline(always)]
    pub(crate) fn take(&self, flag: u8) -> bool {
        let flags = self.flags.get();
        self.flags.set(flags & !flag);
        flags & flag != 0
    }

    /// The link of the list the slot is in: the run queue or the free list, never both.
    #[inline(always)]
    pub(crate) fn link(&self) -> &Cell<Option<&'static Self>> {
        &self.next
    }

    pub(crate) fn with_rare<R>(&self, change: impl FnOnce(&mut Rare) -> R) -> R {
        change(self.rare.borrow_mut().get_or_insert_with(Box::default))
    }

    pub(crate) fn name(&self) -> Option<Arc<str>> {
        self.rare
            .borrow()
            .as_ref()
            .and_then(|rare| rare.name.clone())
    }
}

impl std::fmt::Debug for FiberSlot {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("FiberSlot")
            .field("index", &self.index)
            .field("serial", &self.serial)
            .finish_non_exhaustive()
    }
}

const _: () = assert!(
    size_of::<FiberSlot>() <= 256,
    "a control block is at most 256 bytes"
);
