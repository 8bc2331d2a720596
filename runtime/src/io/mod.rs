//! What waits in fibers besides sockets.

mod timed;

pub(crate) use timed::{Timed, checked};
