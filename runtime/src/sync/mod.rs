//! Locks, channels and the rest of what fibers and threads wait for each other with, under std's names.
//!
//! All of it works between fibers of one hub, of several hubs, and plain threads, in any mixture: a fiber that waits lets its
//! hub's other fibers run, a thread without a hub sleeps. Fibers of one hub that never wait in between need none of it: `Rc`, `Cell`
//! and [`assert_no_switchpoints`](crate::assert_no_switchpoints) will do.
//!
//! | to | take |
//! |---|---|
//! | hand values over | [`channel`], [`oneshot`], [`broadcast`], [`watch`] |
//! | share a value | [`Mutex`], [`RwLock`], [`OnceLock`], [`LazyLock`] |
//! | wait for a condition | [`Event`], [`Notify`], [`Condvar`], [`Barrier`], [`Once`] |
//! | wait for one of several things | [`select!`](crate::select!), [`wait`], [`as_completed`] |
//! | limit how many do something | [`Semaphore`] |
//! | share out work and know when it is done | [`Queue`], [`LifoQueue`], [`PriorityQueue`] |
//!
//! # In common
//!
//! - **Fair**: who came first is served first, wherever it runs. What becomes free is handed to the one who waits longest, so
//!   nobody who comes by later can take it away.
//! - **Nothing is lost by a cancel or a timeout.** A wait that is broken off took no effect; one that was served returns normally,
//!   even if the cancel came first. The cancel is then thrown at the next switchpoint. A message that was not sent is the sender's,
//!   and dropped with the call that is unwound; a [`select!`](crate::select!) with [`send`](select::send) leaves it in the sender's `Option`.
//! - A wait allocates nothing. What is waited for may be dropped on any thread.
//! - Locks are poisoned by a panic of the fiber that holds them, not by a cancel or a timeout, nor by a sibling's panic. Not noticed
//!   is a panic that begins while another fiber of the thread waits in a destructor in the middle of its own, and one of a fiber that
//!   has swallowed a cancel.

mod barrier;
pub mod broadcast;
pub mod channel;
mod condvar;
mod event;
mod mutex;
mod notify;
mod once;
pub mod oneshot;
mod queue;
mod raw_mutex;
mod rw_lock;
pub mod select;
mod semaphore;
mod waitable;
pub mod watch;

pub use barrier::{Barrier, BarrierWaitResult};
pub use condvar::{Condvar, WaitTimeoutResult};
pub use event::Event;
pub use mutex::{Mutex, MutexGuard};
pub use notify::Notify;
pub use once::{LazyLock, Once, OnceLock, OnceState};
pub use queue::{Fifo, Lifo, LifoQueue, Order, Priority, PriorityQueue, Queue};
pub use rw_lock::{RwLock, RwLockReadGuard, RwLockWriteGuard};
pub use semaphore::{OwnedPermit, Permit, Semaphore};
pub use waitable::{AsCompleted, Waitable, as_completed, wait, wait_timeout};

pub(crate) use waitable::Sealed;

/// std's: what a lock returns, and what says that a holder of it panicked.
pub use std::sync::{LockResult, PoisonError, TryLockError, TryLockResult};
