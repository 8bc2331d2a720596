//! The runtime, through kapok's public interface. Each test runs on a thread with a hub of its own and a watchdog.

#[path = "../support/mod.rs"]
mod support;

mod auto_traits;
mod cancel;
mod ends;
mod faults;
mod fibers;
mod foreign;
mod group;
mod hubs;
mod locals;
mod park;
mod scope;
mod soundness;
mod switchpoints;
mod sync;
mod tcp;
mod time;
