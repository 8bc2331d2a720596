//! Spawning fibers and getting their results.

mod block_on;
mod builder;
mod cancel_on_drop;
mod fiber_handle;
mod group;
mod join;
mod local;
mod monitor;
mod remote_join;
mod scope;
mod spawn;
mod threads;
mod unblock;

pub use crate::fiber::error::{CaughtPanic, JoinError};
pub use block_on::block_on;
pub use builder::Builder;
pub use cancel_on_drop::CancelOnDrop;
pub use fiber_handle::{Fiber, current, park, park_timeout, yield_now};
pub use group::{GroupHandle, TaskGroup, task_group};
pub use join::JoinHandle;
pub use local::FiberLocal;
pub use remote_join::{HubHandle, RemoteJoinHandle};
pub use scope::{Scope, ScopedJoinHandle, scope};
pub use spawn::spawn;
pub use unblock::unblock;

pub(crate) use block_on::wake_tasks_on_a_fiber;
pub(crate) use fiber_handle::park_thread;
pub(crate) use monitor::Monitor;
pub(crate) use remote_join::Packet;
pub(crate) use threads::Threads;
pub(crate) use unblock::{submit, unblock_on};
