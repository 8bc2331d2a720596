//! What waits in fibers besides sockets.

mod timed;

pub use crate::hub::sources::Direction;

pub(crate) use timed::{Timed, checked, timeouts};
