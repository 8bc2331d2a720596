//! The runtime, through kapok's public interface. Each test runs on a thread with a hub of its own and a watchdog.

#[path = "../support/mod.rs"]
mod support;

mod auto_traits;
mod block_on;
mod cancel;
mod ends;
mod faults;
mod fibers;
mod foreign;
mod hubs;
mod locals;
mod park;
mod polled_streams;
mod soundness;
mod switchpoints;
mod tcp;
mod time;
