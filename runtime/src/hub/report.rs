//! What the runtime has to say when nobody asked: one line on standard error.
//!
//! A library should not print. These few lines are about things that no caller is there to be told: a thread that ended with
//! fibers, a listener that cannot accept for want of descriptors, a stack that overflowed.

use std::io::Write;

/// Writes one line; if that fails there is nobody left to tell.
pub(crate) fn report(line: std::fmt::Arguments<'_>) {
    let _ = std::io::stderr().write_all(format!("kapok: {line}\n").as_bytes());
}
