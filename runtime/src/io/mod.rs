//! The standard streams, with the names and signatures of [`std::io`], on which a fiber waits and not its thread.

mod output;
mod stdin;

pub use output::{Stderr, Stdout, stderr, stdout};
pub use stdin::{Stdin, StdinLock, stdin};
