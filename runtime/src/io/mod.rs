//! The standard streams, with the names and signatures of [`std::io`]; anonymous pipes, and any descriptor that the system can wait for.
//! Fibers wait on all of them, and not their thread.

mod conversions;
mod output;
mod pipe;
#[cfg(target_os = "linux")]
mod poller;
pub(crate) mod readiness;
mod registered;
mod stdin;
mod timed;

pub use crate::hub::sources::Direction;
pub use output::{Stderr, StderrLock, Stdout, StdoutLock, stderr, stdout};
pub use pipe::{PipeReader, PipeWriter, pipe};
#[cfg(target_os = "linux")]
pub use poller::{CallbackId, Interest, Poller, Readiness};
pub use readiness::{Descriptor, DescriptorReady, readable, writable};
pub use registered::Registered;
pub use stdin::{Stdin, StdinLock, stdin};

pub(crate) use conversions::{conversions, conversions_to_std};
pub(crate) use timed::{Timed, at_once, checked, read_timeouts, timeouts, write_timeouts};
