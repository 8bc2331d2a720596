//! What waits in fibers besides sockets: anonymous pipes, and any descriptor that the system can wait for,
//! by fibers or by callbacks.

mod pipe;
#[cfg(target_os = "linux")]
mod poller;
mod registered;
mod timed;

pub use crate::hub::sources::Direction;
pub use pipe::{PipeReader, PipeWriter, pipe};
#[cfg(target_os = "linux")]
pub use poller::{CallbackId, Interest, Poller, Readiness};
pub use registered::Registered;

pub(crate) use timed::{Timed, checked, read_timeouts, timeouts, write_timeouts};
