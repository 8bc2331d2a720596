//! What waits in fibers besides sockets: anonymous pipes, and any descriptor that the system can wait for.

mod pipe;
mod registered;
mod timed;

pub use crate::hub::sources::Direction;
pub use pipe::{PipeReader, PipeWriter, pipe};
pub use registered::Registered;

pub(crate) use timed::{Timed, checked, read_timeouts, timeouts, write_timeouts};
