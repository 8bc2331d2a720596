//! Fibers for network programs in plain blocking Rust: the runtime under [`kapok`](https://docs.rs/kapok).
//!
//! Most programs depend on `kapok`, which re-exports all of this and adds the protocols.
//!
//! - A **fiber** is a function with a stack of its own that its thread's **hub** switches to and from: [`spawn`],
//!   [`JoinHandle`], [`Builder`], [`sleep`], [`park`](park()), [`yield_now`].
//! - Exactly one fiber of a hub runs at a time and fibers stay on their thread, so those of one hub share `Rc` and `Cell`
//!   without locks. A fiber is switched out only at **switchpoints**: [`switchpoint`], [`assert_no_switchpoints`].
//! - A hub is made on first use. The thread's own stack is its root fiber: `main` needs no macro and no runtime object.
//! - [`Hubs`] runs one hub a core.
//! - [`net`] mirrors [`std::net`] and [`std::os::unix::net`], [`sync`] [`std::sync`], [`process`] [`std::process`], [`fs`] [`std::fs`]; [`io`]
//!   has the standard streams and pipes, and lets fibers wait for any descriptor. [`signal`] has the system's signals as events.
//! - [`block_on`] runs a future, [`future`] has what async crates need.
//! - [`JoinHandle::cancel`], [`timeout`], [`shielded`] and [`drain`] end fibers by unwinding them.

#[cfg(not(all(unix, target_pointer_width = "64")))]
compile_error!("kapok runs on 64-bit Unix systems; Linux is the one it is tested on");

extern crate self as kapok_runtime;

mod fiber;
mod hub;
mod hubs;
mod select;
mod slab;
mod task;
mod time;
mod unwind_safe;

pub mod diagnostics;
pub mod fs;
pub mod future;
pub mod io;
pub mod net;
pub mod pool;
pub mod process;
pub mod signal;
pub mod sync;

pub use hub::cancel::{TimedOut, is_cancel, shielded, timeout};
pub use hub::drain::{DrainError, drain, run};
pub use hub::switchpoint::{NoSwitchGuard, assert_no_switchpoints};
pub use hubs::{Hubs, HubsConfig, HubsError, Running};
pub use kapok_macros::switchpoint_runtime as switchpoint;
pub use task::{
    Builder, CancelOnDrop, CaughtPanic, Fiber, FiberLocal, GroupHandle, HubHandle, JoinError,
    JoinHandle, RemoteJoinHandle, Scope, ScopedJoinHandle, TaskGroup, block_on, current, park,
    park_timeout, scope, spawn, task_group, unblock, yield_now,
};
pub use time::{deadline, sleep, sleep_until};

/// For the code that `#[switchpoint]` makes; not part of the interface.
#[doc(hidden)]
pub mod __private {
    pub use crate::hub::switchpoint::switchpoint_entry;
    pub use crate::hub::wait_list::Ticket;
    pub use crate::hub::waiting::Place;
}
