//! The runtime, through kapok's public interface. Each test runs on a thread with a hub of its own and a watchdog.

#[path = "../support/mod.rs"]
mod support;

mod auto_traits;
mod block_on;
mod cancel;
mod connect;
mod conversions;
mod descriptors;
mod diagnostics;
mod ends;
mod faults;
mod fibers;
mod files;
mod foreign;
mod group;
mod hubs;
mod locals;
mod park;
mod polled_streams;
mod poller;
mod pools;
mod process;
mod readiness;
mod scope;
mod signals;
mod soundness;
mod standard_streams;
mod switchpoints;
mod sync;
mod tcp;
mod time;
mod udp;
mod unix;
mod wait_lists;
