//! Spawning fibers and getting their results.

mod builder;
mod fiber_handle;
mod join;
mod remote_join;
mod spawn;

pub use builder::Builder;
pub use fiber_handle::{Fiber, current, park, park_timeout, yield_now};
pub use join::{JoinError, JoinHandle};
pub use remote_join::{HubHandle, RemoteJoinHandle};
pub use spawn::spawn;

pub(crate) use fiber_handle::park_thread;
pub(crate) use remote_join::Packet;
pub(crate) use spawn::drop_quietly;
