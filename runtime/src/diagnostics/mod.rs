//! What a program does right now: its hubs and their fibers.
//!
//! Asking costs something when one asks, and nothing otherwise: no fiber takes note of anything for it.

mod dump;
mod install;

pub use dump::{Dump, FiberDump, HubDump, dump};
pub use install::install;
