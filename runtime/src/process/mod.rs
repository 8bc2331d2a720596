//! Child processes with the names and signatures of [`std::process`], for which a fiber waits and not its thread.
//!
//! # What happens to a child nobody waits for
//!
//! A [`Child`] that is dropped runs on, as std's does; with [`Command::kill_on_drop`] it is killed. Either way it does not stay a
//! zombie for ever, as std's does: a child that has ended is reaped on the spot, one that has not is given to the one thread that
//! waits for all such children of the process, and which is there only while there are any. Up to 64 of them cost a descriptor
//! each; if there are more, the others are looked at once a second. No `SIGCHLD` handler is installed, and only kapok's own
//! children are waited for, so other libraries may have children of theirs.

mod child;
mod command;
mod communicate;
mod descriptors;
mod exit;
mod pipes;
mod reaper;

pub use child::Child;
pub use command::Command;
pub use communicate::{CommunicateError, CommunicateLimits};
pub use pipes::{ChildStderr, ChildStdin, ChildStdout};
pub use std::process::{
    CommandArgs, CommandEnvs, ExitCode, ExitStatus, Output, Stdio, abort, exit, id,
};
